import type { Json } from '../base/json.js';
import { fillTemplate, lookup } from '../base/template.js';
import type { Analysis } from '../analysis/types.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource, Fact } from '../evidence/types.js';
import { isBetween, sameConnection } from './flows.js';
import { pairData, segmentData, type Subject } from './subjects.js';

/** What a condition's fact resolves to; `why` says why it could not be established. */
export type FactValue = { known: true; value: unknown } | { known: false; why: string };

/** A fact of evidence that a diagnosis really read. */
export interface ReadEvidence {
  collector: string;
  fact: Fact;
}

/**
 * The facts of one engine run: `subject`, `findings`, `segment`, `sched`, `pair`, `run`, `host` from the analysis, and
 * `evidence.<collector>` read from the host only when a condition asks for it.
 */
export class DiagnosisFacts {
  readonly read: ReadEvidence[] = [];
  /** Values by collector, for templates: `{{evidence.qdisc.rate}}`. */
  readonly evidence: Record<string, Record<string, Json>> = {};
  private readonly collected = new Map<string, Promise<FactValue>>();

  /** @param unseen what findings of rules that found nothing may really count, at worst (doubt.ts) */
  constructor(
    private readonly subject: Subject,
    private readonly analysis: Analysis,
    private readonly source: EvidenceSource,
    private readonly collectors: ReadonlyMap<string, EvidenceCollector>,
    private readonly run: Record<string, Json>,
    private readonly unseen = 0,
  ) {}

  /** Resolves a fact by name; never throws. `params` may hold templates over `subject`. */
  async resolve(name: string, params: Record<string, unknown> = {}): Promise<FactValue> {
    const filled = this.fill(params);
    if (name.startsWith('evidence.')) return this.once(name.slice('evidence.'.length), filled);
    const value = this.observed(name, filled);
    return value === undefined ? { known: false, why: `nothing observed about ${name}` } : { known: true, value };
  }

  private observed(name: string, params: Record<string, unknown>): unknown {
    const { subject, analysis } = this;
    switch (name) {
      case 'subject':
        return subject.data;
      case 'run':
      case 'host':
        return this.run;
      case 'findings': {
        const wanted = [params.rule].flat();
        const groups = analysis.findings.filter(
          (group) =>
            (params.rule === undefined || wanted.includes(group.rule)) &&
            (params.tag === undefined || group.tags.includes(String(params.tag))) &&
            (params.device === undefined || group.subject.device === params.device) &&
            (params.same !== true ||
              (group.subject.device === subject.data.device && group.subject.netns === subject.data.netns)) &&
            (params.ends !== true || isBetween(group, [String(subject.data.src), String(subject.data.dst)])) &&
            (params.connection !== true || (subject.finding !== undefined && sameConnection(group, subject.finding))),
        );
        return { count: groups.reduce((sum, group) => sum + group.count, 0) || this.unseen, groups: groups.length };
      }
      case 'segment': {
        // The slowest segment of that kind (and device), of the subject's pair if it has one.
        const found = (subject.pair ? [subject.pair] : analysis.pairs)
          .flatMap((pair) => pair.segments.map((segment) => segmentData(segment, pair)))
          .filter(
            (data) =>
              (params.kind === undefined || data.kind === params.kind) &&
              (params.device === undefined || data.device === params.device) &&
              (params.direction === undefined || data.direction === params.direction),
          )
          .sort((x, y) => Number(y.p99Ms) - Number(x.p99Ms));
        return found[0] ?? { p50Ms: 0, p99Ms: 0, maxMs: 0, count: 0, lost: 0, stuck: 0, share: 0 };
      }
      case 'sched': {
        const pid = Number(params.pid ?? subject.data.consumerPid);
        const threads = analysis.sched.filter((thread) => thread.pid === pid);
        if (threads.length === 0) return undefined;
        const slowest = threads.reduce((x, y) => (y.wait.p99 > x.wait.p99 ? y : x));
        const maxMs = Math.max(...threads.map((thread) => thread.wait.max));
        const subjectMs = Number(subject.data.maxMs ?? 0);
        const totalMs = Math.max(...threads.map(({ wait }) => wait.mean * wait.count));
        return {
          p50Ms: slowest.wait.p50,
          p99Ms: slowest.wait.p99,
          maxMs,
          ofSubject: subjectMs > 0 ? maxMs / subjectMs : 0,
          totalOfSubject: subjectMs > 0 ? totalMs / subjectMs : 0,
          count: threads.reduce((sum, thread) => sum + thread.wait.count, 0),
          comm: slowest.comm,
          tid: slowest.tid,
        };
      }
      case 'pair': {
        const pair = subject.pair ?? analysis.pairs[0];
        return pair && pairData(pair);
      }
      default:
        return undefined;
    }
  }

  /** Each piece of evidence is read once, however often it is asked for. */
  private once(name: string, params: Record<string, unknown>): Promise<FactValue> {
    const key = `${name} ${JSON.stringify(params)}`;
    let fact = this.collected.get(key);
    if (!fact) this.collected.set(key, (fact = this.collect(name, params)));
    return fact;
  }

  private async collect(name: string, params: Record<string, unknown>): Promise<FactValue> {
    const collector = this.collectors.get(name);
    if (!collector) return { known: false, why: `vdiag has no collector "${name}"` };
    const withNamespace = { netns: this.subject.data.netns as Json, ...params } as EvidenceParams;
    if (!withNamespace.netns) delete withNamespace.netns;
    let fact: Fact;
    try {
      fact = await collector.collect(this.source, withNamespace);
    } catch (error) {
      // A collector must not throw; if it does, the suspicion stays open instead of the run ending.
      fact = { known: false, why: `reading it failed: ${(error as Error).message}`, source: name };
    }
    if (!this.read.some((entry) => entry.collector === name && entry.fact.source === fact.source)) {
      this.read.push({ collector: name, fact });
    }
    if (!fact.known) return fact;
    this.evidence[name] = fact.value;
    return { known: true, value: fact.value };
  }

  private fill(params: Record<string, unknown>): Record<string, unknown> {
    const data = { subject: this.subject.data, run: this.run };
    return Object.fromEntries(
      Object.entries(params).map(([key, value]) => {
        if (typeof value !== 'string') return [key, value];
        const whole = /^\{\{\s*([\w.]+)\s*\}\}$/.exec(value);
        return [key, whole ? lookup(data, whole[1]) : fillTemplate(value, data)];
      }),
    );
  }
}
