import { expect } from 'chai';
import stringWidth from 'string-width';
import { loadKnowledgeBase } from '../../src/knowledge/knowledge-base.js';
import { markdownToLines } from '../../src/knowledge/markdown-text.js';
import { articleToJson, renderArticle } from '../../src/knowledge/render.js';
import { wrapText } from '../../src/knowledge/wrap.js';
import { articleWith } from './samples.js';

describe('articles on a terminal', () => {
  it('breaks lines between words, and Chinese text anywhere but before punctuation', () => {
    expect(wrapText('one two three', 8)).to.deep.equal(['one two', 'three']);
    expect(wrapText('averylongword x', 5)).to.deep.equal(['averylongword', 'x']);
    expect(wrapText('报文在队列中等待。', 8)).to.deep.equal(['报文在队', '列中等', '待。']);
    expect(wrapText('  ', 8)).to.deep.equal([]);
  });

  it('shows Markdown as plain text', () => {
    const lines = markdownToLines(
      '# Head\n\nIt is *slow*\nin `tun_net_xmit`, see [docs](https://example.org).\n\n- one\n- two\n  1. deep\n\n```\ntc qdisc\n```\n',
      60,
    );
    expect(lines).to.deep.equal([
      'Head',
      '',
      'It is slow in `tun_net_xmit`, see docs',
      '(https://example.org).',
      '',
      '- one',
      '- two',
      '  1. deep',
      '',
      '    tc qdisc',
    ]);
  });

  it('lets no control character or markup of an article through', () => {
    const article = articleWith([{ do: 'x\u001b[2J', effect: 'y', risk: 'none' }], {
      title: 'A\u001b]0;x\u0007',
      body: '<b>bold</b> \u202e text',
    });
    expect(renderArticle(article, { width: 80 })).to.not.match(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });

  it('marks what stands out as it is told to', () => {
    const style = { title: (t: string) => `<${t}>`, heading: (t: string) => `[${t}]`, command: (t: string) => `$${t}` };
    const text = renderArticle(articleWith([{ do: 'ip link', effect: 'shows', risk: 'none' }]), { width: 80, style });
    expect(text).to.contain('<A sample>').and.contain('[Symptoms]').and.contain('$ip link');
  });

  for (const language of ['en', 'zh'] as const) {
    it(`keeps the shipped articles (${language}) within the width, commands apart`, () => {
      for (const article of loadKnowledgeBase().all(language)) {
        const text = renderArticle(article, { width: 80 });
        const commands = articleToJson(article).remedies as Record<string, string>[];
        const whole = commands.flatMap((remedy) => ['do', 'verify', 'undo', 'persist'].map((key) => remedy[key]));
        for (const line of text.split('\n')) {
          if (whole.some((command) => command && line.endsWith(command))) continue;
          expect(stringWidth(line), `${article.id}: ${line}`).to.be.at.most(80);
        }
      }
    });
  }

  it('gives the same as plain JSON', () => {
    const json = articleToJson(articleWith([{ do: 'tc -s qdisc show dev {{device}}', effect: 'shows', risk: 'none' }]));
    expect(JSON.parse(JSON.stringify(json))).to.deep.equal(json);
    expect(json.remedies).to.deep.equal([{ do: 'tc -s qdisc show dev DEVICE', effect: 'shows', risk: 'none' }]);
  });
});
