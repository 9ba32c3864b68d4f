import { commandPrefix, known, numberParam, textParam, unknown, unnamed } from '../facts.js';
import type { Socket } from '../parsers/sockets.js';
import { NOBODY, OWNER_MEMBERS, ownerOf, ownerText } from '../socket-owner.js';
import { askSockets, hostOf, nameOf, settingOf } from '../socket-queries.js';
import { parseAddress } from '../firewall/address-match.js';
import type { EvidenceCollector } from '../types.js';

/** Connections that are looked at, at most: a busy pair may have very many. */
const MOST = 2000;

/** Of the TCP connections between two addresses the one that waits for its own process, or is held back, most. */
export const connection: EvidenceCollector = {
  name: 'connection',
  describe: 'Of the TCP connections between two addresses, the one that is held back most at this end, and by what.',
  params: {
    address: 'own address',
    peer: "the other end's address",
    port: 'own port; absent: any',
    peerPort: "the other end's port; absent: any",
    of: '`reading` (default): the one with most unread data; `sending`: the one with most data to send',
  },
  members: {
    found: 'there is one',
    localName: 'own address and port; empty without one',
    peerName: 'those of the other end; empty without one',
    port: 'own port; 0 without one',
    ...OWNER_MEMBERS,
    accepted: 'a process has it: it does not wait for accept',
    unread: 'bytes that have come and are not read',
    unreadMs: 'time since data last came, ms; null when not known',
    rcvbuf: 'limit of its receive queue, bytes; null when unknown',
    rmem: 'memory of its receive queue, bytes; null when unknown',
    rcvbufMax: 'most that it may grow to (net.ipv4.tcp_rmem); null when unknown',
    receiveFull: 'its receive queue is at three quarters of its limit or more: the window is closed, or nearly',
    unsent: 'bytes sent or to be sent that are not acknowledged',
    sndbuf: 'limit of its send queue, bytes; null when unknown',
    sndbufMax: 'most that it may grow to (net.ipv4.tcp_wmem); null when unknown',
    sndbufAtMost: 'its send queue grows no more: it is at that limit, or its program fixed its size',
    couldTake:
      "bytes that the network and the peer's window would take at one time: the smaller of both; null when unknown",
    sendBufferLeast:
      'its send queue holds less than that, and less was under way (the kernel asks for room a segment of up to 64 KB at a time, net/ipv4/tcp.c: tcp_sendmsg_locked)',
    underWay:
      'bytes that were under way at one time, at least, on average while it had data to send; null when unknown',
    sendBufferFilled:
      'that is more than half of what its send queue holds, which counts memory and not data alone: it was full most of that time',
    neededSndbuf: 'a most that would let it grow, bytes',
    busyMs: 'time that it had data to send, ms',
    windowLimitedPercent: "share of that in which the peer's window held it back, percent",
    sendBufferLimitedPercent: 'share of that in which its own send buffer held it back, percent',
    raiseCommand:
      'raises the most that receive (or, of `sending`, send) buffers may grow to; it takes effect for new connections',
    restoreCommand: 'undoes that',
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const [address = '', peer = ''] = [textParam(params, 'address'), textParam(params, 'peer')];
    const filter = [
      ...end('src', address, numberParam(params, 'port')),
      ...end('dst', peer, numberParam(params, 'peerPort')),
    ];
    const command = `${prefix}ss -n -t -a -p -m -i ${filter.join(' ')}`;
    if (!parseAddress(address) || !parseAddress(peer)) return unnamed('no two addresses were named', command);
    const answer = await askSockets(source, params, ['-t', '-a', '-p', '-m', '-i'], ...filter);
    if (!answer.known) return unknown(answer.why, command);
    const sending = params.of === 'sending';
    const weight = (one: Socket): number => (sending ? (one.busyMs ?? 0) * 1e6 + one.sendQ : one.recvQ);
    const open = answer.value.filter((one) => ['ESTAB', 'CLOSE-WAIT', 'FIN-WAIT-1', 'FIN-WAIT-2'].includes(one.state));
    const chosen = open.slice(0, MOST).sort((x, y) => weight(y) - weight(x))[0];
    if (!chosen) return known(NONE, command, `no connection between ${address} and ${peer} is open`);
    const owner = await ownerOf(source, chosen);
    const [, , sndbufMax = null] = await settingOf(source, params, 'net.ipv4.tcp_wmem');
    const [least = 4096, standard = 16_384] = await settingOf(source, params, 'net.ipv4.tcp_wmem');
    const [leastRead = 4096, standardRead = 131_072, rcvbufMax = null] = await settingOf(
      source,
      params,
      'net.ipv4.tcp_rmem',
    );
    const percent = (part: number | undefined): number =>
      chosen.busyMs ? Math.min(100, Math.round(((part ?? 0) / chosen.busyMs) * 100)) : 0;
    const neededSndbuf = Math.max(4_194_304, 2 * (sndbufMax ?? 0));
    const { cwnd, mss, sndWnd } = chosen;
    const couldTake =
      cwnd === undefined || mss === undefined || sndWnd === undefined ? null : Math.min(cwnd * mss, sndWnd);
    // By Little's law, with the shortest round trip, so that it is no less; `busy` is the time with data that is not acknowledged (tcp_input.c: TCP_CHRONO_BUSY).
    const underWay =
      chosen.bytesAcked === undefined || chosen.minRttMs === undefined || !chosen.busyMs
        ? null
        : Math.round((chosen.bytesAcked * chosen.minRttMs) / chosen.busyMs);
    const set = (name: string, ...numbers: number[]): string =>
      `${prefix}sysctl -w "net.ipv4.${name}=${numbers.join(' ')}"`;
    const commands = sending
      ? sndbufMax !== null && {
          raiseCommand: set('tcp_wmem', least, Math.max(standard, 16_384), neededSndbuf),
          restoreCommand: set('tcp_wmem', least, standard, sndbufMax),
        }
      : rcvbufMax !== null && {
          raiseCommand: set('tcp_rmem', leastRead, Math.max(standardRead, 131_072), Math.max(16 << 20, 2 * rcvbufMax)),
          restoreCommand: set('tcp_rmem', leastRead, standardRead, rcvbufMax),
        };
    const value = {
      ...NONE,
      found: true,
      localName: nameOf(chosen),
      peerName: `${hostOf(chosen.peerAddress)}:${chosen.peerPort}`,
      port: chosen.port,
      ...owner,
      accepted: owner.pid !== 0,
      unread: chosen.recvQ,
      unreadMs: chosen.lastReceiveMs ?? null,
      rcvbuf: chosen.rcvbuf ?? null,
      rmem: chosen.rmem ?? null,
      rcvbufMax,
      receiveFull: chosen.rmem !== undefined && chosen.rcvbuf !== undefined && chosen.rmem >= 0.75 * chosen.rcvbuf,
      unsent: chosen.sendQ,
      sndbuf: chosen.sndbuf ?? null,
      sndbufMax,
      sndbufAtMost:
        chosen.sndbuf !== undefined && (sndbufMax === null || chosen.sndbuf >= sndbufMax || chosen.sndbuf < standard),
      couldTake,
      sendBufferLeast:
        couldTake !== null && chosen.sndbuf !== undefined && Math.max(chosen.sndbuf, underWay ?? 0) < couldTake,
      underWay,
      sendBufferFilled: underWay !== null && chosen.sndbuf !== undefined && underWay > chosen.sndbuf / 2,
      neededSndbuf,
      busyMs: chosen.busyMs ?? 0,
      windowLimitedPercent: percent(chosen.windowLimitedMs),
      sendBufferLimitedPercent: percent(chosen.sendBufferLimitedMs),
      ...commands,
    };
    const whose = ownerText(owner);
    const parts = [`${value.localName} ↔ ${value.peerName}${whose === '' ? ', which no process has' : ` of ${whose}`}`];
    if (owner.stopped) parts.push(`which is ${owner.stateText}`);
    if (sending) {
      parts.push(`${value.sndbuf ?? '?'} bytes of send buffer (tcp_wmem allows ${sndbufMax ?? '?'})`);
      parts.push(`held back ${value.sendBufferLimitedPercent}% of ${value.busyMs} ms by it`);
      parts.push(`${value.windowLimitedPercent}% by the peer's window`);
      if (underWay !== null) parts.push(`at least ${underWay} bytes under way on average`);
    } else parts.push(`${value.unread} bytes unread`, `receive buffer ${value.rmem ?? '?'} of ${value.rcvbuf ?? '?'}`);
    return known(value, command, parts.join(', '));
  },
};

const end = (word: 'src' | 'dst', address: string, port: number | undefined): string[] => [
  word,
  `${hostOf(address)}${port === undefined ? '' : `:${port}`}`,
];

const NONE = {
  found: false,
  localName: '',
  peerName: '',
  port: 0,
  ...NOBODY,
  accepted: false,
  unread: 0,
  unreadMs: null,
  rcvbuf: null,
  rmem: null,
  rcvbufMax: null,
  receiveFull: false,
  unsent: 0,
  sndbuf: null,
  sndbufMax: null,
  sndbufAtMost: false,
  couldTake: null,
  sendBufferLeast: false,
  underWay: null,
  sendBufferFilled: false,
  neededSndbuf: 0,
  busyMs: 0,
  windowLimitedPercent: 0,
  sendBufferLimitedPercent: 0,
  raiseCommand: '',
  restoreCommand: '',
};
