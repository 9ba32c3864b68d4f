import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { packagePath } from '../../src/base/package-root.js';
import { markdownTable, replaceGenerated } from './generated-part.js';
import { KERNELS, cachePath } from './vm-kernel.js';
import type { MatrixOutcome, MatrixPoint } from '../kernels/matrix-job.js';

/** What attaching the catalogue to one kernel gave, with the name that the harness knows it by. */
export interface MatrixRow extends MatrixOutcome {
  kernel: string;
}

/** How a kernel takes the catalogue, in numbers that a second run gives again. */
export interface MatrixCounts {
  points: number;
  attached: number;
  byBackend: Record<string, number>;
  /** Attached, but not in the best way: under another name, without its return value, by a backend that was not the first choice. */
  degraded: number;
  unavailable: number;
}

/** Causes that take nothing from a point that is attached. */
const FULL_WORTH = new Set(['not-asked-for']);

export function isDegraded({ backend, causes }: MatrixPoint): boolean {
  return backend !== undefined && causes.some((cause) => !FULL_WORTH.has(cause));
}

export function countsOf({ points }: MatrixOutcome): MatrixCounts {
  const byBackend: Record<string, number> = {};
  for (const { backend } of points) if (backend) byBackend[backend] = (byBackend[backend] ?? 0) + 1;
  const attached = points.filter(({ backend }) => backend).length;
  return {
    points: points.length,
    attached,
    byBackend: Object.fromEntries(Object.entries(byBackend).sort()),
    degraded: points.filter(isDegraded).length,
    unavailable: points.length - attached,
  };
}

/** Attached and all points of a tier. A point of a module that the kernel was built without is no lack of vdiag's. */
export function tierCounts({ points }: MatrixOutcome, tier: string): { attached: number; of: number } {
  const there = points.filter((point) => point.tier === tier && !point.causes.includes('module-absent'));
  return { attached: there.filter(({ backend }) => backend).length, of: there.length };
}

export const TIERS = ['core', 'error', 'optimisation', 'detail'] as const;

const outcomeFolder = (): string => cachePath('matrix');
const DOCUMENT = packagePath('docs', 'kernels.md');

/** Keeps a kernel's outcome for the table at the end of the run. */
export function keepOutcome(row: MatrixRow): void {
  mkdirSync(outcomeFolder(), { recursive: true });
  writeFileSync(cachePath('matrix', `${row.kernel}.json`), JSON.stringify(row));
}

/** The outcomes that were kept, in the kernels' order. */
export function keptOutcomes(): MatrixRow[] {
  if (!existsSync(outcomeFolder())) return [];
  const rows = readdirSync(outcomeFolder())
    .filter((file) => file.endsWith('.json'))
    .map((file) => JSON.parse(readFileSync(cachePath('matrix', file), 'utf8')) as MatrixRow);
  const place = (row: MatrixRow): number => [...KERNELS, 'given'].indexOf(row.kernel as 'given');
  return rows.sort((a, b) => place(a) - place(b));
}

