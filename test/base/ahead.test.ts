import { expect } from 'chai';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type AheadFile, compiledAhead, digest, documentIn } from '../../src/base/ahead.js';
import { parseDocument, yamlFilesBelow } from '../../src/base/documents.js';
import { packagePath } from '../../src/base/package-root.js';
import { schemaText, validatorFor } from '../../src/base/schema-validators.js';
import { articleFiles } from '../../src/knowledge/knowledge-base.js';
import { articleParts } from '../../src/knowledge/article-file.js';
import { SCHEMAS, writeAhead } from '../../scripts/make-ahead.js';

describe('what the build makes ahead', function () {
  this.timeout(60_000);
  let folder: string;
  let ahead: AheadFile;

  before(() => {
    // Inside the package, where the modules find ajv's own.
    mkdirSync(packagePath('.cache'), { recursive: true });
    folder = mkdtempSync(packagePath('.cache', 'ahead-'));
    writeAhead(folder);
    ahead = JSON.parse(readFileSync(join(folder, 'documents.json'), 'utf8')) as AheadFile;
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const shipped = (): string[] =>
    [['bpf', 'probes'], ['bpf', 'offsets'], ['rules'], ['fixtures', 'faults'], ['fixtures', 'topologies']].flatMap(
      (parts) => yamlFilesBelow(packagePath(...parts)),
    );

  it('says of every shipped document what parsing it says, places included', () => {
    for (const file of shipped()) {
      const text = readFileSync(file, 'utf8');
      const known = documentIn(ahead, text);
      const parsed = parseDocument(text, file);
      expect(known?.value, file).to.deep.equal(parsed.value);
      expect(known!.obeys, file).to.be.a('string');
      for (const [path, [line, column]] of known!.places) {
        expect({ file, line, column }, path).to.deep.equal(parsed.positionOf(path.split('.')));
      }
    }
  });

  it('has the front matter of every article', () => {
    for (const language of ['en', 'zh']) {
      for (const file of articleFiles(packagePath('knowledge-base', language))) {
        const { front } = articleParts(readFileSync(file, 'utf8'))!;
        expect(documentIn(ahead, front)?.value, file).to.deep.equal(parseDocument(front, file).value);
      }
    }
  });

  it('does not take a changed document for what it was', () => {
    const text = readFileSync(shipped()[0]!, 'utf8');
    expect(documentIn(ahead, text)).to.not.equal(undefined);
    expect(documentIn(ahead, `${text}\n`)).to.equal(undefined);
  });

  it('hands out a new value each time', () => {
    const text = readFileSync(shipped()[0]!, 'utf8');
    expect(documentIn(ahead, text)!.value).to.not.equal(documentIn(ahead, text)!.value);
  });

  it('lets a document be validated again when its schema is another one', () => {
    const text = readFileSync(shipped()[0]!, 'utf8');
    const other = { ...ahead, schemas: { ...ahead.schemas, probes: digest('another schema') } };
    expect(documentIn(ahead, text)!.obeys).to.equal('probes');
    expect(documentIn(other, text)!.obeys).to.equal(undefined);
  });

  for (const schema of SCHEMAS) {
    it(`finds the same mistakes by the compiled schema of ${schema}`, () => {
      const text = schemaText(schema);
      const compiled = compiledAhead(schema, digest(text), folder)!;
      const fresh = validatorFor(schema);
      const wrong: unknown[] = [
        ...[null, 7, [], {}, { apiVersion: 'vdiag/v0', kind: 'Nothing', extra: 1 }],
        ...[{ probes: [{ name: 1 }], rules: [{}], diagnoses: [{ id: '' }], segments: 3, loss: { ringFull: -1 } }],
      ];
      for (const value of wrong) {
        expect(compiled(value), JSON.stringify(value)).to.equal(fresh(value));
        const told = ({ errors }: typeof compiled): unknown =>
          errors?.map(({ schemaPath: _, ...error }) => error) ?? [];
        expect(told(compiled)).to.deep.equal(told(fresh));
      }
    });
  }

  it('is not used for a schema that has changed since', () => {
    expect(compiledAhead('article', digest('another schema'), folder)).to.equal(undefined);
    expect(compiledAhead('no-such-schema', digest(''), folder)).to.equal(undefined);
  });
});
