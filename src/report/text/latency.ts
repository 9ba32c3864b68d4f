import { ms } from '../../base/units.js';
import { overBudget } from '../../diagnosis/budget.js';
import type { PairStats, SegmentStats } from '../../paths/types.js';
import type { Colours } from './colours.js';
import { pad } from './layout.js';
import type { Words } from './words.js';

const COLUMN = 10;

/** The latency of a pair by segment, in the order in which a round trip passes them. */
export function latencyTable(pair: PairStats, words: Words, colours: Colours, zh: boolean, width: number): string[] {
  // The peer's turnaround has a row of its own, between the directions.
  const segments = pair.segments.filter(
    ({ spec, latency, lost }) => spec.kind !== 'peer' && (latency.count > 0 || lost > 0),
  );
  if (segments.length === 0) return [];
  const labelWidth = Math.min(Math.max(30, width - 5 * COLUMN - 18), 56);
  const row = (label: string, cells: string[], note = '', indent = '') =>
    `${pad(indent + label, labelWidth + 2)}${cells.map((cell) => pad(cell, COLUMN, 'right')).join('')}${note && `   ${note}`}`.trimEnd();
  const lines = [colours.bold(row(words.latency, ['p50', 'p99', 'max', pair.roundTrips.count > 0 ? words.share : '']))];
  const dominant = segments.reduce<SegmentStats | undefined>(
    (x, y) => (y.share > (x?.share ?? 0.3) ? y : x),
    undefined,
  );
  const direction = (which: SegmentStats['direction'], title: string) => {
    const own = segments.filter((segment) => segment.direction === which);
    if (own.length === 0) return;
    lines.push(title);
    for (const segment of own) {
      const { latency, lost, dropped = lost } = segment;
      const notes = [
        segment === dominant ? '▇▇' : '',
        overBudget(segment) ? `${words.budget} ${ms(segment.spec.budgetMs ?? 0)}` : '',
        dropped > 0 ? `${dropped} ${words.ends.dropped}` : '',
        lost > dropped ? `${lost - dropped} ${words.stuck}` : '',
      ].filter(Boolean);
      const share = pair.roundTrips.count > 0 ? `${Math.round(segment.share * 100)}%` : '';
      const cells =
        latency.count > 0 ? [ms(latency.p50), ms(latency.p99), ms(latency.max), share] : ['-', '-', '-', ''];
      const line = row(zh ? segment.labelZh : segment.label, cells, notes.join('  '), '  ');
      lines.push(overBudget(segment) || segment.lost > 0 ? colours.warn(line) : line);
    }
  };
  direction('forward', `${pair.a} → ${pair.b}`);
  if (pair.turnaround.count > 0) {
    const { p50, p99, max, mean } = pair.turnaround;
    const share = pair.roundTrips.mean > 0 ? `${Math.round((mean / pair.roundTrips.mean) * 100)}%` : '';
    lines.push(
      row(`${pair.turnaroundOf === 'a' ? pair.a : pair.b} ${words.turnaround}`, [ms(p50), ms(p99), ms(max), share]),
    );
  }
  direction('reverse', `${pair.b} → ${pair.a}`);
  if (pair.roundTrips.count > 0) {
    const { mean, p50, p99, max } = pair.roundTrips;
    const seen =
      segments.reduce((sum, segment) => sum + segment.share, 0) + (mean > 0 ? pair.turnaround.mean / mean : 0);
    lines.push(row(words.roundTrip, [ms(p50), ms(p99), ms(max), '100%']));
    if (1 - seen >= 0.01) lines.push(row(words.notAccounted, ['', '', '', `${Math.round((1 - seen) * 100)}%`]));
  }
  return lines;
}
