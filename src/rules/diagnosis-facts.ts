import type { FieldSpec, FieldType } from '../events/field-names.js';
import { subjectName } from './finding-groups.js';
import type { SuspectSpec } from './types.js';

/** A fact of diagnosis rules: what can be asked of it, and what it has. */
export interface DiagnosisFact {
  describe: string;
  /** Parameters: the types of constant that each takes. */
  params: Record<string, { type: FieldType | 'texts'; describe: string }>;
  members: Record<string, FieldSpec>;
}

const ms = (describe: string): FieldSpec => ({ type: 'number', describe: `${describe}, ms` });
const number = (describe: string): FieldSpec => ({ type: 'number', describe });
const text = (describe: string): FieldSpec => ({ type: 'string', describe });
const flag = (describe: string): FieldSpec => ({ type: 'boolean', describe });

const SEGMENT_MEMBERS: Record<string, FieldSpec> = {
  kind: text('forwarding, qdisc, driver, ring, stack, socket, peer'),
  segment: text("the segment's id in the scenario"),
  direction: text('forward or reverse'),
  device: text('device that it ends on'),
  fromDevice: text('device that it begins on'),
  netns: number('inode of the network namespace'),
  label: text('as the report calls it'),
  labelZh: text('the same in Chinese'),
  count: number('packets that were measured'),
  p50: text('median, as a person writes it: `1.90 ms`'),
  p99: text('99th percentile, likewise'),
  max: text('longest, likewise'),
  p50Ms: ms('median'),
  p90Ms: ms('90th percentile'),
  p99Ms: ms('99th percentile'),
  maxMs: ms('longest'),
  meanMs: ms('mean'),
  entered: number('packets that entered it'),
  lost: number('packets that entered it and did not leave it'),
  stuck: number('those of them that were not seen dropped: they are in it still, or nobody took them'),
  share: number('share of the round trip, 0 to 1'),
  sharePercent: number('share of the round trip, 0 to 100'),
  budgetMs: ms('budget of the scenario, 0: none'),
  overBudget: flag('it takes longer than its budget'),
  judgedMs: ms('the latency that is held against the budget'),
  consumerPid: number('process that took the packets out, 0: not known'),
  consumerTid: number('its thread'),
  softirq: flag('it is a kernel thread that takes packets in: ksoftirqd, or that of a threaded NAPI'),
  from: text('address that this direction comes from'),
  to: text('address that this direction goes to'),
  flow: text('from → to'),
  roundTripP99Ms: ms("99th percentile of the pair's round trips"),
  roundTrips: number('round trips of the pair'),
  drops: number('packets of this direction that were dropped'),
  bytes: number('bytes of this direction'),
  meanBytes: number('mean size of its packets, as the host handles them: a GSO packet is one'),
  seconds: number('s from the first to the last packet of the pair'),
};

const PAIR_MEMBERS: Record<string, FieldSpec> = {
  a: text('address of the end that spoke first'),
  b: text('address of the other end'),
  aDevice: text('device that packets of a first appear on'),
  bDevice: text('device that packets of b first appear on'),
  netns: number('inode of the network namespace of aDevice'),
  flow: text('a ⇄ b'),
  packets: number('packets in both directions'),
  packetsForward: number('packets from a to b'),
  packetsReverse: number('packets from b to a'),
  drops: number('packets that were dropped, both directions'),
  roundTrips: number('round trips that were matched'),
  roundTripP50Ms: ms('median round trip'),
  roundTripP99Ms: ms('99th percentile of the round trips'),
  turnaroundP99Ms: ms('99th percentile of the time b took to answer'),
};

const UNANSWERED_MEMBERS: Record<string, FieldSpec> = {
  device: text('device that the packets were last received on'),
  netns: number('inode of its network namespace'),
  via: number('inode of the namespace that they came through before; absent when that is not seen'),
  viaDevice: text('device by which they left that one'),
  src: text('address of the end that was heard'),
  dst: text('address of the other end'),
  count: number('packets that were not answered'),
  flow: text('src → dst'),
};

const END_MEMBERS: Record<string, FieldSpec> = {
  address: text('address of this end'),
  peer: text('address of the other end'),
  netns: number('inode of the network namespace that this end is in'),
  packetsTo: number('packets for it'),
  packetsFrom: number('packets from it'),
  seconds: number('s from the first to the last packet of the pair'),
  flow: text('peer → address'),
};

