import {
  commandPrefix,
  delta,
  grewBy,
  known,
  numberParam,
  textOfAnswer,
  textParam,
  unknown,
  unnamed,
  where,
} from '../facts.js';
import { protocolNumber } from '../firewall/model.js';
import { parseSockets, type Socket } from '../parsers/sockets.js';
import { NOBODY, OWNER_MEMBERS, ownerOf, ownerText, type SocketOwner } from '../socket-owner.js';
import { isWildcard, nameOf, roundUp, sameAddress, settingOf, takes } from '../socket-queries.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource } from '../types.js';

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
    ...OWNER_MEMBERS,
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
    rcvbufMax: 'most that SO_RCVBUF may ask for (net.core.rmem_max); null when unknown',
    rcvbufDefault: 'what a socket has that does not ask (net.core.rmem_default); null when unknown',
    rcvbufFrom: '`net.core.rmem_default`: it has the default; `SO_RCVBUF`: its program asked for it',
    neededRcvbuf: 'a limit that holds the packets it dropped as well, bytes; null when unknown',
    raiseCommand: 'raises net.core.rmem_default and rmem_max to that; it takes effect for sockets made afterwards',
    restoreCommand: 'undoes that',
    drops: 'packets it dropped since it was made; null when unknown',
    dropsDelta: 'packets it dropped during the run; null when not read before',
    cwnd: 'congestion window, segments; null when it is no connection',
    rttMs: 'smoothed round trip, ms; null when it is no connection',
    retransmits: 'segments sent again since it was made; null when it is no connection',
    sndWnd: "the peer's window, bytes; null when unknown",
    ephemeral: 'the port is one of those that the kernel gives to who asks (net.ipv4.ip_local_port_range)',
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
      return unnamed('no port was named', command);
    const answer = await source.run(at(protocol, port), where(params, 'after'));
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const sockets = parseSockets(answer.text).filter((one) => one.port === port);
    const address = textParam(params, 'address');
    const listener = sockets.find((one) => isOpen(one) && takes(one, address));
    const chosen = connection(sockets, params) ?? listener;
    const [low = 0, high = 0] = await settingOf(source, params, 'net.ipv4.ip_local_port_range');
    const ephemeral = port >= low && port <= high;
    const elsewhere = sockets.filter((one) => isOpen(one) && !takes(one, address)).map(nameOf);
    if (!chosen) {
      const blocked = sockets.find(isOpen);
      const other = elsewhere.length > 0 ? `, only on ${elsewhere.join(', ')}` : '';
      return known(
        { ...NONE, ephemeral, ...(await ownerOf(source, blocked)), elsewhere: elsewhere.join(', ') },
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
    const dropsDelta = delta(was?.drops, chosen.drops);
    const owner = await ownerOf(source, chosen);
    const value = {
      ...valueOf(chosen),
      ...owner,
      ...(await roomOf(source, params, chosen, dropsDelta)),
      listens: listener !== undefined,
      dropsDelta,
      ephemeral,
      elsewhere: elsewhere.join(', '),
    };
    return known(value, command, textOf(chosen, owner, dropsDelta, params));
  },
};

const NONE = {
  exists: false,
  listens: false,
  state: '',
  local: '',
  wildcard: false,
  device: '',
  ...NOBODY,
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
  rcvbufMax: null,
  rcvbufDefault: null,
  rcvbufFrom: '',
  neededRcvbuf: null,
  raiseCommand: '',
  restoreCommand: '',
  drops: null,
  dropsDelta: null,
  cwnd: null,
  rttMs: null,
  retransmits: null,
  sndWnd: null,
  ephemeral: false,
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

/** How large its receive buffer is, where that comes from, and how large it had to be. */
async function roomOf(source: EvidenceSource, params: EvidenceParams, socket: Socket, dropped: number | null) {
  const { rcvbuf } = socket;
  const [most = null] = await settingOf(source, params, 'net.core.rmem_max');
  const [standard = null] = await settingOf(source, params, 'net.core.rmem_default');
  const none = { rcvbufMax: most, rcvbufDefault: standard, rcvbufFrom: '', neededRcvbuf: null };
  if (rcvbuf === undefined || socket.state === 'LISTEN') return none;
  // A small datagram takes about 1 KiB of it: skb and its data are counted whole (truesize).
  const needed = roundUp(Math.max(2 * rcvbuf, rcvbuf + (dropped ?? 0) * 1024));
  return {
    rcvbufMax: most,
    rcvbufDefault: standard,
    rcvbufFrom: rcvbuf === standard ? 'net.core.rmem_default' : 'SO_RCVBUF',
    neededRcvbuf: needed,
    ...(most !== null &&
      standard !== null && {
        raiseCommand: `sysctl -w net.core.rmem_max=${Math.max(most, needed)} net.core.rmem_default=${Math.max(standard, needed)}`,
        restoreCommand: `sysctl -w net.core.rmem_max=${most} net.core.rmem_default=${standard}`,
      }),
  };
}

function textOf(socket: Socket, owner: SocketOwner, dropsDelta: number | null, params: EvidenceParams): string {
  const whose = ownerText(owner);
  const parts = [`${nameOf(socket)} ${socket.state}${whose === '' ? '' : ` of ${whose}`}`];
  if (owner.stopped) parts.push(`which is ${owner.stateText}`);
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
      (peer === undefined || sameAddress(one.peerAddress, peer)),
  );
}

const isOpen = (socket: Socket): boolean => socket.state === 'LISTEN' || socket.state === 'UNCONN';
