import Mustache from 'mustache';

/** What a template may name: nested plain data. */
export type TemplateData = Record<string, unknown>;

/**
 * Fills `{{path.to.value}}` from `data`. Mustache variables only: sections, partials and delimiters are refused when
 * the document is validated ({@link templateVariables}). Nothing is HTML-escaped: the renderer of a report escapes for
 * its own medium. A missing value is written as `?`, so that a gap shows.
 */
export function fillTemplate(template: string, data: TemplateData): string {
  return Mustache.parse(template)
    .map((token) => (token[0] === 'text' ? token[1] : show(lookup(data, token[1]))))
    .join('');
}

/**
 * The variable paths that a template names.
 * @throws Error with a plain message if it uses anything but `{{variable}}`.
 */
export function templateVariables(template: string): string[] {
  return Mustache.parse(template).flatMap((token) => {
    if (token[0] === 'text' || token[0] === '!') return [];
    if (token[0] === 'name' || token[0] === '&') return [token[1]];
    throw new Error(`"${template}" uses "{{${token[0]}${token[1]}}}"; only {{variable}} is allowed`);
  });
}

/** Reads `a.b.c` from nested own properties; undefined where a step is missing. */
export function lookup(data: unknown, path: string): unknown {
  let value: unknown = data;
  for (const key of path.split('.')) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function show(value: unknown): string {
  if (value === undefined || value === null) return '?';
  if (Array.isArray(value)) return value.map(show).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
