/**
 * Writes dist/ahead/, the last step of the build: the package's own documents, parsed and validated, and the validators
 * of every schema, compiled (src/base/ahead.ts says how they are used). Fails where a document is wrong.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { AnySchemaObject, ValidateFunction } from 'ajv';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import { type AheadFile, digest } from '../src/base/ahead.js';
import { parseDocument, schemaProblems, type SourceDocument, yamlFilesBelow } from '../src/base/documents.js';
import { packagePath } from '../src/base/package-root.js';
import { schemaCompiler, schemaText } from '../src/base/schema-validators.js';
import { articleParts } from '../src/knowledge/article-file.js';
import { articleFiles, LANGUAGES } from '../src/knowledge/knowledge-base.js';
import { loadLibrary } from '../src/scenarios/library.js';

/** Schemas that vdiag validates with (that of reports is for those who read them). */
export const SCHEMAS = [
  ...['article', 'diagnosis-set', 'fault', 'offsets', 'probes', 'recording-checkpoint', 'recording-end'],
  ...['recording-meta', 'ruleset', 'scenario', 'topology'],
];

/** CommonJS: its types do not tell what `require` gives. */
const standaloneCode = createRequire(import.meta.url)('ajv/dist/standalone') as (
  ajv: Ajv2020,
  validate: ValidateFunction,
) => string;

const RULE_SCHEMAS: Record<string, string> = { RuleSet: 'ruleset', MacroSet: 'ruleset', DiagnosisSet: 'diagnosis-set' };

/** Everything that a build of the package knows beforehand. */
export function aheadFile(): AheadFile {
  // Rules are checked as a whole, beyond their schemas: throws where one is wrong.
  loadLibrary();
  const documents: AheadFile['documents'] = {};
  const add = (text: string, file: string, schema: (value: unknown) => string, checked = false): void => {
    const document = parseDocument(text, file);
    const obeys = schema(document.value);
    const problems = checked ? [] : schemaProblems(document, obeys);
    if (problems.length > 0) throw new Error(`${file} does not obey ${obeys}: ${problems[0]!.message}`);
    const json = JSON.stringify(document.value);
    // What JSON cannot say (a date, an infinity) is parsed again each time.
    if (!isDeepStrictEqual(JSON.parse(json), document.value)) return;
    documents[digest(text)] = { json, obeys, places: placesIn(document) };
  };
  const addAll = (schema: (value: unknown) => string, checked: boolean, ...folder: string[]): void => {
    for (const file of yamlFilesBelow(packagePath(...folder))) add(readFileSync(file, 'utf8'), file, schema, checked);
  };
  addAll(() => 'probes', false, 'bpf', 'probes');
  addAll(() => 'offsets', false, 'bpf', 'offsets');
  addAll(() => 'fault', false, 'fixtures', 'faults');
  addAll(() => 'topology', false, 'fixtures', 'topologies');
  addAll(ruleSchema, true, 'rules');
  for (const language of LANGUAGES) {
    for (const file of articleFiles(packagePath('knowledge-base', language))) {
      add(articleParts(readFileSync(file, 'utf8'))!.front, file, () => 'article');
    }
  }
  return { schemas: Object.fromEntries(SCHEMAS.map((name) => [name, digest(schemaText(name))])), documents };
}

/** Rules and scenarios stand below one folder; conditions of rules are checked by more than the schema. */
function ruleSchema(value: unknown): string {
  return RULE_SCHEMAS[String((value as { kind?: string }).kind)] ?? 'scenario';
}

/** The members of the document and of its lists: rules tell where each of them stands. */
function placesIn(document: SourceDocument): Record<string, [number, number]> {
  const root = document.value as Record<string, unknown>;
  const paths = Object.entries(root).flatMap(([key, value]): (string | number)[][] => [
    [key],
    ...(Array.isArray(value) ? value.map((_, i) => [key, i]) : []),
  ]);
  return Object.fromEntries(
    paths.map((path) => {
      const { line, column } = document.positionOf(path);
      return [path.join('.'), [line, column]];
    }),
  );
}

/** A schema's validator as a CommonJS module, with the digest of the schema it was made of. */
export function validatorModule(schema: string): string {
  const text = schemaText(schema);
  const ajv = schemaCompiler(true);
  const code = standaloneCode(ajv, ajv.compile(JSON.parse(text) as AnySchemaObject));
  return `${code}\nmodule.exports = { digest: ${JSON.stringify(digest(text))}, validate: module.exports };\n`;
}

/** Writes all of it into a folder, anew. */
export function writeAhead(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'documents.json'), JSON.stringify(aheadFile()));
  for (const schema of SCHEMAS) writeFileSync(join(folder, `${schema}.cjs`), validatorModule(schema));
}

if (basename(process.argv[1] ?? '') === 'make-ahead.ts') writeAhead(packagePath('dist', 'ahead'));