/** Where something happened to TCP's segments. */
const where = (name: string, what: string): Record<string, FieldSpec> => ({
  [name]: number(what),
  [`${name}Percent`]: number('of all that went there, percent'),
  [`${name}After`]: text('device that they passed before; empty: beyond what this host sees'),
  [`${name}Before`]: text('device behind it; empty likewise'),
  [`${name}Netns`]: number('network namespace of the former, else of the latter'),
  [`${name}Outside`]: flag('beyond this host: behind a tap or a physical device'),
  [`${name}Where`]: text('`between eth0 and tap1`, `beyond eth0`, `before eth0`; empty: nowhere'),
  [`${name}WhereZh`]: text('the same in Chinese'),
});

const STREAM_MEMBERS: Record<string, FieldSpec> = {
  src: text('address that it comes from'),
  dst: text('address that it goes to'),
  sport: number('source port of a conversation that suffered'),
  dport: number('its destination port'),
  flow: text('TCP src:sport → dst:dport'),
  device: text('device that most trouble is next to, else the first that packets pass'),
  netns: number('network namespace where its packets are first seen'),
  peerNetns: number('network namespace where they are last seen'),
  segments: number('segments with data'),
  bytes: number('bytes of data'),
  again: number('retransmissions'),
  againPercent: number('of the segments with data, percent'),
  needless: number('retransmissions of data whose acknowledgement had been seen'),
  arrivedBefore: number('retransmissions of data that had reached a receiver on this host'),
  againUnaccounted: number('retransmissions of neither that nor what came out of order'),
  localSrc: text('the sender, if it is on this host; else empty'),
  localDst: text('the receiver, likewise'),
  repeats: number('most retransmissions of one segment in a row'),
  longestWaitMs: ms('longest wait before one'),
  longestWait: text('the same, as a person writes it'),
  ...where('lost', 'segments that did not arrive, beyond this host'),
  ...where('acksLost', 'acknowledgements whose loss made the other end send again, beyond this host'),
  ...where('reordered', 'segments that came after later ones without having been sent again'),
  longestReorderMs: ms('how late at most'),
  longestReorder: text('the same, as a person writes it'),
  ...where('duplicated', 'segments that came twice without having been sent again'),
  opens: number('connections asked for (SYN)'),
  accepted: number('answers to these (SYN-ACK)'),
  client: text('who asked for connections'),
  server: text('whom it asked'),
  serverPort: number('at which port'),
  opening: text('what was lost of handshakes: SYN, SYN-ACK or empty'),
  ...where('openingLost', 'how many of these, beyond this host'),
  small: number('small segments'),
  stalls: number('times data waited for an acknowledgement that was delayed'),
  stallPercent: number('of the small segments, percent'),
  stallMs: ms('how long, mean'),
  stall: text('the same, as a person writes it'),
};

const HOP_MEMBERS: Record<string, FieldSpec> = {
  device: text('device that the packets came in by; where they were sent, the one that they left by'),
  outDevice: text('device that they left by; empty when they were not seen to leave'),
  netns: number('inode of the network namespace'),
  came: flag('they came in there, and were not sent there'),
  hop: number('0: the first namespace on the way, 1: the next …'),
  last: flag('they were seen no farther'),
  src: text('address that they come from'),
  dst: text('address that they are for'),
  count: number('packets that did not arrive, or were not answered'),
  mac: text('Ethernet address that they were first seen with as destination'),
  fromMac: text('Ethernet address that they were first seen with as source'),
  seenDevice: text('device of the namespace that frames from `mac` came in by; empty when none was seen'),
  macs: number('Ethernet addresses that packets of `dst` were seen with'),
  macsText: text('those'),
  flow: text('src → dst'),
};

const SCHED_MEMBERS: Record<string, FieldSpec> = {
  pid: number('process'),
  tid: number('thread that waited longest'),
  comm: text('its name'),
  count: number('times it waited'),
  p50Ms: ms('median wait for a CPU'),
  p99Ms: ms('99th percentile'),
  maxMs: ms('longest'),
};

/** Members of a group of findings beside what its rule groups by. */
const FINDING_MEMBERS: Record<string, FieldSpec> = {
  rule: text('id of the rule'),
  level: text('info, warn or error'),
  count: number('events'),
  flow: text('the flow that it hit most'),
  message: text("the rule's message"),
  src: text('source address of a sample'),
  dst: text('destination address of a sample'),
  sport: number('source port of a sample'),
  dport: number('destination port of a sample'),
  proto: text('protocol of a sample'),
  ttl: number('TTL of a sample'),
  length: number('length of a sample, bytes'),
  wireLength: number('the same, or of a GSO packet that of each of its segments, bytes'),
  seconds: number('s from the first to the last event'),
  smac: text('Ethernet address that a sample was first seen with as source'),
  firstTtl: number('TTL that a sample was first seen with'),
  visits: number('how often a sample came in by the device; 0: it was not followed'),
};

