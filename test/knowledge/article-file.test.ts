import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { parseArticle } from '../../src/knowledge/article-file.js';
import { ARTICLE_TEXT } from './samples.js';

function problemsOf(text: string, id = 'l2/sample'): string {
  try {
    parseArticle(text, 'sample.md', id, 'en');
    return '';
  } catch (error) {
    if (!(error instanceof VdiagError)) throw error;
    expect(error.exitStatus).to.equal(2);
    return error.message;
  }
}

describe('an article file', () => {
  it('is front matter and Markdown', () => {
    const article = parseArticle(ARTICLE_TEXT, 'sample.md', 'l2/sample', 'en');
    expect(article).to.deep.include({ id: 'l2/sample', language: 'en', title: 'A sample', body: 'What it *means*.' });
    expect(article.appliesTo).to.deep.equal(['sample-rule']);
    expect(article.remedies).to.deep.equal([
      { do: 'tc qdisc del dev {{device}} root', effect: 'removes it', risk: 'low' },
    ]);
    expect(article).to.not.have.property('kernels');
  });

  it('may have Windows line ends', () => {
    expect(parseArticle(ARTICLE_TEXT.replaceAll('\n', '\r\n'), 'sample.md', 'l2/sample', 'en').title).to.equal(
      'A sample',
    );
  });

  const wrong: [what: string, text: string, expected: string][] = [
    ['no front matter', 'Just text', 'sample.md:1:1: the article has no front matter'],
    ['front matter that does not end', '---\nid: l2/sample\n', 'sample.md:1:1: the article has no front matter'],
    ['bad YAML, with its line in the file', ARTICLE_TEXT.replace('title: A sample', 'title: "A'), 'sample.md:'],
    ['an unknown field', ARTICLE_TEXT.replace('title:', 'titel:'), 'sample.md:3:1: unknown field "titel"'],
    ['a field that lacks', ARTICLE_TEXT.replace('references:\n  - man tc\n', ''), 'lacks the field "references"'],
    [
      'an unknown risk',
      ARTICLE_TEXT.replace('risk: low', 'risk: lo'),
      'sample.md:12:5: "remedies.0.risk" is "lo"; expected one of none, low, medium, high',
    ],
    [
      'another id than its place',
      ARTICLE_TEXT.replace('l2/sample', 'l2/simple'),
      'sample.md:2:1: the id is "l2/simple"; expected "l2/sample"',
    ],
    [
      'an unknown placeholder',
      ARTICLE_TEXT.replace('{{device}}', '{{devise}}'),
      'sample.md:10:5: unknown placeholder {{devise}}; expected a fact that a diagnosis names; did you mean "device"?',
    ],
    [
      'more than a variable in a template',
      ARTICLE_TEXT.replace('{{device}}', '{{#device}}x{{/device}}'),
      'only {{variable}} is allowed',
    ],
    ['no text', ARTICLE_TEXT.replace('What it *means*.', ''), 'sample.md:15:1: the article has no text'],
  ];
  for (const [what, text, expected] of wrong) {
    it(`is refused for ${what}`, () => {
      expect(text).to.not.equal(ARTICLE_TEXT);
      expect(problemsOf(text)).to.contain(expected);
    });
  }
});
