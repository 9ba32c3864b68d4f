import { Engine, type RuleProperties } from 'json-rules-engine';
import { FIELD_SPECS, type FieldName } from '../src/events/field-names.js';
import type { SkbEvent } from '../src/events/types.js';
import type { PlannedProbe, ProbePoint } from '../src/probes/types.js';
import { Classifier } from '../src/rules/classify.js';
import { compileCondition, type FieldTable, type FieldValue } from '../src/rules/compile.js';
import { installOperators } from '../src/rules/engine.js';
import type { EventRule } from '../src/rules/types.js';
import { type Library, loadLibrary } from '../src/scenarios/library.js';

type Event = Record<string, FieldValue> & { index: number };

/** Time per event of each way to evaluate the shipped rules, ns, and how many times the first one's. */
export interface RulesBench {
  rules: number;
  /** Rules that events met; the same in all three ways, or the bench throws. */
  met: number;
  indexed: number;
  compiled: { ns: number; ratio: number };
  jsonRulesEngine: { ns: number; ratio: number };
}

const FIELDS: FieldTable<Event> = Object.fromEntries(
  (Object.keys(FIELD_SPECS) as FieldName[]).map((name) => [
    name,
    { type: FIELD_SPECS[name].type, read: (event: Event) => event[name] },
  ]),
);

/**
 * The shipped rules over made-up events, three ways in one run: compiled and indexed by probe, as runs do it, grouping
 * included; compiled, each rule asked; json-rules-engine, each rule asked (on fewer events: it is slow).
 */
export async function benchRules(
  { rules, catalogue }: Pick<Library, 'rules' | 'catalogue'> = loadLibrary(),
  events = 200_000,
  engineEvents = 200,
): Promise<RulesBench> {
  const sample = someEvents(catalogue.points, 4096);
  const indexed = classifierOf(rules, catalogue.points);
  const each = rules.map((rule) => ({
    test: compileCondition(rule.when, FIELDS),
    probes: new Set(probesOf(rule, catalogue.points)),
  }));
  const oneByOne = (event: Event): number =>
    each.reduce((met, { test, probes }) => met + (probes.has(event['event.probe']) && test(event) ? 1 : 0), 0);
  for (let i = 0; i < 50_000; i++) indexed.classify(sample[i & 4095]) + oneByOne(sample[i & 4095]);

  const fast = await timed(events, (i) => indexed.classify(sample[i & 4095]));
  const slow = await timed(events, (i) => oneByOne(sample[i & 4095]));
  const engine = engineOf(rules, catalogue.points);
  const slowest = await timed(engineEvents, async (i) => (await engine.run(present(sample[i & 4095]))).events.length);
  const again = await timed(engineEvents, (i) => indexed.classify(sample[i & 4095]));
  if (fast.met !== slow.met || slowest.met !== again.met) throw new Error('the three ways do not agree');
  return {
    rules: rules.length,
    met: fast.met,
    indexed: fast.ns,
    compiled: { ns: slow.ns, ratio: slow.ns / fast.ns },
    jsonRulesEngine: { ns: slowest.ns, ratio: slowest.ns / fast.ns },
  };
}

async function timed(
  count: number,
  one: (i: number) => number | Promise<number>,
): Promise<{ ns: number; met: number }> {
  let met = 0;
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    const result = one(i);
    met += typeof result === 'number' ? result : await result;
  }
  return { ns: Number(process.hrtime.bigint() - start) / count, met };
}

function probesOf(rule: EventRule, points: readonly ProbePoint[]): FieldValue[] {
  return points
    .filter(({ name, role }) => rule.on.includes(name) || rule.on.includes(`role:${role}`))
    .map(({ name }) => name);
}

function classifierOf(rules: EventRule[], points: readonly ProbePoint[]): Classifier<Event> {
  const plan = points.map((point, index): PlannedProbe => ({ index, point, backend: 'kprobe', reasons: [] }));
  return new Classifier(rules, plan, FIELDS, {
    probe: (event) => event.index,
    ts: () => 0,
    flow: (event) => `${event['packet.proto']} ${event['packet.src']} → ${event['packet.dst']}`,
    toEvent: (event) => ({ ts: 0, probe: event['event.probe'] }) as SkbEvent,
  });
}

function engineOf(rules: EventRule[], points: readonly ProbePoint[]): Engine {
  const engine = new Engine([], { allowUndefinedFacts: true });
  installOperators(engine);
  for (const rule of rules) {
    const ofProbe = { fact: 'event.probe', operator: 'in', value: probesOf(rule, points) };
    engine.addRule({
      conditions: { all: [ofProbe, structuredClone(rule.when)] } as RuleProperties['conditions'],
      event: { type: rule.id },
    });
  }
  return engine;
}

function present(event: Event): Event {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined)) as Event;
}

/** Events as a busy host gives them: mostly packets passing by, some drops and verdicts. The same ones every time. */
function someEvents(points: readonly ProbePoint[], count: number): Event[] {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  const one = <T>(list: readonly T[]): T => list[random(list.length)];
  return Array.from({ length: count }, () => {
    const index = random(points.length);
    const { name, group, role } = points[index];
    const drop = role === 'drop';
    return {
      index,
      'event.probe': name,
      'event.group': group,
      'event.role': role,
      'event.device': one(['tap1', 'tap2', 'eth0']),
      'event.netns': 4026531840,
      'event.cpu': random(8),
      'event.ret': 0,
      'event.len': 60 + random(1400),
      'event.reason': drop
        ? one(['NO_SOCKET', 'NETFILTER_DROP', 'QDISC_DROP', 'NOT_SPECIFIED', 'TCP_OLD_DATA'])
        : undefined,
      'event.dropped': drop,
      'event.verdict': group === 'netfilter' ? one(['NF_ACCEPT', 'NF_ACCEPT', 'NF_ACCEPT', 'NF_DROP']) : undefined,
      'packet.src': `10.0.0.${random(4)}`,
      'packet.dst': `10.0.1.${random(4)}`,
      'packet.proto': one(['TCP', 'UDP', 'ICMP']),
      'packet.ttl': 64,
      'packet.multicast': false,
      'path.sinceLastMs': random(100) / 100,
    };
  });
}
