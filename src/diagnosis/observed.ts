import { count, ms } from '../base/units.js';
import type { Analysis } from '../analysis/types.js';
import { overBudget } from './budget.js';
import type { Candidate } from './diagnose.js';
import type { Subject } from './subjects.js';
import type { EvidenceLine } from './types.js';

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
    const where = finding.flows[0] ? `   mostly ${finding.flows[0].flow}` : '';
    const whereZh = finding.flows[0] ? `   主要是 ${finding.flows[0].flow}` : '';
    lines.push(
      observed(
        `${count(finding.count)} × ${finding.message}${where}`,
        `${count(finding.count)} × ${finding.messageZh}${whereZh}`,
      ),
    );
  }
  return lines;
}

function observed(text: string, textZh: string): EvidenceLine {
  return { text, textZh, source: '', says: 'supports' };
}

/** `explains 96% of the round trip, and 41 of 41 lost packets`, from what was counted. */
export function explainShare({ subject, findings }: Pick<Candidate, 'subject' | 'findings'>): {
  en: string;
  zh: string;
} {
  const en: string[] = [];
  const zh: string[] = [];
  const { segment, pair } = subject;
  if (segment && segment.share >= 0.01) {
    const percent = Math.round(segment.share * 100);
    en.push(`${percent}% of the round trip`);
    zh.push(`往返时间的 ${percent}%`);
  }
  if (segment && pair && segment.lost > 0) {
    const all = Math.max(pair.drops.forward + pair.drops.reverse, segment.lost);
    en.push(`${count(segment.lost)} of ${count(all)} lost packets`);
    zh.push(`${count(all)} 个丢包中的 ${count(segment.lost)} 个`);
  }
  const symptoms = findings.filter((group) => group !== subject.finding && group.level !== 'info');
  if (symptoms.length > 0) {
    const total = symptoms.reduce((sum, group) => sum + group.count, 0);
    en.push(
      `${count(total)} further symptom${total === 1 ? '' : 's'} (${symptoms.map((group) => group.rule).join(', ')})`,
    );
    zh.push(`另外 ${count(total)} 个症状（${symptoms.map((group) => group.rule).join('、')}）`);
  }
  return { en: en.join(', and '), zh: zh.join('，以及') };
}

/** Suspects of the same pair that are within their budgets: what was looked at and is not the cause. */
export function notCauses({ subject }: Pick<Candidate, 'subject'>, analysis: Analysis): { en: string[]; zh: string[] } {
  const { segment, pair } = subject;
  if (!segment || !pair) return { en: [], zh: [] };
  const fine = pair.segments.filter(
    (other) => other !== segment && other.latency.count > 0 && !overBudget(other) && other.spec.budgetMs !== undefined,
  );
  const en = fine.map((other) => `${other.label} ${ms(other.latency.p99)}`);
  const zh = fine.map((other) => `${other.labelZh} ${ms(other.latency.p99)}`);
  const consumer = segment.consumer?.pid;
  for (const thread of analysis.sched.filter(({ pid, wait }) => pid === consumer && wait.p99 <= 5)) {
    en.push(`${thread.comm} waiting for a CPU ${ms(thread.wait.p99)}`);
    zh.push(`${thread.comm} 等待 CPU ${ms(thread.wait.p99)}`);
  }
  return { en, zh };
}
