import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { templateVariables } from '../../src/base/template.js';
import { sampleRemedies } from '../../src/knowledge/remedies.js';
import { LANGUAGES } from '../../src/knowledge/knowledge-base.js';
import type { Article, Remedy } from '../../src/knowledge/types.js';
import { diagnoses, knowledge, rules } from './content.js';

/** Diagnoses that no rule file holds: they are made of what nothing explains. */
const UNEXPLAINED = ['drop-not-established', 'latency-not-established', 'no-answer-not-established'];

/** What begins with one of these is a command; the rest are actions in words. */
const COMMANDS =
  /^(arping|ausearch|bpftool|bridge|cat|conntrack|dmesg|ethtool|free|grep|ip|iptables|iptables-save|ipvsadm|kill|lsmod|mpstat|nstat|ovs-appctl|ping|renice|ss|sysctl|systemctl|taskset|tc|tcpdump|traceroute|vdiag|virsh) /;

/** What shows or changes one network namespace. */
const OF_A_NAMESPACE =
  /^(arping|bridge|conntrack|ip|iptables|ip6tables|nft|nstat|ss|tc) |^(cat|grep .*) \/proc\/net\/(?!softnet_stat)/;

const PARTS = ['do', 'effect', 'verify', 'undo', 'persist'] as const;

function placeholders(remedy: Remedy): Record<string, string[]> {
  return Object.fromEntries(PARTS.map((part) => [part, templateVariables(remedy[part] ?? '').sort()]));
}

function bothLanguages(id: string): [Article, Article] {
  return LANGUAGES.map((language) => {
    const article = knowledge.article(id, language);
    expect(article?.language, `${id} in ${language}`).to.equal(language);
    return article!;
  }) as [Article, Article];
}

describe('the articles', () => {
  it('explain every rule, in both languages', () => {
    for (const rule of rules) {
      for (const article of bothLanguages(rule.article)) expect(article.appliesTo, article.id).to.include(rule.id);
    }
  });

  it('explain every diagnosis, in both languages', () => {
    expect(diagnoses).to.have.lengthOf.at.least(25);
    for (const { id, article: name } of diagnoses) {
      for (const article of bothLanguages(name)) expect(article.appliesTo, article.id).to.include(id);
    }
    for (const id of UNEXPLAINED) expect(knowledge.forSubject(id, 'zh'), id).to.have.lengthOf(1);
  });

  it('explain one subject in one place', () => {
    const seen = new Map<string, string>();
    for (const { id, appliesTo } of knowledge.all('en')) {
      for (const subject of appliesTo) {
        expect(seen.get(subject), `${subject} in ${id} and elsewhere`).to.equal(undefined);
        seen.set(subject, id);
      }
    }
  });

  it('name no rule that is not there', () => {
    const known = new Set(rules.map(({ id }) => id));
    const ruleLike = knowledge.all('en').flatMap(({ appliesTo }) => appliesTo.filter((id) => id.includes('.')));
    expect(ruleLike.filter((id) => !known.has(id))).to.deep.equal([]);
  });

  for (const id of knowledge.ids) {
    it(`say the same in English and Chinese: ${id}`, () => {
      const [english, chinese] = bothLanguages(id);
      expect(chinese.appliesTo).to.deep.equal(english.appliesTo);
      expect(chinese.references).to.deep.equal(english.references);
      expect(chinese.kernels).to.equal(english.kernels);
      for (const list of ['symptoms', 'causes', 'remedies'] as const) {
        expect(chinese[list], list).to.have.lengthOf(english[list].length);
      }
      english.remedies.forEach((remedy, i) => {
        const other = chinese.remedies[i];
        expect(Object.keys(other)).to.deep.equal(Object.keys(remedy));
        expect(other.risk).to.equal(remedy.risk);
        expect(placeholders(other), `remedy ${i}`).to.deep.equal(placeholders(remedy));
      });
      expect(chinese.title).to.match(/\p{Script=Han}/u);
      expect(english.title).to.not.match(/\p{Script=Han}/u);
      expect(english.body).to.not.match(/\p{Script=Han}/u);
      expect(paragraphs(chinese)).to.equal(paragraphs(english));
      expect(paragraphs(english)).to.be.within(1, 3);
    });

    it(`show every remedy without a diagnosis, as commands that a shell can read: ${id}`, () => {
      const article = knowledge.article(id, 'en')!;
      const shown = sampleRemedies(article);
      expect(shown).to.have.lengthOf(article.remedies.length);
      shown.forEach((remedy, i) => {
        expect(Object.keys(remedy)).to.deep.equal(Object.keys(article.remedies[i]));
        for (const part of ['do', 'verify', 'undo'] as const) {
          const line = remedy[part] ?? '';
          if (!COMMANDS.test(line)) continue;
          expect(spawnSync('sh', ['-n', '-c', line]).status, line).to.equal(0);
        }
      });
    });

    it(`look at the network namespace that they are about: ${id}`, () => {
      // It is about another machine.
      if (id === 'l4/refused-from-outside') return;
      for (const { do: action, verify = '', undo = '' } of bothLanguages(id).flatMap(({ remedies }) => remedies))
        for (const command of [action, verify, undo]) expect(command).to.not.match(OF_A_NAMESPACE);
    });

    it(`offer a way back from what changes something: ${id}`, () => {
      for (const remedy of knowledge.article(id, 'en')!.remedies) {
        if (remedy.risk === 'medium' || remedy.risk === 'high') {
          expect(remedy.undo ?? remedy.verify, remedy.do).to.be.a('string');
        }
        // Commands of evidence enter their namespace themselves.
        for (const part of PARTS) expect(remedy[part] ?? '').to.not.match(/\{\{ns\}\}\{\{/);
        // One command a line of a remedy: a prefix that enters a namespace would cover the first only.
        if (remedy.do.includes('{{ns}}')) expect(remedy.do).to.not.match(/&&|\|\||;|\|/);
      }
    });
  }
});

function paragraphs({ body }: Article): number {
  return body.split(/\n{2,}/).length;
}
