import { existsSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { type Problem, VdiagError } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { didYouMean } from '../base/suggest.js';
import { readArticle } from './article-file.js';
import { searchArticles, type SearchHit } from './search.js';
import type { Article, Language } from './types.js';

export const LANGUAGES = ['en', 'zh'] as const satisfies readonly Language[];

/** Shipped articles first, then the site's own, which may replace them. */
export const ARTICLE_FOLDERS: readonly string[] = [packagePath('knowledge-base'), '/etc/vdiag/knowledge-base'];

/** The articles, by id and language. */
export class KnowledgeBase {
  private readonly byId = new Map<string, Partial<Record<Language, Article>>>();

  constructor(articles: Iterable<Article>) {
    for (const article of articles) {
      const languages = this.byId.get(article.id) ?? {};
      languages[article.language] = article;
      this.byId.set(article.id, languages);
    }
  }

  /** Ids of all articles, sorted: what rules and diagnoses may name. */
  get ids(): string[] {
    return [...this.byId.keys()].sort();
  }

  /** The article in that language; in another one if it was written in that only; undefined if there is none. */
  article(id: string, language: Language): Article | undefined {
    const languages = this.byId.get(id);
    return languages?.[language] ?? LANGUAGES.map((other) => languages?.[other]).find((found) => found !== undefined);
  }

  /** The article of that id. @throws VdiagError (2), with the nearest id, if there is none. */
  require(id: string, language: Language): Article {
    const article = this.article(id, language) ?? this.forSubject(id, language)[0];
    if (article) return article;
    throw new VdiagError(
      {
        message: `there is no article "${id}"`,
        expected: 'an id as `vdiag kb list` shows, or that of a rule or diagnosis',
        hint: didYouMean(id, [...this.ids, ...this.all(language).flatMap(({ appliesTo }) => appliesTo)]),
      },
      2,
    );
  }

  /** The articles that explain a rule or a diagnosis. */
  forSubject(id: string, language: Language): Article[] {
    return this.all(language).filter(({ appliesTo }) => appliesTo.includes(id));
  }

  /** All articles in that language, by id. */
  all(language: Language): Article[] {
    return this.ids.flatMap((id) => this.article(id, language) ?? []);
  }

  /** The articles that speak of the words, best first. */
  search(query: string, language: Language): SearchHit[] {
    return searchArticles(this.all(language), query);
  }
}

/**
 * Loads `<folder>/<language>/<id>.md` of every folder that is there; later folders replace articles of earlier ones.
 * @throws VdiagError (2) with every problem of every article.
 */
export function loadKnowledgeBase(folders: readonly string[] = ARTICLE_FOLDERS): KnowledgeBase {
  const articles: Article[] = [];
  const problems: Problem[] = [];
  for (const folder of folders) {
    for (const language of LANGUAGES) {
      const root = join(folder, language);
      if (!existsSync(root)) continue;
      for (const file of articleFiles(root)) {
        const id = relative(root, file).slice(0, -'.md'.length).split(sep).join('/');
        try {
          articles.push(readArticle(file, id, language));
        } catch (error) {
          if (!(error instanceof VdiagError)) throw error;
          problems.push(...error.problems);
        }
      }
    }
  }
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return new KnowledgeBase(articles);
}

/** The articles below a language's folder. */
export function articleFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
