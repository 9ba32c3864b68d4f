import { commandPrefix, delta, known, numberParam, textOfAnswer, textParam, unknown, where } from '../facts.js';
import { parseSnmp } from '../parsers/proc-net.js';
import type { Socket } from '../parsers/sockets.js';
import { NOBODY, OWNER_MEMBERS, ownerOf, ownerText } from '../socket-owner.js';
import { askSockets, isLocalAddress, nameOf, roundUp, settingOf, takes } from '../socket-queries.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource } from '../types.js';

/** A tenth of a second: what a process may take to come round to accept without being late. */
const IN_TIME_MS = 100;

/**
 * The listening TCP socket of an address whose queues are fullest, and what limits them: connections that wait for accept
 * (sk_acceptq_is_full, include/net/sock.h) and half-open ones (tcp_conn_request, net/ipv4/tcp_input.c).
 */
export const listener: EvidenceCollector = {
  name: 'listener',
  describe: 'Of the TCP sockets that listen on an address, the one whose queues are fullest, with their limits.',
  params: {
    address: 'own address that connections are made to',
    port: 'its port; absent: any',
  },
  members: {
    local: 'the address belongs to this namespace; null when that is not known',
    found: 'something listens on it',
    others: 'other listening sockets for the same address',
    port: 'port; 0 without one',
    bound: 'address and port it is bound to; empty without one',
    ...OWNER_MEMBERS,
    acceptQueue: 'connections that wait for accept',
    backlog: 'most of them',
    full: 'no more connection fits: more wait than the limit',
    overflows: 'times a connection did not fit during the run, in the whole namespace; null when not read before',
    drops: 'connection requests dropped for any reason during the run, likewise',
    limitedBy: '`net.core.somaxconn`: the limit is that of the kernel; `listen()`: the program asked for no more',
    somaxconn: 'net.core.somaxconn; null when unknown',
    neededBacklog: 'a limit that holds what did not fit as well',
    waitingMs: 'longest time that a connection has waited for accept, ms; 0 when none waits, null when not known',
    late: 'a connection has waited for accept for long',
    halfOpen: 'connections of which the handshake is not complete',
    maxSynBacklog: 'net.ipv4.tcp_max_syn_backlog; null when unknown',
    syncookies: 'net.ipv4.tcp_syncookies: 0 off, 1 when the queue is full, 2 always; null when unknown',
    synLimit: 'half-open connections that it takes: the smaller of the two limits',
    synLimitedBy: '`net.ipv4.tcp_max_syn_backlog`, or `backlog`: the limit of accept; for half-open connections',
    halfOpenFull: 'no more half-open connection fits',
    requestsDropped:
      'requests dropped because of that during the run, in the whole namespace; null when not read before',
    cookiesSent: 'requests answered with a cookie instead, likewise',
    neededSynBacklog: 'a limit that holds twice as many',
    raiseCommand: 'raises net.core.somaxconn to the needed limit; it takes effect when the program listens anew',
    restoreCommand: 'undoes that',
    raiseSynCommand: 'raises net.ipv4.tcp_max_syn_backlog, and lets cookies be sent',
    restoreSynCommand: 'undoes that',
  },

  async before(source, netns) {
    await source.read('/proc/net/netstat', { netns, phase: 'before' });
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const address = textParam(params, 'address');
    const port = numberParam(params, 'port');
    const command = `${prefix}ss -n -l -t -p${port === undefined ? '' : ` sport = :${port}`}`;
    const local = address === undefined ? true : await isLocalAddress(source, params, address);
    if (local === false) return known({ ...NONE, local }, command, `${address} is not an address of this namespace`);
    const answer = await askSockets(source, params, ['-l', '-t', '-p', '-m']);
    if (!answer.known) return unknown(answer.why, command);
    // Two states each: of one alone, ss leaves the column of states out.
    const halfOpen = await askSockets(source, params, ['-t'], 'state', 'syn-recv', 'state', 'syn-sent');
    const open = answer.value.filter(
      (one) => one.state === 'LISTEN' && takes(one, address) && (port === undefined || one.port === port),
    );
    const halfOpenOf = (socket: Socket): number =>
      halfOpen.known ? halfOpen.value.filter((one) => one.state === 'SYN-RECV' && one.port === socket.port).length : 0;
    const fullest = open.sort((x, y) => y.recvQ - x.recvQ || halfOpenOf(y) - halfOpenOf(x))[0];
    if (!fullest) return known({ ...NONE, local: local ?? null }, command, 'nothing listens there');
    const owner = await ownerOf(source, fullest);
    const counters = await countersOf(source, params);
    const accept = await acceptQueueOf(source, params, fullest, counters.overflows, prefix);
    const half = await halfOpenQueueOf(source, params, fullest, halfOpenOf(fullest), prefix);
    const whose = ownerText(owner);
    const parts = [
      `${nameOf(fullest)}${whose === '' ? '' : ` of ${whose}`}: ${fullest.recvQ} connections wait for accept, ${fullest.sendQ} may (${accept.limitedBy})`,
    ];
    if (owner.stopped) parts.push(`the process is ${owner.stateText}`);
    else if (accept.late) parts.push(`one for ${accept.waitingMs} ms`);
    if (half.halfOpen > 0) parts.push(`${half.halfOpen} are half open, ${half.synLimit} may be (${half.synLimitedBy})`);
    if (counters.overflows) parts.push(`${counters.overflows} did not fit`);
    if (counters.requestsDropped) parts.push(`${counters.requestsDropped} requests dropped`);
    if (counters.cookiesSent) parts.push(`${counters.cookiesSent} answered with a cookie`);
    const value = {
      ...NONE,
      local: local ?? null,
      found: true,
      others: open.length - 1,
      port: fullest.port,
      bound: nameOf(fullest),
      ...owner,
      ...accept,
      ...half,
      ...counters,
    };
    return known(value, command, parts.join(', '));
  },
};

