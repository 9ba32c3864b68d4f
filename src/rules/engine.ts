import { Engine, type RuleProperties } from 'json-rules-engine';
import { OPERATORS, operatorNamed } from './operators.js';
import type { Comparison, Condition } from './types.js';

/** What a fact resolves to. `why` says, for a reader, why it could not be established. */
export type FactAnswer = { known: true; value: unknown } | { known: false; why: string };

/** Resolves a fact by name and parameters. If it throws, the fact is unknown. */
export type FactResolver = (name: string, params: Record<string, unknown>) => Promise<FactAnswer>;

export type Outcome = 'true' | 'false' | 'unknown';

/** One comparison that was made: what was asked, what was read, and what came of it. */
export interface ComparedFact {
  fact: string;
  params: Record<string, unknown>;
  path: string | undefined;
  operator: string;
  expected: unknown;
  /** undefined when the outcome is unknown or the fact has no such member. */
  actual: unknown;
  outcome: Outcome;
  /** Set when the outcome is unknown. */
  why?: string;
}

export interface Evaluation {
  outcome: Outcome;
  /** The comparisons that were made, in the order in which they stand in the condition. */
  facts: ComparedFact[];
}

/** Higher ones are asked first: what the analysis holds, before what must be read from the host. */
const PRIORITY = { observed: 100, evidence: 10 };

/**
 * Evaluates a condition with json-rules-engine over facts that may be unknown. Unknown obeys Kleene's logic: `all` with
 * a false member is false and `any` with a true member is true, whatever the unknown ones are.
 *
 * The engine knows true and false only, so one run evaluates two rules over the same facts: the condition with every
 * unknown comparison taken for it ("possibly"), and against it ("certainly"). Possibly false is false, certainly true
 * is true, and what lies between is unknown. Each fact is resolved once, one after the other, so that the order in
 * which evidence is read never depends on how long it takes.
 *
 * A member that a fact of evidence does not have (or has as null) is unknown rather than absent: a tool that does not
 * print a counter has not said that it is zero. `exists` asks for just that and is never unknown.
 */
export async function evaluateCondition(condition: Condition, facts: FactResolver): Promise<Evaluation> {
  const comparisons = comparisonsOf(condition);
  const engine: Engine = new Engine([], { allowUndefinedFacts: true, pathResolver: readPath });
  installOperators(engine);
  engine.addOperatorDecorator('ifUnknownTrue', decideUnknown(true));
  engine.addOperatorDecorator('ifUnknownFalse', decideUnknown(false));
  engine.addOperatorDecorator('absentIsAnswer', absentIsAnswer);
  const ask = askOnce(facts);
  for (const name of factNames(comparisons)) {
    engine.addFact(name, (params: Record<string, unknown>) => ask(name, params), {
      cache: false,
      priority: priorityOf(name),
    });
  }
  // A condition that is not even possible needs no second look.
  engine.addRule({ ...ruleFor(condition, 'possibly', 2), onFailure: () => void engine.stop() });
  engine.addRule(ruleFor(condition, 'certainly', 1));
  const { results, failureResults } = await engine.run();
  const outcomes = new Map([...results, ...failureResults].map((result) => [result.name, result]));
  const outcome = outcomes.get('certainly')?.result ? 'true' : outcomes.get('possibly')?.result ? 'unknown' : 'false';
  const compared = new Map<string, ComparedFact>();
  for (const result of outcomes.values()) collectCompared(result.conditions, comparisons, compared);
  return { outcome, facts: comparisons.flatMap((_, i) => compared.get(String(i)) ?? []) };
}

/** Adds vdiag's operators to an engine, in place of its own where ours say more (text in `contains`, absent facts in `equal`). */
export function installOperators(engine: Engine): void {
  for (const [name, spec] of Object.entries(OPERATORS)) {
    engine.addOperator(name, (fact: unknown, value: unknown) => spec.prepare(value)(fact));
  }
}

/** A fact, or a member of one, that could not be established. */
class Unknown {
  constructor(
    readonly why: string,
    /** The fact is known but lacks the member. */
    readonly absent = false,
  ) {}
}

/** Objects that came from evidence: a member they lack is unknown. */
const evidenceValues = new WeakSet<object>();

/** `$.a.b` over own members; nothing else of JSONPath, whose filters would run code. */
export function readPath(value: object, path: string): unknown {
  if (value instanceof Unknown) return value;
  let current: unknown = value;
  for (const key of path.split('.').slice(1)) {
    current =
      current !== null && typeof current === 'object' && Object.hasOwn(current, key)
        ? (current as Record<string, unknown>)[key]
        : undefined;
  }
  if (current !== undefined && current !== null) return current;
  return evidenceValues.has(value) ? new Unknown(`${path.slice(2)} was not given`, true) : undefined;
}

function decideUnknown(taken: boolean) {
  return (fact: unknown, value: unknown, next: (fact: unknown, value: unknown) => boolean): boolean =>
    fact instanceof Unknown || value instanceof Unknown ? taken : next(fact, value);
}

function absentIsAnswer(fact: unknown, value: unknown, next: (fact: unknown, value: unknown) => boolean): boolean {
  return next(fact instanceof Unknown && fact.absent ? undefined : fact, value);
}

