import { printable } from '../base/sanitize.js';
import type { Language } from '../knowledge/types.js';
import type { Availability, PointAvailability } from '../probes/availability.js';
import { gapSentence } from '../probes/coverage.js';
import { pad, wrap } from '../report/text/layout.js';

const WORDS = {
  en: {
    sum: (attached: number, planned: number, set: string, backends: string) =>
      `${attached} of ${planned} points of the set ${set} can be attached here${backends && ` (${backends})`}.`,
    degraded: (n: number) => `${n} of them cannot tell what they return.`,
    unneeded: (n: number) => `${n} are in modules that are not loaded or not there: no packet passes them.`,
    head: ['group', 'points', 'attached', 'by'],
    pointHead: ['probe', 'by', 'what, and why not better'],
    hides: 'hides: ',
    none: '-',
  },
  zh: {
    sum: (attached: number, planned: number, set: string, backends: string) =>
      `集合 ${set} 的 ${planned} 个探测点中，本机可挂载 ${attached} 个${backends && `（${backends}）`}。`,
    degraded: (n: number) => `其中 ${n} 个无法给出返回值。`,
    unneeded: (n: number) => `${n} 个位于未加载或不存在的模块中：没有数据包经过那里。`,
    head: ['分组', '探测点', '可挂载', '方式'],
    pointHead: ['探测点', '方式', '目标，以及为何没有更好的方式'],
    hides: '看不到：',
    none: '-',
  },
} as const;

/** Where the rest is. */
export const ALL_POINTS: Record<Language, string> = {
  en: '--all names each point: what it is attached by, why not by something better, and what its lack hides.',
  zh: '--all 列出每个探测点：挂载方式、为何没有更好的方式，以及缺少它时看不到什么。',
};

/** Things named of each gap: what matters most comes first, and --all has all. */
const PHRASES = 8;

/** In sum: how many points by what, and what the lacks hide. */
export function availabilitySummary(of: Availability, language: Language, width: number): string[] {
  const words = WORDS[language];
  const blank = language === 'zh' ? '' : ' ';
  const sum = [
    words.sum(of.attached, of.planned, of.set, backends(of.byBackend)),
    ...(of.degraded > 0 ? [words.degraded(of.degraded)] : []),
    ...(of.unneeded > 0 ? [words.unneeded(of.unneeded)] : []),
  ];
  return [sum.join(blank), ...of.gaps.map((gap) => gapSentence(gap, language, PHRASES))].flatMap((text) =>
    wrap(printable(text), width),
  );
}

/** How many points of each group are attached, and by what. */
export function groupTable(of: Availability, language: Language): string[] {
  const rows = of.groups.map(({ group, planned, attached, byBackend }) => [
    ...[group, String(planned), String(attached), backends(byBackend)],
  ]);
  return [[...WORDS[language].head], ...rows].map(([group, planned, attached, by]) =>
    `${pad(group!, 11)}${pad(planned!, 7, 'right')}${pad(attached!, 10, 'right')}  ${by!}`.trimEnd(),
  );
}

/** Columns of a point's name and of its backend; the rest of the line says what and why. */
const NAME = 32;
const BACKEND = 16;

/** Each point, in lines that fit. */
export function pointTable(of: Availability, language: Language, width: number): string[] {
  const words = WORDS[language];
  const row = (name: string, by: string, rest: string): string[] => {
    const [first = '', ...others] = wrap(printable(rest), Math.max(20, width - NAME - BACKEND));
    // A name that is longer than its column has a line of its own.
    const head = name.length < NAME ? [] : [printable(name)];
    const left = head.length > 0 ? '' : printable(name);
    return [
      ...head,
      `${pad(left, NAME)}${pad(by, BACKEND)}${first}`.trimEnd(),
      ...others.map((line) => `${' '.repeat(NAME + BACKEND)}${line}`),
    ];
  };
  const [probe, by, what] = words.pointHead;
  return [
    ...row(probe, by, what),
    ...of.points.flatMap((point) => row(point.probe, point.backend ?? words.none, aboutPoint(point, language))),
  ];
}

/** `as __icmp_send; this kernel has no raw tracepoints; hides: …` */
function aboutPoint(point: PointAvailability, language: Language): string {
  const zh = language === 'zh';
  const { alias, why, whyZh, hides, hidesZh, probe, target } = point;
  const taken = target !== undefined && target.replace(/^.*:/, '') !== probe ? (alias ?? target) : undefined;
  const parts = [
    ...(taken === undefined ? [] : [zh ? `即 ${taken}` : `as ${taken}`]),
    ...(zh ? whyZh : why),
    ...(hides === undefined ? [] : [`${WORDS[language].hides}${zh ? (hidesZh ?? hides) : hides}`]),
  ];
  return parts.join(zh ? '；' : '; ');
}

function backends(by: Availability['byBackend']): string {
  return Object.entries(by)
    .map(([backend, n]) => `${n} ${backend}`)
    .join(', ');
}
