import { printable } from '../../base/sanitize.js';
import { count, ms } from '../../base/units.js';
import { overBudget } from '../../diagnosis/budget.js';
import type { Language } from '../../knowledge/types.js';
import type { PairStats, PathView } from '../../paths/types.js';
import type { Report } from '../types.js';
import { colours as makeColours, type Colours } from './colours.js';
import { coverageBlock } from './coverage.js';
import { diagnosisBlock } from './diagnosis.js';
import { latencyTable } from './latency.js';
import { pad, wrap } from './layout.js';
import { pathBlock } from './paths.js';
import { words as wordsOf, type Words } from './words.js';

export interface TextOptions {
  language: Language;
  colour: boolean;
  /** Columns; lines other than commands are kept within it. */
  width: number;
  /** Exit status that the command will end with. */
  status: number;
}

/** Pairs whose latency is printed; the rest is in the JSON report. */
const PAIRS_SHOWN = 3;
/** A pair with a smaller share of the busiest one's packets is not worth a line (neighbour discovery, multicast). */
const SMALL_SHARE = 0.02;

/**
 * The report as text: the verdict in one line, diagnoses worst first, latency by segment, paths, coverage. All text
 * from outside (packets, kernel, tools) is printed without control characters.
 */
export function renderText(report: Report, options: TextOptions): string {
  const words = wordsOf(options.language);
  const colours = makeColours(options.colour);
  const zh = options.language === 'zh';
  const sections = [
    header(report, words, zh),
    verdict(report, words, colours, zh, options.width),
    ...report.diagnoses.map((diagnosis) => diagnosisBlock(diagnosis, words, colours, zh, options.width)),
    findings(report, words, colours, zh, options.width),
    ...pairsMeasured(report).map((pair) => latencyTable(pair, words, colours, zh, options.width)),
    baseline(report, words, colours),
    sched(report, words, colours),
    paths(report, words, colours),
    coverageBlock(report, words, colours, options.language, options.width),
    [words.exit(options.status)],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
    .concat('\n');
}

/** The busiest pairs. */
function pairsShown(report: Report): PairStats[] {
  const packets = ({ packets: { forward, reverse } }: PairStats): number => forward + reverse;
  const least = SMALL_SHARE * Math.max(...report.pairs.map(packets), 0);
  return report.pairs.filter((pair) => packets(pair) >= least).slice(0, PAIRS_SHOWN);
}

/** Pairs whose way was measured: with round trips, or with something over its budget. */
function pairsMeasured(report: Report): PairStats[] {
  return pairsShown(report).filter((pair) => pair.roundTrips.count > 0 || pair.segments.some(overBudget));
}

function header(report: Report, words: Words, zh: boolean): string[] {
  const { host, startedAt, endedAt, seconds, traffic } = report;
  const pairs = pairsShown(report);
  const when = `${startedAt.slice(11, 19)}–${endedAt.slice(11, 19)}, ${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const early =
    report.ended === 'duration' ? '' : `${words.marks.open}${words.ended[report.ended]}${words.marks.close}`;
  const lines = [
    `${report.scenario.id} · ${printable(host.name)} · kernel ${printable(host.kernel)} (${host.tracing}) · ${when}${early}`,
  ];
  const place = (address: string, device: string) => (device ? `${address} (${printable(device)})` : address);
  for (const pair of pairs) {
    lines.push(
      `${place(pair.a, pair.aDevice)} ⇄ ${place(pair.b, pair.bDevice)} · ${count(pair.packets.forward + pair.packets.reverse)} ${words.packets}` +
        (pair.roundTrips.count > 0 ? ` · ${count(pair.roundTrips.count)} ${words.roundTrips}` : ''),
    );
  }
  const hidden = report.pairs.length - pairs.length + report.pairsNotShown;
  if (hidden > 0) lines.push(`${count(hidden)} ${words.morePairs}`);
  if (pairs.length === 0) lines.push(`${count(traffic.packets)} ${words.packets}`);
  return zh ? lines.map((line) => line.replace('tracepoints only', '仅 tracepoint')) : lines;
}

function verdict(report: Report, words: Words, colours: Colours, zh: boolean, width: number): string[] {
  const { level, text, textZh, caveat, caveatZh } = report.verdict;
  const lines: string[] = [];
  // A diagnosis right below says it better than the verdict could repeat it.
  if (report.diagnoses.length !== 1 || level === 'clean') {
    const badge = words[level];
    const [first, ...rest] = wrap(printable(zh ? textZh : text), width - 7);
    lines.push(
      `${colours.level[level](badge)}${pad('', 7 - badge.length)}${first ?? ''}`,
      ...rest.map((line) => `       ${line}`),
    );
  }
  const note = zh ? caveatZh : caveat;
  if (note)
    lines.push(...wrap(`${words.caveat}${words.marks.colon}${note}`, width - 7).map((line) => `       ${line}`));
  return lines;
}

function findings(report: Report, words: Words, colours: Colours, zh: boolean, width: number): string[] {
  const lines: string[] = [];
  const serious = report.findings.filter((finding) => finding.level !== 'info');
  if (serious.length > 0) {
    lines.push(colours.bold(words.findings));
    for (const finding of serious) {
      const { open, close } = words.marks;
      const inferred = finding.subject.reasonInferred === undefined ? '' : `${open}${words.inferred}${close}`;
      const message = `${printable(zh ? finding.messageZh : finding.message)}${inferred}`;
      const text = `${pad(words[finding.level], 6)} ${count(finding.count)} × ${message}  (${finding.rule})`;
      lines.push(...wrap(text, width - 2, '         ').map((line) => `  ${line}`));
    }
  }
  const harmless = report.findings.filter((finding) => finding.level === 'info');
  if (harmless.length > 0) {
    const byRule = new Map<string, number>();
    for (const finding of harmless) byRule.set(finding.rule, (byRule.get(finding.rule) ?? 0) + finding.count);
    const list = [...byRule].map(([rule, n]) => `${rule} ${count(n)}`).join(' · ');
    lines.push(...wrap(`${words.benign}${words.marks.colon}${list}`, width - 2, '  '));
  }
  return lines;
}

function baseline(report: Report, words: Words, colours: Colours): string[] {
  if (!report.baseline) return [];
  return [
    colours.bold(`${words.baseline} ${printable(report.baseline.file)}`),
    ...report.baseline.changes
      .slice(0, 8)
      .map(
        ({ label, before, now, ratio }) =>
          `  ${pad(printable(label), 44)} p99 ${ms(before)} → ${ms(now)}  (×${ratio.toFixed(2)})`,
      ),
  ];
}

function sched(report: Report, words: Words, colours: Colours): string[] {
  const threads = report.sched.filter((thread) => thread.wait.count > 0);
  if (threads.length === 0 || pairsMeasured(report).length === 0) return [];
  return [
    colours.bold(words.sched),
    ...threads
      .slice(0, 6)
      .map(
        ({ comm, pid, tid, wait }) =>
          `  ${pad(printable(`${comm} ${pid}/${tid}`), 40)} p50 ${ms(wait.p50)}   p99 ${ms(wait.p99)}   max ${ms(wait.max)}`,
      ),
  ];
}

function paths(report: Report, words: Words, colours: Colours): string[] {
  const shown = new Map<number, PathView>();
  for (const diagnosis of report.diagnoses) for (const path of diagnosis.paths.slice(0, 1)) shown.set(path.id, path);
  if (shown.size === 0) return [];
  return [colours.bold(words.paths), ...[...shown.values()].slice(0, 3).flatMap((path) => pathBlock(path, words))];
}
