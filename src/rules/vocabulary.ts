import type { FieldSpec, FieldType } from '../events/field-names.js';
import { templateVariables } from '../base/template.js';
import { didYouMean } from '../base/suggest.js';
import { DIAGNOSIS_FACTS, subjectMembers, type DiagnosisFact } from './diagnosis-facts.js';
import type { KnownNames } from './known-names.js';
import { isMapping, quote, textsOf, type Mapping, type Place, type Problems } from './problems.js';
import type { SuspectSpec } from './types.js';

/** The facts that a condition may name, and how they are named. */
export interface Vocabulary {
  /**
   * Checks a fact with its path and parameters.
   * @returns its type; `any` for one whose type is not known; undefined when a problem was added.
   */
  check(comparison: Mapping, at: Place): FieldType | 'any' | undefined;
}

/** The vocabulary of event rules: the fields of events. */
export function eventVocabulary(known: KnownNames, problems: Problems): Vocabulary {
  return {
    check(comparison, at) {
      const fact = String(comparison.fact);
      for (const key of ['path', 'params', 'priority']) {
        if (key in comparison) {
          problems.add(at.to(key), `"${key}" has no use in an event rule`, {
            expected: 'fact, operator and value only',
          });
        }
      }
      if (Object.hasOwn(known.fields, fact)) return known.fields[fact].type;
      const evidence = Object.hasOwn(DIAGNOSIS_FACTS, fact) || fact.startsWith('evidence.');
      problems.add(at.to('fact'), `unknown field ${quote(fact)}`, {
        expected: 'a field of events (docs/rules.md lists them)',
        hint: evidence
          ? `"${fact}" is a fact of diagnoses (kind: DiagnosisSet)`
          : didYouMean(fact, Object.keys(known.fields)),
      });
      return undefined;
    },
  };
}

/** Called for each rule id that a parameter names, so that it is checked when all rules are known. */
export type RuleReference = (id: string, at: Place) => void;