/** What a flow of a group of findings has beside the group's members. */
const FLOW_MEMBERS: Record<string, FieldSpec> = {
  direction: text('request or reply; empty when it cannot be told'),
  flags: text('TCP flags of a sample, as tcpdump writes them'),
  icmpType: number('ICMP type of a sample'),
};

const RUN_MEMBERS: Record<string, FieldSpec> = {
  seconds: number('how long it ran, s'),
  kernel: text("the kernel's release"),
  tracepointsOnly: flag('this kernel lets nothing be attached but tracepoints'),
};

/** Every fact that a diagnosis may compare, beside `evidence.<collector>`. Values are in src/diagnosis/facts.ts. */
export const DIAGNOSIS_FACTS: Record<string, DiagnosisFact> = {
  subject: {
    describe: 'what the suspicion is about; its members depend on `suspect`',
    params: {},
    members: {},
  },
  findings: {
    describe: 'findings of the whole run',
    params: {
      rule: { type: 'texts', describe: 'of this rule, or of any of these' },
      tag: { type: 'string', describe: 'of rules with this tag' },
      device: { type: 'string', describe: 'on this device' },
      same: { type: 'boolean', describe: 'true: on the device and in the namespace of the subject' },
      ends: { type: 'boolean', describe: 'true: between the addresses of the subject' },
      connection: { type: 'boolean', describe: 'true: of the connection that the subject is about, ports included' },
    },
    members: { count: number('events, 0: none'), groups: number('groups of findings') },
  },
  segment: {
    describe: "the slowest segment that fits, of the subject's pair if it has one",
    params: {
      kind: { type: 'string', describe: 'of this kind' },
      device: { type: 'string', describe: 'that ends on this device' },
      direction: { type: 'string', describe: 'forward or reverse' },
    },
    members: SEGMENT_MEMBERS,
  },
  sched: {
    describe: 'how long the threads of a process waited for a CPU; unknown without scheduler events',
    params: { pid: { type: 'number', describe: "the process; default: the subject's consumer" } },
    members: {
      ...SCHED_MEMBERS,
      totalOfSubject: number('all waits of the thread that waited most, divided by that longest stay; 0 without one'),
      ofSubject: number('the longest wait, divided by the longest stay in the segment that is suspect; 0 without one'),
    },
  },
  pair: {
    describe: "the subject's pair, else the busiest one",
    params: {},
    members: PAIR_MEMBERS,
  },
  host: { describe: 'the host and the run', params: {}, members: RUN_MEMBERS },
  run: { describe: 'the host and the run', params: {}, members: RUN_MEMBERS },
};

/** Members of `subject` for a suspect: of all kinds that it names, or of all kinds there are without one. */
export function subjectMembers(
  suspect: Partial<SuspectSpec> | undefined,
  fields: Readonly<Record<string, FieldSpec>>,
): Record<string, FieldSpec> {
  const none = !suspect || (!suspect.findings && !suspect.segments && !suspect.each);
  const grouped = Object.entries(fields).map(([name, spec]): [string, FieldSpec] => [
    subjectName(name),
    // A subject holds texts and numbers only.
    { ...spec, type: spec.type === 'boolean' ? 'string' : spec.type },
  ]);
  return {
    ...(none || suspect.findings ? { ...Object.fromEntries(grouped), ...FINDING_MEMBERS } : {}),
    ...(none || suspect.segments
      ? { ...SEGMENT_MEMBERS, lostAllPairs: number('lost, over all pairs'), pairs: number('pairs that use it') }
      : {}),
    ...(none || suspect.each === 'pair' ? PAIR_MEMBERS : {}),
    ...(none || suspect.each === 'end' ? END_MEMBERS : {}),
    ...(none || suspect.each === 'flow' ? FLOW_MEMBERS : {}),
    ...(none || suspect.each === 'unanswered' ? UNANSWERED_MEMBERS : {}),
    ...(none || suspect.each === 'stream' ? STREAM_MEMBERS : {}),
    ...(none || suspect.each === 'hop' ? HOP_MEMBERS : {}),
    ...(none || suspect.each === 'sched' ? SCHED_MEMBERS : {}),
  };
}
