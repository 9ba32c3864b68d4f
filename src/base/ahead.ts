import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { ValidateFunction } from 'ajv';
import { packagePath } from './package-root.js';

/**
 * What the build makes of the package's own documents and schemas, so that no command parses 200 YAML files or compiles
 * a schema before it starts: `dist/ahead/` (scripts/make-ahead.ts). Everything in it is found by the digest of the text
 * that it was made of, so what was changed since is never taken for what it was.
 */
export interface AheadFile {
  /** Digest of the schema by its name: documents count as validated only while these are the same. */
  schemas: Record<string, string>;
  /** By the digest of their text. */
  documents: Record<string, AheadEntry>;
}

export interface AheadEntry {
  /** The value, as JSON. */
  json: string;
  /** The schema that it obeys. */
  obeys: string;
  /** Line and column of the parts that are asked for on every run, by their path joined with dots. */
  places: Record<string, [number, number]>;
}

/** A document of the package, ready. */
export interface AheadDocument {
  value: unknown;
  obeys: string | undefined;
  places: ReadonlyMap<string, [number, number]>;
}

/** Only the build uses it: whoever works on the sources sees what the sources do. */
const USED = import.meta.url.endsWith('.js');
const FOLDER = packagePath('dist', 'ahead');

let loaded: AheadFile | undefined;

/** The document that this text is, if it was there when the package was built. */
export function madeAhead(text: string): AheadDocument | undefined {
  if (!USED) return undefined;
  loaded ??= readAhead(FOLDER);
  return documentIn(loaded, text);
}

/** The same from a given file's content. The value is a new one each time. */
export function documentIn({ documents, schemas }: AheadFile, text: string): AheadDocument | undefined {
  const key = digest(text);
  if (!Object.hasOwn(documents, key)) return undefined;
  const { json, obeys, places } = documents[key]!;
  const value: unknown = JSON.parse(json);
  return {
    value,
    obeys: schemas[obeys] === schemaDigest(obeys) ? obeys : undefined,
    places: new Map(Object.entries(places)),
  };
}

/** The validator of a schema, compiled when the package was built; undefined when the schema is another one by now. */
export function compiledAhead(schema: string, schemaDigestNow: string, folder?: string): ValidateFunction | undefined {
  if (!USED && folder === undefined) return undefined;
  const file = join(folder ?? FOLDER, `${schema}.cjs`);
  if (!existsSync(file)) return undefined;
  const module = createRequire(import.meta.url)(file) as { digest: string; validate: ValidateFunction };
  return module.digest === schemaDigestNow ? module.validate : undefined;
}

/** Digest of a text. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

const digests = new Map<string, string>();

function schemaDigest(schema: string): string {
  let known = digests.get(schema);
  if (known === undefined) {
    known = digest(readFileSync(packagePath('docs', 'schema', `${schema}.schema.json`), 'utf8'));
    digests.set(schema, known);
  }
  return known;
}

/** Nothing was made ahead where the file is not there: then everything is parsed. */
function readAhead(folder: string): AheadFile {
  const file = join(folder, 'documents.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as AheadFile) : { schemas: {}, documents: {} };
}
