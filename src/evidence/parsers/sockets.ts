/** A socket as `ss -H -n -a -p -m -i -O` tells it. */
export interface Socket {
  /** `LISTEN`, `ESTAB`, `UNCONN`, `SYN-SENT`, `TIME-WAIT` … */
  state: string;
  /** Bytes unread; for a listening TCP socket: connections waiting for accept. */
  recvQ: number;
  /** Bytes unsent or unacknowledged; for a listening TCP socket: the limit of waiting connections. */
  sendQ: number;
  address: string;
  port: number;
  /** Device it is bound to; empty without. */
  device: string;
  peerAddress: string;
  peerPort: number;
  users: { process: string; pid: number }[];
  /** skmem: bytes in the receive queue, its limit, bytes in the send queue, its limit, packets dropped. */
  rmem?: number;
  rcvbuf?: number;
  wmem?: number;
  sndbuf?: number;
  drops?: number;
  cwnd?: number;
  rttMs?: number;
  rttVarMs?: number;
  minRttMs?: number;
  retransmits?: number;
  unacked?: number;
  sndWnd?: number;
  mss?: number;
  pmtu?: number;
  /** Bytes of data that the peer has acknowledged since the connection was made. */
  bytesAcked?: number;
  /** ms since data was last sent (or the connection was made), and since data last came. */
  lastSendMs?: number;
  lastReceiveMs?: number;
  /** ms in which it had data to send, and of these: the peer's window, the own send buffer held it back. */
  busyMs?: number;
  windowLimitedMs?: number;
  sendBufferLimitedMs?: number;
}

/** Parses the lines of ss; lines that are none of its are passed over. */
export function parseSockets(text: string): Socket[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(?:(?:tcp|udp|mptcp)\s+)?([A-Z][A-Z0-9-]+)\s+(\d+)\s+(\d+)\s+(\S+):(\S+)\s+(\S+):(\S+)(.*)$/.exec(
      line,
    );
    if (!match) return [];
    const [, state, recvQ, sendQ, local, port, peer, peerPort, rest] = match;
    const { address, device } = splitAddress(local);
    return [
      {
        state,
        recvQ: Number(recvQ),
        sendQ: Number(sendQ),
        address,
        port: Number(port) || 0,
        device,
        peerAddress: splitAddress(peer).address,
        peerPort: Number(peerPort) || 0,
        users: usersOf(rest),
        ...memoryOf(rest),
        ...tcpOf(rest.replace(/users:\(\(.*?\)\)/, '')),
      },
    ];
  });
}

/** `[fe80::1]%eth0`, `0.0.0.0%eth0`, `*`. */
function splitAddress(text: string): { address: string; device: string } {
  const match = /^\[?([^\]%]*)\]?(?:%([^\]]+)\]?)?$/.exec(text);
  return { address: match?.[1] ?? text, device: match?.[2] ?? '' };
}

function usersOf(text: string): Socket['users'] {
  return [...text.matchAll(/\("((?:[^"\\]|\\.)*)",pid=(\d+),fd=\d+\)/g)].map((match) => ({
    process: match[1],
    pid: Number(match[2]),
  }));
}

function memoryOf(text: string): Partial<Socket> {
  const match = /skmem:\(r(\d+),rb(\d+),t(\d+),tb(\d+)[^)]*?(?:,d(\d+))?\)/.exec(text);
  if (!match) return {};
  const [rmem, rcvbuf, wmem, sndbuf] = match.slice(1, 5).map(Number);
  return { rmem, rcvbuf, wmem, sndbuf, ...(match[5] === undefined ? {} : { drops: Number(match[5]) }) };
}

function tcpOf(text: string): Partial<Socket> {
  const number = (pattern: RegExp): number | undefined => {
    const match = pattern.exec(text);
    return match ? Number(match[1]) : undefined;
  };
  const rtt = / rtt:([\d.]+)\/([\d.]+)/.exec(text);
  const all: Partial<Socket> = {
    cwnd: number(/ cwnd:(\d+)/),
    rttMs: rtt ? Number(rtt[1]) : undefined,
    minRttMs: number(/ minrtt:([\d.]+)/),
    rttVarMs: rtt ? Number(rtt[2]) : undefined,
    retransmits: number(/ retrans:\d+\/(\d+)/),
    unacked: number(/ unacked:(\d+)/),
    sndWnd: number(/ snd_wnd:(\d+)/),
    mss: number(/ mss:(\d+)/),
    pmtu: number(/ pmtu:(\d+)/),
    bytesAcked: number(/ bytes_acked:(\d+)/),
    lastSendMs: number(/ lastsnd:(\d+)/),
    lastReceiveMs: number(/ lastrcv:(\d+)/),
    busyMs: number(/ busy:(\d+)ms/),
    windowLimitedMs: number(/ rwnd_limited:(\d+)ms/),
    sendBufferLimitedMs: number(/ sndbuf_limited:(\d+)ms/),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
