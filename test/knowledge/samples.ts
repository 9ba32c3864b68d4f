import type { Article, Remedy } from '../../src/knowledge/types.js';

/** An article with the given remedies. */
export function articleWith(remedies: Remedy[], more: Partial<Article> = {}): Article {
  return {
    id: 'l2/sample',
    language: 'en',
    title: 'A sample',
    appliesTo: ['sample'],
    symptoms: ['it shows'],
    causes: ['it happens'],
    remedies,
    references: ['man sample'],
    body: 'What it means.',
    file: 'sample.md',
    ...more,
  };
}

/** A right article as a file: line 2 is its id. */
export const ARTICLE_TEXT = `---
id: l2/sample
title: A sample
applies_to: [sample-rule]
symptoms:
  - it shows
causes:
  - it happens
remedies:
  - do: tc qdisc del dev {{device}} root
    effect: removes it
    risk: low
references:
  - man tc
---
What it *means*.
`;
