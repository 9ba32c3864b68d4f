import type { SkbEvent } from '../events/types.js';
import { printable } from '../base/sanitize.js';
import { fillTemplate, templateVariables, type TemplateData } from '../base/template.js';
import { fieldNamed, type Field, type FieldTable, type FieldValue } from './compile.js';
import { FlowTally } from './flow-tally.js';
import type { EventRule, FindingGroup, Level } from './types.js';

/** What tells one group of a rule's findings from another, unless the rule says otherwise. */
export const DEFAULT_GROUP_BY = [
  'event.device',
  'event.netns',
  'event.reason',
  'event.location',
  'event.table',
  'event.chain',
] as const;

/** Shown in a group's subject as long as all its events agree on them. */
const SHARED = [
  'event.probe',
  'event.hook',
  'event.verdict',
  'event.reasonInferred',
  'event.function',
  'event.family',
  'event.errno',
  'event.ifindex',
];

/**
 * Groups up to which a rule of a level may still open another: a flood of low findings leaves room for high ones. The
 * first group of every rule is always taken in.
 */
export const MAX_GROUPS: Record<Level, number> = { error: 2000, warn: 1500, info: 1000 };
const MAX_SAMPLES = 3;
const TOP_FLOWS = 5;

/** What is asked of an event beyond its fields. */
export interface EventAccess<C> {
  /** Index of its probe in the plan. */
  probe(cursor: C): number;
  /** ns, monotonic. */
  ts(cursor: C): number;
  /** `TCP 10.0.0.1:4711 → 10.0.0.2:80`; empty when it has no addresses. */
  flow(cursor: C): string;
  /** The event as an object, to keep. Called for at most a few events of each group. */
  toEvent(cursor: C): SkbEvent;
}

interface Named<C> {
  /** As the subject calls it: the part after the dot. */
  name: string;
  field: Field<C>;
}

/** A rule with everything resolved that its groups need. */
export interface GroupedRule<C> {
  rule: EventRule;
  key: Named<C>[];
  shared: Named<C>[];
  /** Fields that its messages name, by their full names. */
  inMessages: { name: string; field: Field<C> }[];
  groups: number;
}

/** Resolves a rule's grouping and message against the fields. @throws Error for unknown fields: the loader lets none through. */
export function groupedRule<C>(rule: EventRule, fields: FieldTable<C>): GroupedRule<C> {
  const key = (rule.groupBy ?? DEFAULT_GROUP_BY).map((name) => ({
    name: subjectName(name),
    field: fieldNamed(fields, name),
  }));
  const taken = new Set(key.map(({ name }) => name));
  const shared = SHARED.filter((name) => Object.hasOwn(fields, name) && !taken.has(subjectName(name))).map((name) => ({
    name: subjectName(name),
    field: fields[name],
  }));
  const variables = new Set([rule.message, rule.messageZh ?? ''].flatMap(templateVariables));
  const inMessages = [...variables]
    .filter((name) => !EVENT_EXTRAS.includes(name))
    .map((name) => ({ name, field: fieldNamed(fields, name) }));
  return { rule, key, shared, inMessages, groups: 0 };
}

/** What a message may name beside fields. */
export const EVENT_EXTRAS: readonly string[] = ['packet.summary', 'flow'];

/** `event.device` is `device` in a group's subject. */
export function subjectName(field: string): string {
  return field.slice(field.indexOf('.') + 1);
}

interface OpenGroup<C> {
  of: GroupedRule<C>;
  key: string;
  count: number;
  firstTs: number;
  lastTs: number;
  message: string;
  messageZh: string;
  /** Values of the rule's key fields, and of the shared ones as long as they are shared. */
  keyValues: FieldValue[];
  sharedValues: FieldValue[];
  flows: FlowTally;
  samples: SkbEvent[];
}

/** The findings of a run, grouped, in bounded memory. */
export class FindingGroups<C> {
  /** Events that were classified but whose group there was no room for, by rule id. */
  readonly overflow = new Map<string, number>();
  private readonly groups = new Map<string, OpenGroup<C>>();

  constructor(private readonly access: EventAccess<C>) {}

