import { isObject, numberIn, objectIn, parseObject, stringIn } from '../facts.js';
import { allOf, type FirewallChain, type FirewallRule, type Outcome, type Test } from '../firewall/model.js';
import { nftTest, type NftSets } from '../firewall/nft-match.js';

/** Statements that change or count a packet but never decide whether the rule goes on. */
const NEUTRAL = new Set([
  'counter',
  'log',
  'mangle',
  'notrack',
  'set',
  'map',
  'ct helper',
  'ct timeout',
  'ct expectation',
  'flow',
  'dup',
  'comment',
]);
const VERDICTS: Record<string, Outcome['verdict']> = {
  drop: 'DROP',
  reject: 'REJECT',
  accept: 'ACCEPT',
  return: 'RETURN',
  queue: 'QUEUE',
};

/** Parses `nft -j list ruleset` (libnftables-json). Rule texts come from `nft -a list ruleset` ({@link parseNftTexts}). */
export function parseNftRuleset(json: string, texts: ReadonlyMap<string, string> = new Map()): FirewallChain[] {
  const list = parseObject(json).nftables;
  const objects = Array.isArray(list) ? list.filter(isObject) : [];
  const sets: NftSets = new Map();
  for (const object of objects) {
    const set = isObject(object.set) ? object.set : isObject(object.map) ? object.map : undefined;
    if (set && Array.isArray(set.elem)) sets.set(keyOf(set, `@${stringIn(set, 'name') ?? ''}`), set.elem);
  }
  const chains = new Map<string, FirewallChain>();
  for (const object of objects) {
    if (isObject(object.chain)) {
      const chain = chainOf(object.chain);
      chains.set(keyOf(object.chain, chain.name), chain);
    }
    if (isObject(object.rule)) {
      const home = chains.get(keyOf(object.rule, stringIn(object.rule, 'chain') ?? ''));
      if (home) home.rules.push(ruleOf(object.rule, home, sets, texts));
    }
  }
  return [...chains.values()];
}

function keyOf(object: Record<string, unknown>, name: string): string {
  return `${stringIn(object, 'family') ?? ''} ${stringIn(object, 'table') ?? ''} ${name}`;
}

function chainOf(object: Record<string, unknown>): FirewallChain {
  const hook = stringIn(object, 'hook');
  const policy = stringIn(object, 'policy');
  return {
    backend: 'nft',
    tool: 'nft',
    family: stringIn(object, 'family') ?? '',
    table: stringIn(object, 'table') ?? '',
    name: stringIn(object, 'name') ?? '',
    ...(hook ? { hook, priority: numberIn(object, 'prio') ?? 0 } : {}),
    ...(policy ? { policy: policy === 'drop' ? ('DROP' as const) : ('ACCEPT' as const) } : {}),
    rules: [],
  };
}

function ruleOf(
  object: Record<string, unknown>,
  home: FirewallChain,
  sets: NftSets,
  texts: ReadonlyMap<string, string>,
): FirewallRule {
  const handle = numberIn(object, 'handle');
  const statements = Array.isArray(object.expr) ? object.expr.filter(isObject) : [];
  const named = (name: string): unknown[] | undefined => sets.get(`${home.family} ${home.table} ${name}`);
  const tests: Test[] = [];
  const outcomes: Outcome[] = [];
  let packets: number | undefined;
  for (const statement of statements) {
    const kind = Object.keys(statement)[0] ?? '';
    if (kind === 'counter') packets ??= numberIn(objectIn(statement, 'counter'), 'packets');
    if (NEUTRAL.has(kind)) continue;
    if (kind === 'match') tests.push(nftTest(objectIn(statement, 'match'), named));
    else if (kind === 'vmap') outcomes.push(...verdictMap(objectIn(statement, 'vmap'), named));
    else if (kind === 'xt') readXtables(objectIn(statement, 'xt'), tests, outcomes);
    else {
      const outcome = outcomeOf(statement);
      if (outcome) outcomes.push(outcome);
      else tests.push(() => 'maybe');
    }
  }
  return {
    number: home.rules.length + 1,
    ...(handle === undefined ? {} : { handle }),
    text: texts.get(`${home.family} ${home.table} ${home.name} ${handle}`) ?? summarise(statements),
    ...(packets === undefined ? {} : { packets }),
    test: allOf(tests),
    outcomes,
  };
}

function outcomeOf(statement: Record<string, unknown>): Outcome | undefined {
  for (const [name, verdict] of Object.entries(VERDICTS)) if (Object.hasOwn(statement, name)) return { verdict };
  for (const name of ['jump', 'goto']) {
    const target = stringIn(objectIn(statement, name), 'target');
    if (target) return name === 'goto' ? { target, goto: true } : { target };
  }
  return undefined;
}

function verdictMap(vmap: Record<string, unknown>, named: (name: string) => unknown[] | undefined): Outcome[] {
  const data = vmap.data;
  const entries = typeof data === 'string' ? named(data) : isObject(data) ? data.set : undefined;
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: unknown) => {
    if (!Array.isArray(entry) || !isObject(entry[1])) return [];
    const outcome = outcomeOf(entry[1]);
    return outcome ? [{ ...outcome, test: nftTest({ op: '==', left: vmap.key, right: entry[0] }, named) }] : [];
  });
}

/** Extensions of xtables in a rule that iptables-nft made: nft cannot say what they ask for. */
function readXtables(xt: Record<string, unknown>, tests: Test[], outcomes: Outcome[]): void {
  if (stringIn(xt, 'type') === 'match') tests.push(() => 'maybe');
  else {
    const verdict = VERDICTS[(stringIn(xt, 'name') ?? '').toLowerCase()];
    if (verdict) outcomes.push({ verdict });
  }
}

function summarise(statements: Record<string, unknown>[]): string {
  return statements
    .filter((statement) => !Object.hasOwn(statement, 'counter'))
    .map((statement) => JSON.stringify(statement))
    .join(' ');
}

/** Texts of the rules in `nft -a list ruleset`, by `family table chain handle`, without the values of counters. */
export function parseNftTexts(text: string): Map<string, string> {
  const texts = new Map<string, string>();
  let table = '';
  let chain = '';
  for (const line of text.split('\n')) {
    const block = /^\s*(table|chain|set|map) (?:(\S+) )?(\S+) \{/.exec(line);
    if (block) {
      if (block[1] === 'table') [table, chain] = [`${block[2] ?? 'ip'} ${block[3]}`, ''];
      else chain = block[1] === 'chain' ? block[3] : '';
      continue;
    }
    const rule = /^\s+(.*) # handle (\d+)$/.exec(line);
    if (rule && chain !== '') {
      texts.set(`${table} ${chain} ${rule[2]}`, rule[1].replace(/counter packets \d+ bytes \d+/g, 'counter'));
    }
  }
  return texts;
}
