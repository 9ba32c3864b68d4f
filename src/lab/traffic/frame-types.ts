/** What a checksum field holds: the right sum, a wrong one, or what CHECKSUM_PARTIAL leaves there (the pseudo header's). */
export type ChecksumKind = 'good' | 'bad' | 'partial' | 'zero';

export type TcpFlag = 'fin' | 'syn' | 'rst' | 'psh' | 'ack' | 'urg' | 'ece' | 'cwr';

/**
 * One raw Ethernet frame of a fault, by its fields. What is left out is what a sane host would send: addresses of the
 * traffic's two ends, lengths and checksums that are right.
 */
export interface FrameSpec {
  ether?: {
    /** Default: the sending endpoint's own. */
    src?: string;
    /** Default: the next hop's, as the topology tells. */
    dst?: string;
    /** EtherType; default that of the IP version. */
    type?: number;
  };
  ip?: {
    src?: string;
    dst?: string;
    /** TTL or hop limit. Default 64. */
    ttl?: number;
    /** Identification. Default: one for each time that the list is sent. */
    id?: number;
    /** Protocol number. Default: that of tcp, udp or icmp. */
    protocol?: number;
    /** Default false. IPv4 only. */
    dontFragment?: boolean;
    /** Header's own words about itself, when they shall be wrong. */
    version?: number;
    /** Bytes, a multiple of 4. IPv4 only. */
    headerLength?: number;
    /** Total length (IPv6: payload length), bytes. */
    totalLength?: number;
    /** IPv4 only. */
    checksum?: 'good' | 'bad' | 'zero';
  };
  /** The frame carries only this part of the datagram: bytes after the IP header. */
  fragment?: {
    /** A multiple of 8. */
    offset: number;
    /** Default: to the end. A multiple of 8 unless it is the last. */
    length?: number;
    /** More fragments follow. Default: unless it goes to the end. */
    more?: boolean;
  };
  tcp?: {
    sport?: number;
    dport?: number;
    /** Added to sport each time that the list is sent. */
    sportStep?: number;
    seq?: number;
    ack?: number;
    /** Default: syn. */
    flags?: TcpFlag[];
    window?: number;
    /** Maximum segment size option. */
    mss?: number;
    /** Further options, as hexadecimal digits; padded to 4 bytes. */
    options?: string;
    /** Bytes, when it shall be wrong. */
    headerLength?: number;
    checksum?: ChecksumKind;
  };
  udp?: {
    sport?: number;
    dport?: number;
    sportStep?: number;
    /** UDP length, when it shall be wrong. */
    length?: number;
    checksum?: ChecksumKind;
  };
  /** Default: an echo request. Of IPv6: ICMPv6. */
  icmp?: {
    type?: number;
    code?: number;
    /** The last four bytes of its header: identifier and sequence, or the MTU of an error. */
    rest?: number;
    checksum?: ChecksumKind;
  };
  /** Bytes after the transport header. Default 0. */
  payload?: number;
  /** The frame is cut after so many bytes, Ethernet header included. */
  truncated?: number;
}

/** What a frame's own description leaves open. */
export interface FrameDefaults {
  family: 4 | 6;
  src: string;
  dst: string;
  smac: string;
  dmac: string;
  sport: number;
  dport: number;
}

/** Frames as an agent is told to send them: all of them one after the other, `count` times (of the plan). */
export interface FramesPlan {
  device: string;
  defaults: FrameDefaults;
  list: FrameSpec[];
}
