import { count, ms } from '../base/units.js';
import type { Analysis } from '../analysis/types.js';
import type { FindingGroup } from '../rules/types.js';
import { judgedLatency, overBudget } from './budget.js';
import type { Candidate } from './diagnose.js';
import type { Subject } from './subjects.js';
import type { EvidenceLine } from './types.js';

/** ms at p99 that a thread may wait for a CPU without being suspect. */
const CPU_WAIT_FINE_MS = 5;

/** What the packets themselves say for a suspicion, as lines of proof. */
export function observedLines(subject: Subject): EvidenceLine[] {
  const lines: EvidenceLine[] = [];
  const { segment, finding } = subject;
  if (segment && segment.latency.count > 0) {
    const { p50, p99, max, count: n } = segment.latency;
    const figures = `p50 ${ms(p50)}   p99 ${ms(p99)}   max ${ms(max)}`;
    lines.push(
      observed(
        `${segment.label}: ${figures}   (${count(n)} packets)`,
        `${segment.labelZh}：${figures}（${count(n)} 个报文）`,
      ),
    );
  }
  if (finding) {
    const [most, ...others] = finding.flows;
    const where = others.length > 0 ? `   mostly ${most.flow}` : '';
    const whereZh = others.length > 0 ? `   主要是 ${most.flow}` : '';
    const inferred = finding.subject.reasonInferred !== undefined;
    const how = inferred ? ` (inferred from where it was freed: ${finding.subject.location})` : '';
    const howZh = inferred ? `（据释放位置推断：${finding.subject.location}）` : '';
    lines.push(
      observed(
        `${count(finding.count)} × ${finding.message}${how}${where}`,
        `${count(finding.count)} × ${finding.messageZh}${howZh}${whereZh}`,
      ),
    );
  }
  return lines;
}

function observed(text: string, textZh: string): EvidenceLine {
  return { text, textZh, source: '', says: 'supports' };
}

/**
 * What follows from what, as far as rules tell: packets are lost, the sender's timer goes off, it sends them again, the
 * connection does not come about. Symptoms are told in this order.
 */
const CHAIN: readonly (readonly string[])[] = [
  ['l3.', 'l2.', 'netfilter.', 'virt.'],
  ['l4.rto'],
  ['l4.retransmit', 'l4.spurious-retransmit'],
  ['l4.syn-retransmit', 'l4.synack-retransmit'],
  ['l4.'],
  ['socket.'],
];

/**
 * What a cause accounts for, from what was counted: `96% of the round trip, 41 of 41 dropped packets → 3 × l4.rto →
 * 12 × l4.retransmit`. Retransmissions are told even where they are everyday: here something lost the packets.
 */
export function explainShare(
  { subject, findings }: Pick<Candidate, 'subject' | 'findings'>,
  analysis: Analysis,
): { en: string; zh: string } {
  const en: string[] = [];
  const zh: string[] = [];
  const { segment } = subject;
  if (segment && segment.share >= 0.01) {
    const percent = Math.round(segment.share * 100);
    en.push(`${percent}% of the round trip`);
    zh.push(`往返时间的 ${percent}%`);
  }
  const dropped = countOf(findings.filter(isLoss));
  if (dropped > 0) {
    const all = countOf(analysis.findings.filter(isLoss));
    en.push(`${count(dropped)} of ${count(all)} dropped packets`);
    zh.push(`${count(all)} 个丢包中的 ${count(dropped)} 个`);
  }
  const steps = new Map<string, number>();
  for (const group of findings) {
    if (group === subject.finding || isLoss(group)) continue;
    if (group.level === 'info' && !group.tags.includes('loss')) continue;
    steps.set(group.rule, (steps.get(group.rule) ?? 0) + group.count);
  }
  const chain = [...steps]
    .sort(([x], [y]) => placeInChain(x) - placeInChain(y) || x.localeCompare(y))
    .map(([rule, times]) => `${count(times)} × ${rule}`);
  const [all, allZh] = [en.join(', '), zh.join('，')];
  return { en: [...(all ? [all] : []), ...chain].join(' → '), zh: [...(allZh ? [allZh] : []), ...chain].join(' → ') };
}

function placeInChain(rule: string): number {
  const place = CHAIN.findIndex((rules) =>
    rules.some((one) => (one.endsWith('.') ? rule.startsWith(one) : rule === one)),
  );
  return place < 0 ? 0 : place;
}

/** A drop that is no everyday one. */
function isLoss(group: FindingGroup): boolean {
  return group.level !== 'info' && group.tags.includes('drop');
}

function countOf(groups: readonly FindingGroup[]): number {
  return groups.reduce((sum, group) => sum + group.count, 0);
}

/** Suspects of the same pair that are within their budgets: what was looked at and is not the cause. */
export function notCauses({ subject }: Pick<Candidate, 'subject'>, analysis: Analysis): { en: string[]; zh: string[] } {
  const { segment, pair } = subject;
  if (!segment || !pair) return { en: [], zh: [] };
  const fine = pair.segments.filter(
    (other) => other !== segment && other.latency.count > 0 && !overBudget(other) && other.spec.budgetMs !== undefined,
  );
  const slowest = new Map<string, { zh: string; took: number }>();
  for (const one of fine) {
    const known = slowest.get(one.label);
    const took = judgedLatency(one);
    if (!known || took > known.took) slowest.set(one.label, { zh: one.labelZh, took });
  }
  const en = [...slowest].map(([label, { took }]) => `${label} ${ms(took)}`);
  const zh = [...slowest.values()].map((entry) => `${entry.zh} ${ms(entry.took)}`);
  const threads = analysis.sched.filter(({ pid }) => pid !== 0 && pid === segment.consumer?.pid);
  if (threads.length > 0) {
    const worst = threads.reduce((x, y) => (y.wait.p99 > x.wait.p99 ? y : x));
    if (worst.wait.p99 <= CPU_WAIT_FINE_MS) {
      en.push(`${worst.comm} waiting for a CPU ${ms(worst.wait.p99)}`);
      zh.push(`${worst.comm} 等待 CPU ${ms(worst.wait.p99)}`);
    }
  }
  return { en, zh };
}
