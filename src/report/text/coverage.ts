import { printable } from '../../base/sanitize.js';
import { count } from '../../base/units.js';
import type { Language } from '../../knowledge/types.js';
import { gapSentence } from '../../probes/coverage.js';
import type { Report } from '../types.js';
import type { Colours } from './colours.js';
import { wrap } from './layout.js';
import type { Words } from './words.js';

/** Phrases named of each gap; the JSON report has all. */
const PHRASES_SHOWN = 4;
const PROBES_SHOWN = 3;

/** What was seen, lost and left out, in a few lines: a reader at night must see at a glance whether to trust the rest. */
export function coverageBlock(
  report: Report,
  words: Words,
  colours: Colours,
  language: Language,
  width: number,
): string[] {
  const { coverage } = report;
  const { colon, semicolon, blank } = words.marks;
  const { planned, attached, byBackend, gaps, degraded, recording, evidenceUnknown } = coverage;
  const backends = Object.entries(byBackend)
    .map(([backend, n]) => `${n} ${backend}`)
    .join(', ');
  const unseen = gaps.map((gap) => gapSentence(gap, language, PHRASES_SHOWN));
  const paragraphs = [
    [
      words.attached(attached, planned, backends || '-'),
      ...unseen,
      ...(degraded.length > 0 ? [words.degraded(degraded.map(({ probe }) => probe))] : []),
    ].join(blank),
    [eventsAndLosses(report, words), words.recorded(recording)].join(blank),
    ...leftOut(coverage.leftOut, words),
    ...(evidenceUnknown.length > 0 ? [`${words.notRead}${colon}${evidenceUnknown.join(semicolon)}`] : []),
  ];
  return [
    colours.bold(words.coverage),
    ...paragraphs.flatMap((text) => wrap(printable(text), width - 2).map((line) => `  ${line}`)),
  ];
}

function eventsAndLosses({ traffic, coverage }: Report, words: Words): string {
  const { comma, semicolon, end, open, close } = words.marks;
  const { loss, lostBy, cost } = coverage;
  const lost = Object.entries(loss).filter(([, n]) => n > 0);
  const rate = cost ? `${open}${count(cost.eventsPerSecond)}/s${close}` : '';
  const worst = Object.entries(lostBy)
    .sort(([x, n], [y, m]) => m - n || (x < y ? -1 : 1))
    .slice(0, PROBES_SHOWN)
    .map(([probe, n]) => `${probe} ${count(n)}`);
  const losses =
    lost.length === 0
      ? words.noneLost
      : lost.map(([cause, n]) => `${count(n)} ${words.lost[cause as keyof typeof loss]}`).join(semicolon) +
        (worst.length > 0 ? `${open}${worst.join(', ')}${close}` : '');
  const spent = cost ? `${semicolon}${words.cost(cost.ownCpuPercent, cost.kernelCpuPercent)}` : '';
  return `${words.events(count(traffic.events))}${rate}${comma}${losses}${spent}${end}`;
}

function leftOut(left: Report['coverage']['leftOut'], words: Words): string[] {
  const { colon, semicolon, end } = words.marks;
  const list = Object.entries(left)
    // Pairs that are not shown are counted at the top of the report.
    .filter(([what, n]) => n > 0 && what !== 'pairs')
    .map(([what, n]) => `${count(n)} ${words.leftOut[what as keyof typeof left]}`);
  return list.length > 0 ? [`${words.leftOut.title}${colon}${list.join(semicolon)}${end}`] : [];
}
