import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { loadKnowledgeBase, type KnowledgeBase } from '../../src/knowledge/knowledge-base.js';
import { ARTICLE_TEXT } from './samples.js';

describe('the knowledge base', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'vdiag-kb-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function write(path: string, text: string): void {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const load = (...folders: string[]): KnowledgeBase => loadKnowledgeBase(folders.map((folder) => join(root, folder)));

  it('finds articles by id and by what they explain, in the language asked for', () => {
    write('kb/en/l2/sample.md', ARTICLE_TEXT);
    write('kb/zh/l2/sample.md', ARTICLE_TEXT.replace('A sample', '示例'));
    const kb = load('kb');
    expect(kb.ids).to.deep.equal(['l2/sample']);
    expect(kb.article('l2/sample', 'zh')?.title).to.equal('示例');
    expect(kb.forSubject('sample-rule', 'en').map(({ title }) => title)).to.deep.equal(['A sample']);
    expect(kb.require('sample-rule', 'zh').title).to.equal('示例');
    expect(kb.article('l2/none', 'en')).to.equal(undefined);
  });

  it('lets the articles of a site replace shipped ones, and takes those of one language', () => {
    write('shipped/en/l2/sample.md', ARTICLE_TEXT);
    write('site/en/l2/sample.md', ARTICLE_TEXT.replace('A sample', 'Our way'));
    write('site/en/site/own.md', ARTICLE_TEXT.replace('l2/sample', 'site/own'));
    const kb = load('shipped', 'site', 'not-there');
    expect(kb.article('l2/sample', 'en')?.title).to.equal('Our way');
    expect(kb.article('site/own', 'zh')?.language).to.equal('en');
    expect(kb.all('zh').map(({ id }) => id)).to.deep.equal(['l2/sample', 'site/own']);
  });

  it('names every bad file at once', () => {
    write('kb/en/l2/one.md', 'no front matter');
    write('kb/zh/l2/two.md', ARTICLE_TEXT);
    expect(() => load('kb'))
      .to.throw(VdiagError)
      .with.property('message')
      .that.matches(/one\.md:1:1: .*\n.*two\.md:2:1: the id is/);
  });

  it('suggests the nearest id for one that is not there', () => {
    write('kb/en/l2/sample.md', ARTICLE_TEXT);
    expect(() => load('kb').require('l2/smaple', 'en')).to.throw(VdiagError, 'did you mean "l2/sample"?');
  });
});
