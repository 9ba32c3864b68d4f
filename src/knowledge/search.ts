import type { Article } from './types.js';

export interface SearchHit {
  article: Article;
  score: number;
}

/** What a word is worth where it stands. */
const WEIGHTS: { weight: number; texts(article: Article): readonly string[] }[] = [
  { weight: 10, texts: ({ id, title }) => [id, title] },
  { weight: 8, texts: ({ appliesTo }) => appliesTo },
  { weight: 4, texts: ({ symptoms }) => symptoms },
  { weight: 3, texts: ({ causes }) => causes },
  {
    weight: 1,
    texts: ({ remedies, body, references }) => [...remedies.flatMap((r) => [r.do, r.effect]), body, ...references],
  },
];

/** A word found only as the beginning of another. */
const PREFIX_SHARE = 0.5;

/**
 * The articles that hold words of the query, best first: those with more of its words, then those that have them in more
 * telling places. Latin text goes by words and their beginnings, Chinese by pairs of characters.
 */
export function searchArticles(articles: readonly Article[], query: string): SearchHit[] {
  const terms = [...new Set(termsOf(query))];
  const hits: (SearchHit & { found: number })[] = [];
  for (const article of articles) {
    const places = WEIGHTS.map(({ weight, texts }) => ({ weight, terms: countTerms(texts(article)) }));
    let score = 0;
    let found = 0;
    for (const term of terms) {
      const worth = places.reduce((sum, place) => sum + place.weight * occurrences(place.terms, term), 0);
      if (worth > 0) found++;
      score += worth;
    }
    if (found > 0) hits.push({ article, score, found });
  }
  return hits
    .sort((x, y) => y.found - x.found || y.score - x.score || (x.article.id < y.article.id ? -1 : 1))
    .map(({ article, score }) => ({ article, score }));
}

/** Words in lower case, also the parts of `tcp_v4_rcv` and `rp-filter`; of Chinese text pairs of characters. */
export function termsOf(text: string): string[] {
  const terms: string[] = [];
  for (const [run] of text.toLowerCase().matchAll(/\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{L}\p{N}._-])+/gu)) {
    if (/^\p{Script=Han}/u.test(run)) {
      if (run.length === 1) terms.push(run);
      for (let i = 0; i + 1 < run.length; i++) terms.push(run.slice(i, i + 2));
      continue;
    }
    const word = run.replace(/^[._-]+|[._-]+$/g, '');
    if (word === '') continue;
    terms.push(word);
    const parts = word.split(/[._-]+/);
    if (parts.length > 1) terms.push(...parts.filter((part) => part.length > 1));
  }
  return terms;
}

function countTerms(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of texts.flatMap(termsOf)) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/** How often, with little gain from repetition. */
function occurrences(counts: ReadonlyMap<string, number>, term: string): number {
  const exact = counts.get(term);
  if (exact) return 1 + Math.log2(exact) / 4;
  if (term.length < 3) return 0;
  for (const word of counts.keys()) if (word.startsWith(term)) return PREFIX_SHARE;
  return 0;
}
