import { expect } from 'chai';
import { parseDocument } from '../../src/base/documents.js';
import { expandedSize } from '../../src/base/expanded-size.js';

describe('the size of a document with its aliases written out', () => {
  it('counts every value', () => {
    expect(expandedSize('x')).to.equal(1);
    expect(expandedSize({ a: [1, 2], b: null })).to.equal(5);
    const shared = [1, 2, 3];
    expect(expandedSize([shared, shared])).to.equal(9);
  });

  it('is infinite for what contains itself', () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(expandedSize(loop)).to.equal(Infinity);
  });

  it('bounds what is parsed: ten lines that come to ten billion values are refused at once', () => {
    const lines = ['m0: &m0 [a, b]'];
    for (let i = 1; i < 12; i++)
      lines.push(
        `m${i}: &m${i} [${Array(8)
          .fill(`*m${i - 1}`)
          .join(', ')}]`,
      );
    expect(() => parseDocument(lines.join('\n'), 'x.yaml')).to.throw(
      'x.yaml:1:1: with its aliases written out, the file has more than 1000000 values; expected a hand-written YAML file',
    );
    expect(parseDocument('a: &a [1]\nb: *a', 'x.yaml').value).to.deep.equal({ a: [1], b: [1] });
  });
});
