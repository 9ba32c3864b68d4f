import { printable } from '../base/sanitize.js';
import type { Json } from '../base/json.js';
import { markdownToLines } from './markdown-text.js';
import { sampleRemedies } from './remedies.js';
import type { Article, Language, Remedy } from './types.js';
import { wrapText } from './wrap.js';

/** How a terminal shows what stands out; plain text without. */
export interface ArticleStyle {
  title(text: string): string;
  heading(text: string): string;
  command(text: string): string;
}

export interface RenderOptions {
  /** Columns, at least 40. */
  width: number;
  style?: ArticleStyle;
}

const PLAIN: ArticleStyle = { title: (text) => text, heading: (text) => text, command: (text) => text };

const WORDS: Record<Language, Record<string, string>> = {
  en: {
    symptoms: 'Symptoms',
    causes: 'Causes',
    remedies: 'What to do',
    references: 'References',
    kernels: 'Kernels',
    appliesTo: 'Explains',
    risk: 'risk',
    verify: 'check',
    undo: 'undo',
    persist: 'keep',
    none: 'none',
    low: 'low',
    medium: 'medium',
    high: 'high',
    open: ' (',
    colon: ': ',
    close: ')',
  },
  zh: {
    symptoms: '现象',
    causes: '原因',
    remedies: '处理办法',
    references: '参考',
    kernels: '内核版本',
    appliesTo: '适用于',
    risk: '风险',
    verify: '验证',
    undo: '撤销',
    persist: '持久化',
    none: '无',
    low: '低',
    medium: '中',
    high: '高',
    open: '（',
    colon: '：',
    close: '）',
  },
};

/** An article as text for a terminal: what it means, how it shows, why it happens, what to do. Ends with a newline. */
export function renderArticle(article: Article, { width, style = PLAIN }: RenderOptions): string {
  const columns = Math.max(40, width);
  const words = WORDS[article.language];
  const item = (text: string): string[] =>
    wrapText(printable(text), columns - 4).map((line, i) => (i === 0 ? `  - ${line}` : `    ${line}`));
  const section = (heading: string, lines: string[]): string[] => ['', style.heading(heading), ...lines];
  return [
    style.title(printable(article.title)),
    article.id,
    '',
    ...markdownToLines(article.body, columns),
    ...section(words.symptoms, article.symptoms.flatMap(item)),
    ...section(words.causes, article.causes.flatMap(item)),
    ...section(
      words.remedies,
      sampleRemedies(article).flatMap((remedy) => remedyLines(remedy, columns, words, style)),
    ),
    ...section(words.references, article.references.flatMap(item)),
    ...(article.kernels === undefined ? [] : section(words.kernels, item(article.kernels))),
    ...section(words.appliesTo, item(article.appliesTo.join(', '))),
    '',
  ].join('\n');
}

/** An article as plain data, with its remedies as they stand without a diagnosis. */
export function articleToJson(article: Article): { [key: string]: Json } {
  const { id, language, title, appliesTo, symptoms, causes, references, kernels, body } = article;
  return {
    ...{ id, language, title, appliesTo, symptoms, causes, references, body },
    ...(kernels === undefined ? {} : { kernels }),
    remedies: sampleRemedies(article).map((remedy) => ({ ...remedy })),
  };
}

function remedyLines(remedy: Remedy, width: number, words: Record<string, string>, style: ArticleStyle): string[] {
  const lines = wrapText(
    `${remedy.effect}${words.open}${words.risk}${words.colon}${words[remedy.risk]}${words.close}`,
    width - 4,
  );
  const more = (['verify', 'undo', 'persist'] as const).flatMap((key) =>
    remedy[key] === undefined ? [] : [`      ${words[key]}${words.colon}${printable(remedy[key])}`],
  );
  // Commands are not wrapped: they are there to be copied.
  return [
    ...lines.map((line, i) => (i === 0 ? `  - ${printable(line)}` : `    ${printable(line)}`)),
    `      ${style.command(printable(remedy.do))}`,
    ...more,
  ];
}
