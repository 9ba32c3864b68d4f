import { VdiagError } from '../base/errors.js';

/** Where each member of the wire record lies: `struct.member` → [offset, size], bytes (bpf/wire.h). */
export interface WireLayout {
  version: number;
  layout: Record<string, [number, number]>;
}

/** Kinds of records, enum vd_kind. */
export const KIND = { hop: 1, packet: 2, verdict: 3, socket: 4, sched: 5, point: 6 } as const;

/** Bits of `flags`, enum vd_flag. */
export const FLAG = {
  freed: 1,
  dropped: 2,
  returned: 4,
  born: 8,
  cloned: 16,
  rewritten: 32,
  tunnel: 64,
  reused: 128,
  merged: 256,
  segment: 512,
} as const;

/** Names of the kinds, by number; 0 has none. */
export const KIND_NAMES = ['', 'hop', 'packet', 'verdict', 'socket', 'sched', 'point'] as const;

const STRUCTS = {
  vd_hop: {
    ...{ ts: 8, path: 8, skb: 8, aux: 8, ret: 8, probe: 4, kind: 2, flags: 2, cpu: 4, pid: 4, tid: 4, len: 4 },
    ...{ ifindex: 4, netns: 4, mark: 4, queue: 4, a: 4, b: 4, c: 4, d: 4, dev: 16 },
  },
  vd_headers: {
    ...{ saddr: 16, daddr: 16, sport: 2, dport: 2, ip_id: 2, frag: 2, seq: 4, ack: 4, window: 2, payload: 2 },
    ...{ ethertype: 2, proto: 1, version: 1, ttl: 1, tos: 1, tcp_flags: 1, icmp_type: 1, icmp_code: 1, tunnel: 1 },
    ...{ tunnel_id: 4 },
  },
  vd_packet: { outer: 0, inner: 0, gso_size: 2, gso_segs: 2, ip_summed: 1, pkt_type: 1, vlan: 2, smac: 6, dmac: 6 },
  vd_verdict: { hook: 1, pf: 1, table: 32, chain: 32 },
  vd_socket: {
    ...{ saddr: 16, daddr: 16, sport: 2, dport: 2, family: 2, protocol: 2 },
    ...{ rcvbuf: 4, rmem: 4, sndbuf: 4, wmem: 4, backlog: 4, backlog_max: 4 },
  },
  vd_sched: { wait: 8, comm: 16 },
} as const;

type Structs = typeof STRUCTS;

/** Offsets of a struct's members, bytes from the start of that struct. */
export type Offsets<S extends keyof Structs> = { readonly [M in keyof Structs[S]]: number };

/** The layout resolved once: plain offsets, and the least length of a record of each kind. */
export interface ResolvedLayout {
  hop: Offsets<'vd_hop'>;
  headers: Offsets<'vd_headers'>;
  packet: Offsets<'vd_packet'>;
  verdict: Offsets<'vd_verdict'>;
  socket: Offsets<'vd_socket'>;
  sched: Offsets<'vd_sched'>;
  /** Bytes up to the end of the last member that is read, by kind; Infinity for what is no kind. */
  sizes: readonly number[];
}

/**
 * Resolves the layout of a recording or of the compiled object.
 * @param origin what is named in the error: the recording's file, or `this build`.
 * @throws VdiagError (status 2) when a member is missing, has another size or lies where it cannot be read.
 */
export function resolveLayout(wire: WireLayout, origin: string): ResolvedLayout {
  const problems: string[] = [];
  const offsets = <S extends keyof Structs>(struct: S): Offsets<S> => {
    const entries = Object.entries(STRUCTS[struct] as Record<string, number>).map(([member, size]) => {
      const name = `${struct}.${member}`;
      const place = Object.hasOwn(wire.layout, name) ? wire.layout[name] : undefined;
      if (!isPlace(place)) problems.push(`${name} is missing`);
      else if (size > 0 && place[1] !== size) problems.push(`${name} has ${place[1]} bytes instead of ${size}`);
      else if (size % 4 === 0 && place[0] % 4 !== 0) problems.push(`${name} is not aligned`);
      else return [member, place[0]] as const;
      return [member, 0] as const;
    });
    return Object.fromEntries(entries) as Offsets<S>;
  };
  const resolved = {
    hop: offsets('vd_hop'),
    headers: offsets('vd_headers'),
    packet: offsets('vd_packet'),
    verdict: offsets('vd_verdict'),
    socket: offsets('vd_socket'),
    sched: offsets('vd_sched'),
  };
  const headersEnd = endOf(resolved.headers, STRUCTS.vd_headers);
  for (const member of ['outer', 'inner'] as const) {
    if (resolved.packet[member] % 4 !== 0) problems.push(`vd_packet.${member} is not aligned`);
  }
  if (problems.length > 0) {
    throw new VdiagError(
      {
        message: `${origin} describes its records differently: ${problems.slice(0, 3).join(', ')}`,
        expected: 'the records of bpf/wire.h',
        hint: 'read it with the vdiag that wrote it',
      },
      2,
    );
  }
  const packetEnd = Math.max(
    endOf(resolved.packet, STRUCTS.vd_packet),
    resolved.packet.outer + headersEnd,
    resolved.packet.inner + headersEnd,
  );
  const hopEnd = endOf(resolved.hop, STRUCTS.vd_hop);
  const ends = [
    hopEnd,
    packetEnd,
    endOf(resolved.verdict, STRUCTS.vd_verdict),
    endOf(resolved.socket, STRUCTS.vd_socket),
    endOf(resolved.sched, STRUCTS.vd_sched),
    // A point is a hop without a packet.
    hopEnd,
  ];
  return { ...resolved, sizes: [Infinity, ...ends.map((end) => Math.max(end, hopEnd))] };
}

const MAX_RECORD_BYTES = 4096;

function isPlace(place: unknown): place is [number, number] {
  return (
    Array.isArray(place) &&
    place.length === 2 &&
    place.every((n) => Number.isSafeInteger(n) && n >= 0 && n < MAX_RECORD_BYTES)
  );
}

function endOf(offsets: Record<string, number>, sizes: Record<string, number>): number {
  return Math.max(...Object.keys(sizes).map((member) => offsets[member] + sizes[member]));
}