const NONE = {
  local: null,
  found: false,
  others: 0,
  port: 0,
  bound: '',
  ...NOBODY,
  acceptQueue: 0,
  backlog: 0,
  full: false,
  overflows: null,
  drops: null,
  limitedBy: '',
  somaxconn: null,
  neededBacklog: 0,
  waitingMs: 0,
  late: false,
  halfOpen: 0,
  maxSynBacklog: null,
  syncookies: null,
  synLimit: 0,
  synLimitedBy: '',
  halfOpenFull: false,
  requestsDropped: null,
  cookiesSent: null,
  neededSynBacklog: 0,
  raiseCommand: '',
  restoreCommand: '',
  raiseSynCommand: '',
  restoreSynCommand: '',
};

async function countersOf(source: EvidenceSource, params: EvidenceParams) {
  const [before, after] = await Promise.all(
    (['before', 'after'] as const).map(async (phase) =>
      textOfAnswer(await source.read('/proc/net/netstat', where(params, phase))),
    ),
  );
  const [was, is] = [before, after].map((text) => (text === undefined ? undefined : parseSnmp(text)));
  const grown = (name: string): number | null =>
    was && is ? delta(was.get(`TcpExt${name}`) ?? 0, is.get(`TcpExt${name}`) ?? 0) : null;
  return {
    overflows: grown('ListenOverflows'),
    drops: grown('ListenDrops'),
    requestsDropped: grown('TCPReqQFullDrop'),
    cookiesSent: grown('SyncookiesSent'),
  };
}

async function acceptQueueOf(
  source: EvidenceSource,
  params: EvidenceParams,
  { port, recvQ, sendQ }: Socket,
  overflows: number | null,
  prefix: string,
) {
  const [somaxconn = null] = await settingOf(source, params, 'net.core.somaxconn');
  const waiting =
    recvQ === 0
      ? undefined
      : await askSockets(
          source,
          params,
          ['-t', '-p', '-i'],
          'state',
          'established',
          'state',
          'close-wait',
          `sport = :${port}`,
        );
  const waits = waiting?.known
    ? waiting.value.filter((one) => one.users.length === 0).map((one) => one.lastSendMs ?? 0)
    : [];
  const waitingMs = recvQ === 0 ? 0 : waiting?.known ? Math.max(0, ...waits) : null;
  // What came again and again is counted each time: twice the present limit is the least that helps.
  const neededBacklog = Math.min(65_535, roundUp(Math.max(2 * sendQ, sendQ + (overflows ?? 0), 128)));
  return {
    acceptQueue: recvQ,
    backlog: sendQ,
    full: recvQ > sendQ,
    limitedBy: sendQ === somaxconn ? 'net.core.somaxconn' : 'listen()',
    somaxconn,
    neededBacklog,
    waitingMs,
    late: waitingMs !== null && waitingMs > IN_TIME_MS * 10,
    ...(somaxconn !== null && {
      raiseCommand: `${prefix}sysctl -w net.core.somaxconn=${Math.max(somaxconn, neededBacklog)}`,
      restoreCommand: `${prefix}sysctl -w net.core.somaxconn=${somaxconn}`,
    }),
  };
}

async function halfOpenQueueOf(
  source: EvidenceSource,
  params: EvidenceParams,
  { sendQ }: Socket,
  halfOpen: number,
  prefix: string,
) {
  const [maxSynBacklog = null] = await settingOf(source, params, 'net.ipv4.tcp_max_syn_backlog');
  const [syncookies = null] = await settingOf(source, params, 'net.ipv4.tcp_syncookies');
  // Without cookies, the last quarter of tcp_max_syn_backlog is kept for peers that are known.
  const ofSetting = maxSynBacklog === null || syncookies !== 0 ? Infinity : maxSynBacklog - (maxSynBacklog >> 2);
  const synLimit = Math.min(sendQ, ofSetting);
  const needed = roundUp(Math.max(1024, 2 * (maxSynBacklog ?? 0)));
  return {
    halfOpen,
    maxSynBacklog,
    syncookies,
    synLimit,
    synLimitedBy: ofSetting < sendQ ? 'net.ipv4.tcp_max_syn_backlog' : 'backlog',
    halfOpenFull: halfOpen >= synLimit,
    neededSynBacklog: needed,
    ...(maxSynBacklog !== null &&
      syncookies !== null && {
        raiseSynCommand: `${prefix}sysctl -w net.ipv4.tcp_syncookies=1 net.ipv4.tcp_max_syn_backlog=${needed}`,
        restoreSynCommand: `${prefix}sysctl -w net.ipv4.tcp_syncookies=${syncookies} net.ipv4.tcp_max_syn_backlog=${maxSynBacklog}`,
      }),
  };
}