/** The vocabulary of diagnosis rules: observed facts, and evidence. */
export function diagnosisVocabulary(
  known: KnownNames,
  suspect: Partial<SuspectSpec> | undefined,
  problems: Problems,
  refer: RuleReference,
): Vocabulary {
  const subject = subjectMembers(suspect, known.fields);
  const factOf = (name: string): DiagnosisFact | undefined => {
    if (name === 'subject') return { ...DIAGNOSIS_FACTS.subject, members: subject };
    return Object.hasOwn(DIAGNOSIS_FACTS, name) ? DIAGNOSIS_FACTS[name] : undefined;
  };
  return {
    check(comparison, at) {
      const name = String(comparison.fact);
      if (name.startsWith('evidence.')) return checkEvidence(name.slice('evidence.'.length), comparison, at);
      const fact = factOf(name);
      if (!fact) {
        const names = [
          ...Object.keys(DIAGNOSIS_FACTS),
          ...[...known.evidence.keys()].map((collector) => `evidence.${collector}`),
        ];
        const field = Object.hasOwn(known.fields, name);
        problems.add(at.to('fact'), `unknown fact ${quote(name)}`, {
          expected: `one of ${names.join(', ')}`,
          hint: field ? `"${name}" is a field of event rules; here use subject or findings` : didYouMean(name, names),
        });
        return undefined;
      }
      checkParams(comparison.params, fact.params, name, at.to('params'));
      const member = memberOf(comparison, name, Object.keys(fact.members), at);
      return member === undefined ? undefined : fact.members[member].type;
    },
  };

  function checkEvidence(name: string, comparison: Mapping, at: Place): 'any' | undefined {
    const collector = known.evidence.get(name);
    if (!collector) {
      problems.add(at.to('fact'), `unknown evidence ${quote(name)}`, {
        expected: `one of ${[...known.evidence.keys()].join(', ')}`,
        hint: didYouMean(name, known.evidence.keys()),
      });
      return undefined;
    }
    const params = { netns: 'namespace', ...collector.params };
    checkParams(comparison.params, params, `evidence.${name}`, at.to('params'));
    return memberOf(comparison, `evidence.${name}`, Object.keys(collector.members), at) === undefined
      ? undefined
      : 'any';
  }

  /** The member that `path` names: all of it, or its first step where members are nested. */
  function memberOf(comparison: Mapping, fact: string, members: readonly string[], at: Place): string | undefined {
    const { path } = comparison;
    if (path === undefined) {
      problems.add(at, `${quote(fact)} needs a path`, { expected: `path: $.<member>, one of ${members.join(', ')}` });
      return undefined;
    }
    if (typeof path !== 'string' || !/^\$(\.[A-Za-z0-9_-]+)+$/.test(path)) {
      problems.add(at.to('path'), `path is ${quote(path)}`, {
        expected: '$.member or $.member.member; filters and indices are not allowed',
      });
      return undefined;
    }
    const whole = path.slice(2);
    const first = whole.split('.')[0];
    const found = members.includes(whole) ? whole : members.includes(first) ? first : undefined;
    if (found === undefined) {
      problems.add(at.to('path'), `${fact} has no member ${quote(whole)}`, {
        expected: members.length > 0 ? `one of ${members.join(', ')}` : 'none: it has no members here',
        hint: didYouMean(first, members),
      });
    }
    return found;
  }

  function checkParams(
    params: unknown,
    allowed: Readonly<Record<string, string | { type: FieldType | 'texts' }>>,
    fact: string,
    at: Place,
  ): void {
    if (params === undefined) return;
    if (!isMapping(params)) {
      problems.add(at, `params is ${quote(params)}`, { expected: 'a mapping of names to values' });
      return;
    }
    for (const [name, value] of Object.entries(params)) {
      if (!Object.hasOwn(allowed, name)) {
        const names = Object.keys(allowed);
        problems.add(at.to(name), `${fact} takes no parameter ${quote(name)}`, {
          expected: names.length > 0 ? `one of ${names.join(', ')}` : 'none',
          hint: didYouMean(name, names),
        });
        continue;
      }
      checkParam(value, allowed[name], at.to(name));
      if (fact === 'findings' && name === 'rule') {
        if (typeof value === 'string') refer(value, at.to(name));
        for (const [i, id] of textsOf(value)) refer(id, at.to(name, i));
      }
    }
  }

  function checkParam(value: unknown, spec: string | { type: FieldType | 'texts' }, at: Place): void {
    if (typeof value === 'string' && value.includes('{{')) {
      checkTemplate(value, paramTemplate(subject), at, problems);
      return;
    }
    const type = typeof spec === 'string' ? 'any' : spec.type;
    const scalar = ['string', 'number', 'boolean'].includes(typeof value);
    const list = Array.isArray(value) && value.length > 0 && textsOf(value).length === value.length;
    const fits =
      type === 'any' ? scalar || list : type === 'texts' ? typeof value === 'string' || list : typeof value === type;
    if (!fits) {
      const expected = {
        any: 'a text, number, boolean or list of texts',
        texts: 'a text or a list of texts',
        string: 'a text',
        number: 'a number',
        boolean: 'true or false',
      };
      problems.add(at, `${at.path.at(-1)} is ${quote(value)}`, {
        expected: `${expected[type]}, or a template such as "{{subject.device}}"`,
      });
    }
  }
}

/** What templates may name: a scope (`subject`) to its members. */
export type TemplateNames = ReadonlyMap<string, readonly string[]>;

function paramTemplate(subject: Record<string, FieldSpec>): TemplateNames {
  return new Map([
    ['subject', Object.keys(subject)],
    ['run', Object.keys(DIAGNOSIS_FACTS.run.members)],
  ]);
}

/** Checks that a template is `{{variable}}` only and that each names what there is. */
export function checkTemplate(template: unknown, names: TemplateNames, at: Place, problems: Problems): void {
  if (typeof template !== 'string') return;
  let variables: string[];
  try {
    variables = templateVariables(template);
  } catch (error) {
    problems.add(at, `bad template: ${(error as Error).message}`, {
      expected: '{{name}} with a name of docs/rules.md',
    });
    return;
  }
  const all = [...names].flatMap(([scope, members]) =>
    scope === '' ? members : members.map((member) => `${scope}.${member}`),
  );
  for (const variable of variables) {
    if (all.includes(variable)) continue;
    // Evidence may be nested deeper than its documented members.
    if (all.some((name) => name.startsWith('evidence.') && variable.startsWith(`${name}.`))) continue;
    const near = all.find((name) => name.endsWith(`.${variable}`));
    problems.add(at, `the template names {{${variable}}}, which is not known here`, {
      expected: `a name below ${[...names.keys()].filter(Boolean).join(', ')}`,
      hint: near ? `did you mean "${near}"?` : didYouMean(variable, all),
    });
  }
}
