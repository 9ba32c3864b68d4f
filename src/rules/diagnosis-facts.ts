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
  share: number('share of the round trip, 0 to 1'),
  sharePercent: number('share of the round trip, 0 to 100'),
  budgetMs: ms('budget of the scenario, 0: none'),
  overBudget: flag('it takes longer than its budget'),
  judgedMs: ms('the latency that is held against the budget'),
  consumerPid: number('process that took the packets out, 0: not known'),
  consumerTid: number('its thread'),
  from: text('address that this direction comes from'),
  to: text('address that this direction goes to'),
  flow: text('from → to'),
  roundTripP99Ms: ms("99th percentile of the pair's round trips"),
  roundTrips: number('round trips of the pair'),
  drops: number('packets of this direction that were dropped'),
  bytes: number('bytes of this direction'),
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
    ...(none || suspect.each === 'unanswered' ? UNANSWERED_MEMBERS : {}),
    ...(none || suspect.each === 'sched' ? SCHED_MEMBERS : {}),
  };
}