  /** Counts the event under the cursor as a finding of the rule. */
  add(of: GroupedRule<C>, cursor: C): void {
    let key = of.rule.id;
    for (let i = 0; i < of.key.length; i++) key += `\u0000${of.key[i].field.read(cursor) ?? ''}`;
    const ts = this.access.ts(cursor);
    const flow = this.access.flow(cursor);
    let group = this.groups.get(key);
    if (group) {
      // Batches of several CPUs may interleave: the times are not sorted.
      if (ts < group.firstTs) group.firstTs = ts;
      if (ts > group.lastTs) group.lastTs = ts;
      forgetUnshared(group, cursor);
      if (group.samples.length < MAX_SAMPLES) group.samples.push(this.access.toEvent(cursor));
    } else {
      if (of.groups > 0 && this.groups.size >= MAX_GROUPS[of.rule.level]) {
        this.overflow.set(of.rule.id, (this.overflow.get(of.rule.id) ?? 0) + 1);
        return;
      }
      of.groups++;
      group = this.open(of, key, cursor, ts, flow);
      this.groups.set(key, group);
    }
    group.count++;
    if (flow !== '') group.flows.add(flow);
  }

  /** The groups, worst level first, then most events, then by rule and what tells them apart. */
  result(): FindingGroup[] {
    return [...this.groups.values()].sort(byWeight).map(finished);
  }

  private open(of: GroupedRule<C>, key: string, cursor: C, ts: number, flow: string): OpenGroup<C> {
    const sample = this.access.toEvent(cursor);
    const data = messageData(of, cursor, sample, flow);
    const message = printable(fillTemplate(of.rule.message, data));
    return {
      of,
      key,
      count: 0,
      firstTs: ts,
      lastTs: ts,
      message,
      messageZh: of.rule.messageZh === undefined ? message : printable(fillTemplate(of.rule.messageZh, data)),
      keyValues: of.key.map(({ field }) => field.read(cursor)),
      sharedValues: of.shared.map(({ field }) => field.read(cursor)),
      flows: new FlowTally(),
      samples: [sample],
    };
  }
}

function forgetUnshared<C>(group: OpenGroup<C>, cursor: C): void {
  const { shared } = group.of;
  const values = group.sharedValues;
  for (let i = 0; i < shared.length; i++) {
    if (values[i] !== undefined && values[i] !== shared[i].field.read(cursor)) values[i] = undefined;
  }
}

function messageData<C>(of: GroupedRule<C>, cursor: C, sample: SkbEvent, flow: string): TemplateData {
  const packet: TemplateData = { summary: sample.packet?.summary };
  const data: Record<string, TemplateData | string> = { packet, flow };
  for (const { name, field } of of.inMessages) {
    const dot = name.indexOf('.');
    const scope = (data[name.slice(0, dot)] ??= {}) as TemplateData;
    scope[name.slice(dot + 1)] = field.read(cursor);
  }
  return data;
}

function finished<C>(group: OpenGroup<C>): FindingGroup {
  const { rule, key, shared } = group.of;
  const subject: FindingGroup['subject'] = {};
  const add = (name: string, value: FieldValue): void => {
    if (value === undefined || value === '') return;
    subject[name] = typeof value === 'number' ? value : printable(String(value));
  };
  key.forEach(({ name }, i) => add(name, group.keyValues[i]));
  shared.forEach(({ name }, i) => add(name, group.sharedValues[i]));
  return {
    rule: rule.id,
    level: rule.level,
    layer: rule.layer,
    article: rule.article,
    tags: rule.tags,
    count: group.count,
    firstTs: group.firstTs,
    lastTs: group.lastTs,
    message: group.message,
    messageZh: group.messageZh,
    subject,
    flows: group.flows.top(TOP_FLOWS),
    samples: group.samples,
  };
}

const WEIGHT: Record<Level, number> = { error: 0, warn: 1, info: 2 };

function byWeight<C>(x: OpenGroup<C>, y: OpenGroup<C>): number {
  return (
    WEIGHT[x.of.rule.level] - WEIGHT[y.of.rule.level] ||
    y.count - x.count ||
    compareText(x.of.rule.id, y.of.rule.id) ||
    compareText(x.key, y.key)
  );
}

/** By code units: the same order in every locale. */
function compareText(x: string, y: string): number {
  return x < y ? -1 : x > y ? 1 : 0;
}
