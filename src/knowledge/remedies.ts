import { printable } from '../base/sanitize.js';
import { lookup, templateVariables, type TemplateData } from '../base/template.js';
import { sampleCommands, TEMPLATE_NAMES } from './template-names.js';
import type { Article, Remedy } from './types.js';

/** What passes into a command as it is; everything else is quoted. */
const PLAIN = /^[A-Za-z0-9._:/@%+-]+$/;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * An article's remedies with their templates filled from a diagnosis. Nothing that came from a packet, a device's name or
 * another program can turn a command into another: values are quoted as single words, and one that holds control
 * characters or would read as an option is not used at all. A value that is missing is shown by its name in capitals
 * (`DEVICE`). A remedy whose command could not be built is left out; so is a `verify`, `undo` or `persist`. Of remedies that
 * came to the same command the first is given, with how to keep it if another one tells.
 */
export function remediesFor(article: Article, data: TemplateData): Remedy[] {
  const remedies = new Map<string, Remedy>();
  for (const remedy of filledRemedies(article, data)) {
    const same = remedies.get(remedy.do);
    if (!same) remedies.set(remedy.do, remedy);
    else if (same.persist === undefined && remedy.persist !== undefined) same.persist = remedy.persist;
  }
  return [...remedies.values()];
}

function filledRemedies(article: Article, data: TemplateData): Remedy[] {
  return article.remedies.flatMap((remedy) => {
    const action = fillCommand(remedy.do, data);
    if (action === undefined) return [];
    const filled: Remedy = { do: action, effect: fillText(remedy.effect, data), risk: remedy.risk };
    for (const key of ['verify', 'undo', 'persist'] as const) {
      const template = remedy[key];
      const text = template === undefined ? undefined : fillCommand(template, data);
      if (text !== undefined) filled[key] = text;
    }
    return [filled];
  });
}

/** The remedies as they stand in an article that no diagnosis fills: names in capitals, sample commands. */
export function sampleRemedies(article: Article): Remedy[] {
  return article.remedies.flatMap((remedy) => {
    const data: TemplateData = {};
    for (const [name, { kind, shown }] of Object.entries(TEMPLATE_NAMES)) if (kind === 'command') data[name] = shown;
    Object.assign(data, sampleCommands(article.id, templateVariables(remedy.do)));
    return remediesFor({ ...article, remedies: [remedy] }, data);
  });
}

/** One word as a POSIX shell reads it back unchanged. */
export function quoteWord(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** undefined: it needs a command that is not to be had. */
function fillCommand(template: string, data: TemplateData): string | undefined {
  let possible = true;
  const text = fill(template, (name) => {
    const value = valueOf(data, name);
    if (TEMPLATE_NAMES[name]?.kind === 'command') {
      if (name === 'ns') return value ?? '';
      if (value === undefined || value === '') possible = false;
      return value ?? '';
    }
    if (value === undefined || value === '') return capitals(name);
    const words = TEMPLATE_NAMES[name]?.kind === 'words' ? value.split(/ +/).filter(Boolean) : [value];
    // Of several words the later ones may be options: they are the configuration's own.
    if (words[0].startsWith('-')) return capitals(name);
    return words.map(quoteWord).join(' ');
  });
  return possible ? text : undefined;
}

/** A sentence: nothing to quote, but nothing unprintable either. */
function fillText(template: string, data: TemplateData): string {
  return fill(template, (name) => valueOf(data, name) || capitals(name));
}

function fill(template: string, valueFor: (name: string) => string): string {
  const values = new Map(templateVariables(template).map((name) => [name, valueFor(name)]));
  return template.replace(/\{\{\s*([\w.-]+)\s*\}\}/g, (_, name: string) => values.get(name) ?? '');
}

function valueOf(data: TemplateData, name: string): string | undefined {
  const value = Object.hasOwn(data, name) ? data[name] : lookup(data, name);
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = String(value);
  return CONTROL.test(text) || printable(text) !== text ? undefined : text;
}

function capitals(name: string): string {
  return name
    .replaceAll('.', '_')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toUpperCase();
}
