import { readFileSync, statSync } from 'node:fs';
import { parseDocument, schemaProblems, type SourceDocument } from '../base/documents.js';
import { type Problem, type SourcePosition, VdiagError } from '../base/errors.js';
import { didYouMean } from '../base/suggest.js';
import { templateVariables } from '../base/template.js';
import { TEMPLATE_NAMES } from './template-names.js';
import type { Article, Language, Remedy } from './types.js';

const MAX_ARTICLE_BYTES = 1 << 20;

interface FrontMatter {
  id: string;
  title: string;
  applies_to: string[];
  symptoms: string[];
  causes: string[];
  remedies: Remedy[];
  references: string[];
  kernels?: string;
}

/**
 * Reads an article: YAML front matter between `---` lines, then Markdown.
 * @param id as its place in the knowledge base demands (`l2/qdisc-shaping`)
 * @throws VdiagError (2) with every problem and its line in the file
 */
export function readArticle(file: string, id: string, language: Language): Article {
  return parseArticle(readText(file), file, id, language);
}

/**
 * The YAML of an article's front matter and the Markdown below it; an empty line stands for the first `---`, so that the
 * line numbers are the file's.
 */
export function articleParts(text: string): { front: string; body: string; end: number } | undefined {
  const lines = text.split(/\r?\n/);
  const end = lines.indexOf('---', 1);
  if (lines[0] !== '---' || end < 0) return undefined;
  const body = lines.slice(end + 1).join('\n');
  return { front: ['', ...lines.slice(1, end)].join('\n'), body: body.trim(), end };
}

/** The same from text. */
export function parseArticle(text: string, file: string, id: string, language: Language): Article {
  const parts = articleParts(text);
  if (!parts) {
    throw new VdiagError(
      {
        message: 'the article has no front matter',
        at: { file, line: 1, column: 1 },
        expected: 'YAML between two lines of ---, at the very top',
      },
      2,
    );
  }
  const { body, end } = parts;
  const document = parseDocument(parts.front, file);
  const problems = schemaProblems(document, 'article');
  if (problems.length > 0) throw new VdiagError(problems, 2);
  const front = document.value as FrontMatter;
  problems.push(...idProblems(document, front.id, id), ...templateProblems(document, front.remedies));
  if (body === '') {
    problems.push({
      message: 'the article has no text',
      at: { file, line: end + 1, column: 1 },
      expected: 'Markdown below the front matter',
    });
  }
  if (problems.length > 0) throw new VdiagError(problems, 2);
  const { applies_to: appliesTo, title, symptoms, causes, remedies, references, kernels } = front;
  return {
    ...{ id, language, title, appliesTo, symptoms, causes, remedies, references, body, file },
    ...(kernels === undefined ? {} : { kernels }),
  };
}

function idProblems(document: SourceDocument, id: string, expected: string): Problem[] {
  if (id === expected) return [];
  return [
    { message: `the id is "${id}"`, at: document.positionOf(['id']), expected: `"${expected}", as the file is named` },
  ];
}

/** Placeholders must be plain and known: a slip of the pen would show as a gap in a command. */
function templateProblems(document: SourceDocument, remedies: readonly Remedy[]): Problem[] {
  const problems: Problem[] = [];
  remedies.forEach((remedy, i) => {
    for (const key of ['do', 'effect', 'verify', 'undo', 'persist'] as const) {
      const at = (): SourcePosition => document.positionOf(['remedies', i, key]);
      let names: string[];
      try {
        names = templateVariables(remedy[key] ?? '');
      } catch (error) {
        problems.push({ message: (error as Error).message, at: at() });
        continue;
      }
      for (const name of names) {
        if (Object.hasOwn(TEMPLATE_NAMES, name)) continue;
        problems.push({
          message: `unknown placeholder {{${name}}}`,
          at: at(),
          expected: 'a fact that a diagnosis names',
          hint: didYouMean(name, Object.keys(TEMPLATE_NAMES)),
        });
      }
    }
  });
  return problems;
}

function readText(file: string): string {
  try {
    if (statSync(file).size > MAX_ARTICLE_BYTES) {
      throw new VdiagError({ message: `${file} is larger than 1 MiB`, expected: 'an article' }, 2);
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof VdiagError) throw error;
    throw new VdiagError({ message: `cannot read ${file}: ${(error as Error).message}` }, 2, { cause: error });
  }
}