/** Cells of the table, a line for each thing told, a column for each kernel. */
export function tableRows(rows: readonly MatrixRow[]): string[][] {
  const line = (title: string, cell: (row: MatrixRow) => string): string[] => [title, ...rows.map(cell)];
  const backends = [...new Set(rows.flatMap((row) => Object.keys(countsOf(row).byBackend)))].sort();
  const tier = (name: string) =>
    line(`${name} points`, (row) => {
      const { attached, of } = tierCounts(row, name);
      return of === 0 ? '–' : `${attached} of ${of}, ${Math.floor((100 * attached) / of)} %`;
    });
  const set = (name: 'standard' | 'full') => [
    line(`${name} set: points attached`, ({ sets }) => `${sets[name].attached} of ${sets[name].planned}`),
    line(`${name} set: plan, s`, ({ sets }) => seconds(sets[name].planMs)),
    line(`${name} set: load, s`, ({ sets }) => seconds(sets[name].loadMs)),
    line(`${name} set: attach, s`, ({ sets }) => seconds(sets[name].attachMs)),
    line(`${name} set: all of it, s`, ({ sets }) => seconds(sets[name].openMs)),
    line(`${name} set: detach, s`, ({ sets }) => seconds(sets[name].detachMs)),
    line(`${name} set: programs`, ({ sets }) => String(sets[name].programs)),
    line(`${name} set: largest program, instructions`, ({ sets }) => String(sets[name].instructions)),
    line(`${name} set: verifier, worst program`, ({ sets }) => grouped(sets[name].verifiedMost)),
    line(`${name} set: verifier, all programs`, ({ sets }) => grouped(sets[name].verifiedAll)),
  ];
  return [
    line('', ({ kernel }) => kernel),
    line('release', ({ release }) => release),
    line('points attached', (row) => `${countsOf(row).attached} of ${countsOf(row).points}`),
    ...backends.map((backend) => line(`– by ${backend}`, (row) => String(countsOf(row).byBackend[backend] ?? 0))),
    line('degraded', (row) => String(countsOf(row).degraded)),
    line('unavailable', (row) => String(countsOf(row).unavailable)),
    ...TIERS.map(tier),
    ...set('standard'),
    ...set('full'),
    ...(rows.some(({ discovery }) => discovery)
      ? [
          line('discovery: functions attached', ({ discovery: d }) => (d ? `${d.attached} of ${d.planned}` : '–')),
          line('discovery: all of it, s', ({ discovery: d }) => (d ? seconds(d.openMs) : '–')),
          line('discovery: detach, s', ({ discovery: d }) => (d ? seconds(d.detachMs) : '–')),
        ]
      : []),
  ];
}

/** What `docs/kernels.md` says of a kernel release; undefined when it does not name it. */
export function documentedCounts(release: string): MatrixCounts | undefined {
  const text = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : '';
  const data = /<!-- counts: (.*) -->/.exec(text)?.[1];
  return data ? (JSON.parse(data) as Record<string, MatrixCounts>)[release] : undefined;
}

/** Kernels that `docs/kernels.md` has a column for. */
export function documentedKernels(): string[] {
  const text = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : '';
  const heading = /^\| +\|(.*)\|$/m.exec(text)?.[1] ?? '';
  return heading.split('|').map((cell) => cell.trim());
}

/** Writes the outcomes to the part of `docs/kernels.md` that is generated. */
export function writeDocument(rows: readonly MatrixRow[]): void {
  replaceGenerated(DOCUMENT, 'npm run test:kernels -- --write-table', generatedPart(rows));
}

function generatedPart(rows: readonly MatrixRow[]): string {
  const counts = Object.fromEntries(rows.map((row) => [row.release, countsOf(row)]));
  const kernels = rows.map(({ kernel }) => kernel);
  return [
    `<!-- counts: ${JSON.stringify(counts)} -->`,
    '',
    markdownTable(tableRows(rows)),
    '## Points that a kernel lacks, and why',
    '',
    markdownTable([['point', ...kernels], ...differing(rows, ({ backend }) => backend === undefined)]),
    '## Points that are attached in another way than the best',
    '',
    markdownTable([['point', ...kernels], ...differing(rows, isDegraded)]),
  ].join('\n');
}

/** A line for each point that any kernel has in that state: its reasons there, its backend elsewhere. */
function differing(rows: readonly MatrixRow[], is: (point: MatrixPoint) => boolean): string[][] {
  const names = [...new Set(rows.flatMap(({ points }) => points.filter(is).map(({ name }) => name)))];
  return names.map((name) => [
    name,
    ...rows.map(({ points }) => {
      const point = points.find((each) => each.name === name);
      if (!point) return '';
      return is(point)
        ? `${point.backend ? `${point.backend}: ` : ''}${point.reasons.join('; ')}`
        : (point.backend ?? '–');
    }),
  ]);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function grouped(count: number | undefined): string {
  return count === undefined ? 'not told' : count.toLocaleString('en-US');
}
