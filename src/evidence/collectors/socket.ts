import { commandPrefix, delta, grewBy, known, numberParam, textParam, textOfAnswer, unknown, where } from '../facts.js';
import { parseAddress } from '../firewall/address-match.js';
import { protocolNumber } from '../firewall/model.js';
import { parseSockets, type Socket } from '../parsers/sockets.js';
import type { EvidenceCollector, EvidenceParams } from '../types.js';

const LISTENING = ['ss', '-H', '-n', '-l', '-t', '-m', '-O'];
const UNCONNECTED = ['ss', '-H', '-n', '-a', '-u', '-m', '-O'];
const at = (protocol: 'tcp' | 'udp', port: number): string[] => [
  'ss',
  '-H',
  '-n',
  '-a',
  '-p',
  '-m',
  '-i',
  '-O',
  protocol === 'tcp' ? '-t' : '-u',
  `sport = :${port}`,
];

/** Who listens on a port, or has a connection there, and how full its queues are (sock_diag). */
export const socket: EvidenceCollector = {
  name: 'socket',
  describe: 'The socket that a packet is for: is there one, whose is it, and how full are its queues.',
  params: {
    protocol: 'TCP or UDP',
    address: "own address of the socket: the packet's destination",
    port: 'own port',
    peer: "the other end's address, for a connection; absent: the listening socket",
    peerPort: "the other end's port",
    seconds: 'length of the run, for the text',
  },
  members: {
    exists: 'there is a socket that takes this packet',
    listens: 'a socket takes new connections (TCP) or datagrams (UDP) for this address and port',
    state: 'LISTEN, ESTAB, UNCONN, SYN-RECV, TIME-WAIT …; empty without one',
    local: 'address and port it is bound to; empty without one',
    wildcard: 'bound to all addresses',
    device: 'device it is bound to; empty without',
    process: 'name of the process that has it; empty when unknown',
    pid: 'its process; 0 when unknown',
    recvQueue: 'bytes not yet read; 0 for a listening TCP socket',
    sendQueue: 'bytes not yet acknowledged; 0 for a listening TCP socket',
    acceptQueue: 'listening TCP socket: connections waiting for accept; null for others',
    backlogMax: 'listening TCP socket: most of them; null for others',
    backlogFull: 'listening TCP socket: no more connection fits',
    rmem: 'memory of its receive queue, bytes; null when unknown',
    rcvbuf: 'limit of that, bytes; null when unknown',
    wmem: 'memory of its send queue, bytes; null when unknown',
    sndbuf: 'limit of that, bytes; null when unknown',
    receiveFull: 'its receive queue is at nine tenths of the limit or more',
    drops: 'packets it dropped since it was made; null when unknown',
    dropsDelta: 'packets it dropped during the run; null when not read before',
    cwnd: 'congestion window, segments; null when it is no connection',
    rttMs: 'smoothed round trip, ms; null when it is no connection',
    retransmits: 'segments sent again since it was made; null when it is no connection',
    sndWnd: "the peer's window, bytes; null when unknown",
    elsewhere: 'other addresses on which this port is served: `127.0.0.1:80`; empty without',
  },

  async before(source, netns) {
    await Promise.all([
      source.run(LISTENING, { netns, phase: 'before' }),
      source.run(UNCONNECTED, { netns, phase: 'before' }),
    ]);
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const protocol = protocolOf(params);
    const port = numberParam(params, 'port');
    const option = protocol === 'udp' ? '-u' : '-t';
    const command = `${prefix}ss -n -a -p -m -i ${option} 'sport = :${port ?? '?'}'`;
    if (protocol === undefined) return unknown('only TCP and UDP have such sockets', command);
    if (port === undefined || !Number.isInteger(port) || port < 1 || port > 65535)
      return unknown('no port was named', command);
    const answer = await source.run(at(protocol, port), where(params, 'after'));
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const sockets = parseSockets(answer.text).filter((one) => one.port === port);
    const address = textParam(params, 'address');
    const listener = sockets.find((one) => isOpen(one) && takes(one, address));
    const chosen = connection(sockets, params) ?? listener;
    const elsewhere = sockets.filter((one) => isOpen(one) && !takes(one, address)).map(nameOf);
    if (!chosen) {
      const other = elsewhere.length > 0 ? `, only on ${elsewhere.join(', ')}` : '';
      return known(
        { ...NONE, elsewhere: elsewhere.join(', ') },
        command,
        `nothing listens on ${protocol} port ${port}${address ? ` of ${address}` : ''}${other}`,
      );
    }
    const earlier = textOfAnswer(
      await source.run(protocol === 'udp' ? UNCONNECTED : LISTENING, where(params, 'before')),
    );
    const was =
      earlier === undefined
        ? undefined
        : parseSockets(earlier).find((one) => nameOf(one) === nameOf(chosen) && one.peerPort === chosen.peerPort);
    const value = {
      ...valueOf(chosen),
      listens: listener !== undefined,
      dropsDelta: delta(was?.drops, chosen.drops),
      elsewhere: elsewhere.join(', '),
    };
    return known(value, command, textOf(chosen, value.dropsDelta, params));
  },
};

