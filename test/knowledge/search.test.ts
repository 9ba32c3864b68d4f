import { expect } from 'chai';
import { loadKnowledgeBase } from '../../src/knowledge/knowledge-base.js';
import { searchArticles, termsOf } from '../../src/knowledge/search.js';
import { articleWith } from './samples.js';

describe('the search of articles', () => {
  it('goes by words, their parts, and pairs of Chinese characters', () => {
    expect(termsOf('TCP retransmits in tcp_v4_rcv.')).to.deep.equal([
      'tcp',
      'retransmits',
      'in',
      'tcp_v4_rcv',
      'tcp',
      'v4',
      'rcv',
    ]);
    expect(termsOf('tcp重传率 高')).to.deep.equal(['tcp', '重传', '传率', '高']);
    expect(termsOf(' -- … ')).to.deep.equal([]);
  });

  it('puts first what has more of the words, then what has them in more telling places', () => {
    const inTitle = articleWith([], { id: 'l2/a', title: 'Queue of a tap' });
    const inBody = articleWith([], { id: 'l2/b', title: 'Other', body: 'a queue, and a tap' });
    const both = articleWith([], { id: 'l2/c', title: 'Other', body: 'queue tap overflow' });
    const none = articleWith([], { id: 'l2/d' });
    const found = searchArticles([none, inBody, both, inTitle], 'tap queue overflow');
    expect(found.map(({ article }) => article.id)).to.deep.equal(['l2/c', 'l2/a', 'l2/b']);
  });

  const kb = loadKnowledgeBase();
  const best: [query: string, language: 'en' | 'zh', id: string][] = [
    ['conntrack table full', 'en', 'netfilter/conntrack-table-full'],
    ['连接跟踪表已满', 'zh', 'netfilter/conntrack-table-full'],
    ['connection refused', 'en', 'l4/port-closed'],
    ['retransmissions', 'en', 'l4/tcp-retransmissions'],
    ['反向路径过滤', 'zh', 'l3/rp-filter'],
    ['netem', 'en', 'l2/netem'],
    ['全连接队列', 'zh', 'l4/listen-backlog-overflow'],
    ['lifecycle.ring-full', 'en', 'virt/tap-ring-full'],
  ];
  for (const [query, language, id] of best) {
    it(`finds ${id} for "${query}"`, () => {
      expect(kb.search(query, language)[0].article.id).to.equal(id);
    });
  }

  it('finds nothing for what is not there', () => {
    expect(kb.search('xylophone', 'en')).to.deep.equal([]);
    expect(kb.search('', 'en')).to.deep.equal([]);
  });
});
