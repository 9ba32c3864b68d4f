import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Ajv from 'ajv/dist/2020.js';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv';
import { compiledAhead, digest } from './ahead.js';
import { packagePath } from './package-root.js';

const validators = new Map<string, ValidateFunction>();
let ajv: Ajv2020 | undefined;

/** The validator of `docs/schema/<schema>.schema.json`: the one compiled when the package was built, or a new one. */
export function validatorFor(schema: string): ValidateFunction {
  let validate = validators.get(schema);
  if (!validate) {
    const text = schemaText(schema);
    validate = compiledAhead(schema, digest(text)) ?? schemaCompiler().compile(JSON.parse(text) as object);
    validators.set(schema, validate);
  }
  return validate;
}

/** A schema as it is published. */
export function schemaText(schema: string): string {
  return readFileSync(packagePath('docs', 'schema', `${schema}.schema.json`), 'utf8');
}

/** What makes validators of schemas. Loading it alone takes longer than a whole command without it. */
export function schemaCompiler(source = false): Ajv2020 {
  if (ajv && !source) return ajv;
  const library = createRequire(import.meta.url)('ajv/dist/2020.js') as typeof Ajv;
  const options = { allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true, verbose: true };
  const made = new library.Ajv2020({ ...options, ...(source && { code: { source: true } }) });
  if (!source) ajv = made;
  return made;
}