const NONE = {
  exists: false,
  listens: false,
  state: '',
  local: '',
  wildcard: false,
  device: '',
  process: '',
  pid: 0,
  recvQueue: 0,
  sendQueue: 0,
  acceptQueue: null,
  backlogMax: null,
  backlogFull: false,
  rmem: null,
  rcvbuf: null,
  wmem: null,
  sndbuf: null,
  receiveFull: false,
  drops: null,
  dropsDelta: null,
  cwnd: null,
  rttMs: null,
  retransmits: null,
  sndWnd: null,
  elsewhere: '',
};

function valueOf(socket: Socket) {
  const listening = socket.state === 'LISTEN';
  const established = socket.state === 'ESTAB';
  return {
    ...NONE,
    exists: true,
    state: socket.state,
    local: nameOf(socket),
    wildcard: isWildcard(socket.address),
    device: socket.device,
    process: socket.users[0]?.process ?? '',
    pid: socket.users[0]?.pid ?? 0,
    recvQueue: listening ? 0 : socket.recvQ,
    sendQueue: listening ? 0 : socket.sendQ,
    acceptQueue: listening ? socket.recvQ : null,
    backlogMax: listening ? socket.sendQ : null,
    // The kernel takes one more than the limit (sk_acceptq_is_full).
    backlogFull: listening && socket.recvQ >= socket.sendQ,
    rmem: socket.rmem ?? null,
    rcvbuf: socket.rcvbuf ?? null,
    wmem: socket.wmem ?? null,
    sndbuf: socket.sndbuf ?? null,
    receiveFull:
      !listening && socket.rmem !== undefined && socket.rcvbuf !== undefined && socket.rmem >= 0.9 * socket.rcvbuf,
    drops: socket.drops ?? null,
    cwnd: established ? (socket.cwnd ?? null) : null,
    rttMs: established ? (socket.rttMs ?? null) : null,
    retransmits: established ? (socket.retransmits ?? 0) : null,
    sndWnd: socket.sndWnd ?? null,
  };
}

function textOf(socket: Socket, dropsDelta: number | null, params: EvidenceParams): string {
  const owner = socket.users[0];
  const parts = [`${nameOf(socket)} ${socket.state}${owner ? ` of ${owner.process} (${owner.pid})` : ''}`];
  if (socket.state === 'LISTEN') parts.push(`${socket.recvQ} of ${socket.sendQ} connections wait for accept`);
  else if (socket.rmem !== undefined)
    parts.push(`${socket.rmem} of ${socket.rcvbuf} bytes of its receive buffer in use`);
  if (dropsDelta) parts.push(`dropped ${grewBy(dropsDelta, params)}`);
  return parts.join(', ');
}

function protocolOf(params: EvidenceParams): 'tcp' | 'udp' | undefined {
  const number = protocolNumber(textParam(params, 'protocol'));
  return number === 6 ? 'tcp' : number === 17 ? 'udp' : undefined;
}

/** The connection with the named peer, when one is asked for. */
function connection(sockets: Socket[], params: EvidenceParams): Socket | undefined {
  const peer = textParam(params, 'peer');
  const peerPort = numberParam(params, 'peerPort');
  if (peer === undefined && peerPort === undefined) return undefined;
  return sockets.find(
    (one) =>
      one.peerPort > 0 &&
      (peerPort === undefined || one.peerPort === peerPort) &&
      (peer === undefined || same(one.peerAddress, peer)),
  );
}

const isOpen = (socket: Socket): boolean => socket.state === 'LISTEN' || socket.state === 'UNCONN';
const isWildcard = (address: string): boolean => ['*', '0.0.0.0', '::'].includes(address);
const nameOf = (socket: Socket): string =>
  `${socket.address.includes(':') ? `[${socket.address}]` : socket.address}${socket.device ? `%${socket.device}` : ''}:${socket.port}`;

/** Whether a socket's own address takes packets for that address: `*` is an IPv6 socket that takes IPv4 too. */
function takes(socket: Socket, address: string | undefined): boolean {
  if (address === undefined || socket.address === '*') return true;
  if (socket.address === '0.0.0.0') return !address.includes(':');
  if (socket.address === '::') return address.includes(':');
  return same(socket.address, address);
}

function same(a: string, b: string): boolean {
  return parseAddress(a)?.toString() === parseAddress(b)?.toString() && parseAddress(a) !== undefined;
}