/** Resolves each (fact, parameters) once, and one at a time. */
function askOnce(facts: FactResolver): FactResolverWithUnknown {
  const answers = new Map<string, Promise<unknown>>();
  let last: Promise<unknown> = Promise.resolve();
  return (name, params) => {
    const key = `${name} ${JSON.stringify(params)}`;
    const known = answers.get(key);
    if (known) return known;
    const answer = last.then(() => askOne(facts, name, params));
    last = answer;
    answers.set(key, answer);
    return answer;
  };
}

type FactResolverWithUnknown = (name: string, params: Record<string, unknown>) => Promise<unknown>;

async function askOne(facts: FactResolver, name: string, params: Record<string, unknown>): Promise<unknown> {
  let answer: FactAnswer;
  try {
    answer = await facts(name, params);
  } catch (error) {
    return new Unknown(`reading ${name} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!answer.known) return new Unknown(answer.why);
  if (answer.value === null) return undefined;
  if (typeof answer.value === 'object' && name.startsWith('evidence.')) evidenceValues.add(answer.value);
  return answer.value;
}

function priorityOf(fact: string): number {
  return fact.startsWith('evidence.') ? PRIORITY.evidence : PRIORITY.observed;
}

/** The comparisons of a resolved condition in the order in which they stand; their index is their name in the engine. */
export function comparisonsOf(condition: Condition): Comparison[] {
  if ('all' in condition) return condition.all.flatMap(comparisonsOf);
  if ('any' in condition) return condition.any.flatMap(comparisonsOf);
  if ('not' in condition) return comparisonsOf(condition.not);
  if ('macro' in condition) throw new Error(`the macro "${condition.macro}" was not resolved`);
  return [condition];
}

function factNames(comparisons: Comparison[]): Set<string> {
  return new Set(comparisons.flatMap(({ fact, value }) => (isFactReference(value) ? [fact, value.fact] : [fact])));
}

/** `value: { fact: … }`: the engine compares with that fact's value. */
export function isFactReference(
  value: unknown,
): value is { fact: string; path?: string; params?: Record<string, unknown> } {
  return value !== null && typeof value === 'object' && Object.hasOwn(value, 'fact');
}

type EngineCondition = RuleProperties['conditions'];

function ruleFor(condition: Condition, bound: 'possibly' | 'certainly', priority: number): RuleProperties {
  let next = 0;
  const translate = (part: Condition, negated: boolean): { priority: number; part: unknown } => {
    if ('all' in part || 'any' in part) {
      const members = ('all' in part ? part.all : part.any).map((member) => translate(member, negated));
      // As dear as its dearest member, so that a nested condition is asked when its facts would be.
      const dearest = Math.min(...members.map((member) => member.priority));
      return {
        priority: dearest,
        part: { ['all' in part ? 'all' : 'any']: members.map((member) => member.part), priority: dearest },
      };
    }
    if ('not' in part) {
      const member = translate(part.not, !negated);
      return { priority: member.priority, part: { not: member.part, priority: member.priority } };
    }
    if ('macro' in part) throw new Error(`the macro "${part.macro}" was not resolved`);
    if (!operatorNamed(part.operator)) throw new Error(`there is no operator "${part.operator}"`);
    const own =
      part.priority ??
      Math.min(priorityOf(part.fact), isFactReference(part.value) ? priorityOf(part.value.fact) : Infinity);
    // Under a `not`, what speaks for the whole speaks against this comparison.
    const taken = (bound === 'possibly') !== negated;
    const decided = `${taken ? 'ifUnknownTrue' : 'ifUnknownFalse'}:${part.operator}`;
    const operator = part.operator === 'exists' ? `absentIsAnswer:${decided}` : decided;
    return {
      priority: own,
      part: { ...part, params: part.params ?? {}, operator, priority: own, name: String(next++) },
    };
  };
  const conditions = { all: [translate(condition, false).part] } as EngineCondition;
  return { name: bound, priority, conditions, event: { type: bound } };
}

/** Reads the comparisons that the engine made from a rule's result. */
function collectCompared(part: unknown, comparisons: Comparison[], into: Map<string, ComparedFact>): void {
  const node = part as Record<string, unknown>;
  for (const members of [node.all, node.any, node.not]) {
    for (const member of Array.isArray(members) ? members : members ? [members] : [])
      collectCompared(member, comparisons, into);
  }
  if (node.all || node.any || node.not || node.result === undefined) return;
  const { fact, params, path, operator, value } = comparisons[Number(node.name)];
  const { factResult, valueResult } = node;
  const unknown = [factResult, valueResult]
    .filter((result) => result instanceof Unknown)
    .find((result) => operator !== 'exists' || !result.absent);
  into.set(String(node.name), {
    fact,
    params: params ?? {},
    path,
    operator,
    expected: isFactReference(value) && !(valueResult instanceof Unknown) ? valueResult : value,
    actual: factResult instanceof Unknown ? undefined : factResult,
    ...(unknown ? { outcome: 'unknown', why: unknown.why } : { outcome: node.result === true ? 'true' : 'false' }),
  });
}
