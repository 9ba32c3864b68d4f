import { didYouMean } from '../base/suggest.js';
import { ConditionChecker } from './check-condition.js';
import type { Definitions } from './definitions.js';
import { DIAGNOSIS_FACTS, subjectMembers } from './diagnosis-facts.js';
import { EVENT_EXTRAS, subjectName } from './finding-groups.js';
import type { KnownNames } from './known-names.js';
import { isMapping, quote, textsOf, type Mapping, type Place, type Problems } from './problems.js';
import type { SuspectSpec } from './types.js';
import { checkTemplate, diagnosisVocabulary, eventVocabulary, type TemplateNames } from './vocabulary.js';

/** What the checks of an entry draw on. */
export interface CheckContext {
  known: KnownNames;
  definitions: Definitions;
  problems: Problems;
  /** Called for every id that the entry names; checked when all files are read. `rule`: it must be an event rule. */
  refer(id: string, at: Place, what: 'rule' | 'rule or diagnosis'): void;
}

/** Checks a classification rule, or the fields that an override gives. The schema has checked its form. */
export function checkRule(rule: Mapping, at: Place, context: CheckContext): void {
  const { known, definitions, problems } = context;
  for (const [i, name] of textsOf(rule.on)) checkProbe(name, at.to('on', i), context);
  if ('when' in rule) {
    new ConditionChecker(eventVocabulary(known, problems), definitions, problems).check(rule.when, at.to('when'));
  }
  const inMessage: TemplateNames = new Map([
    ...scopesOf(Object.keys(known.fields).concat('packet.summary')),
    ['', EVENT_EXTRAS.filter((name) => !name.includes('.'))],
  ]);
  for (const key of ['message', 'messageZh']) checkTemplate(rule[key], inMessage, at.to(key), problems);
  checkArticle(rule.article, at.to('article'), context);
  checkGroupBy(rule.groupBy, at.to('groupBy'), context);
  if (Array.isArray(rule.tests)) {
    rule.tests.forEach((test: unknown, i) => {
      if (isMapping(test) && isMapping(test.event)) checkTestEvent(test.event, at.to('tests', i, 'event'), context);
    });
  }
}

/** Checks a diagnosis rule, or the fields that an override gives; `suspect` is that of the overridden one if it gives none. */
export function checkDiagnosis(rule: Mapping, at: Place, suspect: unknown, context: CheckContext): void {
  const { known, definitions, problems } = context;
  const about = isMapping(suspect) ? (suspect as Partial<SuspectSpec>) : undefined;
  const refer = (id: string, place: Place): void => context.refer(id, place, 'rule');
  if (isMapping(rule.suspect)) {
    for (const [i, id] of textsOf(rule.suspect.findings)) refer(id, at.to('suspect', 'findings', i));
    for (const [i, kind] of textsOf(rule.suspect.segments))
      checkSegmentKind(kind, at.to('suspect', 'segments', i), context);
  }
  for (const key of ['when', 'proof']) {
    if (!(key in rule)) continue;
    const vocabulary = diagnosisVocabulary(known, about, problems, refer);
    new ConditionChecker(vocabulary, definitions, problems).check(rule[key], at.to(key));
  }
  const names = diagnosisTemplateNames(about, known);
  for (const key of ['summary', 'summaryZh']) checkTemplate(rule[key], names, at.to(key), problems);
  if (Array.isArray(rule.why)) {
    rule.why.forEach((line: unknown, i) => {
      if (!isMapping(line)) return;
      for (const key of ['text', 'textZh']) checkTemplate(line[key], names, at.to('why', i, key), problems);
    });
  }
  if (isMapping(rule.names)) {
    for (const [key, template] of Object.entries(rule.names))
      checkTemplate(template, names, at.to('names', key), problems);
  }
  for (const [i, id] of textsOf(rule.explains)) context.refer(id, at.to('explains', i), 'rule or diagnosis');
  for (const [i, kind] of textsOf(rule.explainsSegments)) checkSegmentKind(kind, at.to('explainsSegments', i), context);
  checkArticle(rule.article, at.to('article'), context);
}

function checkProbe(name: string, at: Place, { known, problems }: CheckContext): void {
  if (name.startsWith('role:')) {
    const role = name.slice('role:'.length);
    if (known.roles.has(role)) return;
    problems.add(at, `unknown role ${quote(role)}`, {
      expected: `one of ${[...known.roles].join(', ')}`,
      hint: didYouMean(role, known.roles),
    });
  } else if (!known.probes.has(name)) {
    const hint = known.roles.has(name) ? `did you mean "role:${name}"?` : didYouMean(name, known.probes);
    problems.add(at, `unknown probe ${quote(name)}`, {
      expected: 'a probe of the catalogue (vdiag probes list), or role:<role>',
      hint,
    });
  }
}

function checkArticle(article: unknown, at: Place, { known, problems }: CheckContext): void {
  if (typeof article !== 'string' || known.articles.has(article)) return;
  problems.add(at, `unknown article ${quote(article)}`, {
    expected: 'an article of the knowledge base (vdiag kb list)',
    hint: didYouMean(article, known.articles),
  });
}

function checkSegmentKind(kind: string, at: Place, { known, problems }: CheckContext): void {
  if (!known.segmentKinds || known.segmentKinds.has(kind)) return;
  problems.add(at, `unknown kind of segment ${quote(kind)}`, {
    expected: `one of ${[...known.segmentKinds].join(', ')}`,
    hint: didYouMean(kind, known.segmentKinds),
  });
}

function checkField(name: string, at: Place, { known, problems }: CheckContext): boolean {
  if (Object.hasOwn(known.fields, name)) return true;
  problems.add(at, `unknown field ${quote(name)}`, {
    expected: 'a field of events (docs/rules.md lists them)',
    hint: didYouMean(name, Object.keys(known.fields)),
  });
  return false;
}

function checkGroupBy(value: unknown, at: Place, context: CheckContext): void {
  const taken = new Map<string, string>();
  for (const [i, name] of textsOf(value)) {
    if (!checkField(name, at.to(i), context)) continue;
    const short = subjectName(name);
    const other = taken.get(short);
    if (other !== undefined) {
      context.problems.add(at.to(i), `"${name}" and "${other}" would both be "${short}" in the finding's subject`, {
        expected: 'one of them',
      });
    }
    taken.set(short, name);
  }
}

function checkTestEvent(event: Mapping, at: Place, context: CheckContext): void {
  for (const [name, value] of Object.entries(event)) {
    if (!checkField(name, at.to(name), context)) continue;
    const { type } = context.known.fields[name];
    if (typeof value !== type)
      context.problems.add(at.to(name), `${quote(name)} is ${quote(value)}`, { expected: `a ${type}` });
  }
}

function scopesOf(names: readonly string[]): Map<string, string[]> {
  const scopes = new Map<string, string[]>();
  for (const name of names) {
    const scope = name.slice(0, name.indexOf('.'));
    scopes.set(scope, [...(scopes.get(scope) ?? []), subjectName(name)]);
  }
  return scopes;
}

function diagnosisTemplateNames(suspect: Partial<SuspectSpec> | undefined, known: KnownNames): TemplateNames {
  return new Map([
    ['subject', Object.keys(subjectMembers(suspect, known.fields))],
    ['run', Object.keys(DIAGNOSIS_FACTS.run.members)],
    ...[...known.evidence].map(([name, { members }]): [string, string[]] => [`evidence.${name}`, Object.keys(members)]),
  ]);
}
