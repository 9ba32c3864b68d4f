import { Command, Option } from 'commander';
import { VdiagError } from '../../base/errors.js';
import { loadKnowledgeBase } from '../../knowledge/knowledge-base.js';
import { articleToJson, renderArticle } from '../../knowledge/render.js';
import type { Language } from '../../knowledge/types.js';
import { terminalWidth } from '../options.js';
import { table } from '../table.js';

const language = () => new Option('--lang <language>', 'language of the articles').choices(['en', 'zh']).default('en');
const format = () => new Option('--format <format>', 'text or json').choices(['text', 'json']).default('text');

/** `vdiag kb`: the knowledge base. */
export function kbCommand(): Command {
  const kb = new Command('kb').description('the knowledge base: what it means, why it happens, what to do').addHelpText(
    'after',
    `
Examples:
  vdiag kb search zero window
  vdiag kb show l2/qdisc-shaping --lang zh
  vdiag kb show lifecycle.no-socket          (a rule's or a diagnosis' id does, too)`,
  );
  kb.command('list')
    .description('every article')
    .addOption(language())
    .action(({ lang }: { lang: Language }) => {
      process.stdout.write(
        table(
          ['article', 'title'],
          loadKnowledgeBase()
            .all(lang)
            .map(({ id, title }) => [id, title]),
        ),
      );
    });
  kb.command('show')
    .description('an article, by its id or by that of a rule or diagnosis')
    .argument('<id>')
    .addOption(language())
    .addOption(format())
    .action((id: string, flags: { lang: Language; format: 'text' | 'json' }) => {
      const knowledge = loadKnowledgeBase();
      const article = knowledge.forSubject(id, flags.lang)[0] ?? knowledge.require(id, flags.lang);
      process.stdout.write(
        flags.format === 'json'
          ? `${JSON.stringify(articleToJson(article), null, 2)}\n`
          : renderArticle(article, { width: terminalWidth() }),
      );
    });
  kb.command('search')
    .description('articles that speak of these words')
    .argument('<words...>')
    .addOption(language())
    .action((words: string[], { lang }: { lang: Language }) => {
      const hits = loadKnowledgeBase().search(words.join(' '), lang);
      if (hits.length === 0) {
        throw new VdiagError(
          { message: `no article speaks of "${words.join(' ')}"`, hint: 'vdiag kb list shows all' },
          2,
        );
      }
      process.stdout.write(
        table(
          ['article', 'title'],
          hits.slice(0, 15).map(({ article }) => [article.id, article.title]),
        ),
      );
    });
  return kb;
}
