import { isObject, numberIn, objectIn, parseObject, stringIn } from '../facts.js';
import {
  allOf,
  type FirewallChain,
  type FirewallRule,
  type NamedEntry,
  type Outcome,
  type PacketFacts,
  type Test,
} from '../firewall/model.js';
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
      const chain = chainOf(object.chain, texts);
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

function chainOf(object: Record<string, unknown>, texts: ReadonlyMap<string, string>): FirewallChain {
  const name = stringIn(object, 'name') ?? '';
  const hook = stringIn(object, 'hook');
  const policy = stringIn(object, 'policy');
  const told = [object.dev].flat().filter((device) => typeof device === 'string');
  // nft 1.0.6 leaves the device out of its JSON.
  const devices = told.length > 0 ? told : devicesIn(texts.get(keyOf(object, name)) ?? '');
  return {
    backend: 'nft',
    tool: 'nft',
    family: stringIn(object, 'family') ?? '',
    table: stringIn(object, 'table') ?? '',
    name,
    ...(hook ? { hook, priority: numberIn(object, 'prio') ?? 0 } : {}),
    ...(devices.length > 0 ? { devices } : {}),
    ...(policy ? { policy: policy === 'drop' ? ('DROP' as const) : ('ACCEPT' as const) } : {}),
    rules: [],
  };
}

/** Devices of `type filter hook ingress device "ra" priority filter;` or `… devices = { "ra", "rb" } …`. */
function devicesIn(definition: string): string[] {
  const list = /\bdevices? (?:= )?(\{[^}]*\}|\S+)/.exec(definition)?.[1] ?? '';
  return list
    .split(/[{},\s]+/)
    .map((name) => name.replaceAll('"', ''))
    .filter((name) => name !== '');
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
  const entries: ((packet: PacketFacts) => NamedEntry | undefined)[] = [];
  const states: string[] = [];
  let nat: FirewallRule['nat'];
  let packets: number | undefined;
  let testsBefore = 0;
  let viaMap = false;
  for (const statement of statements) {
    const kind = Object.keys(statement)[0] ?? '';
    if (kind === 'counter' && packets === undefined) {
      packets = numberIn(objectIn(statement, 'counter'), 'packets');
      testsBefore = tests.length;
    }
    if (NEUTRAL.has(kind)) continue;
    if (kind === 'match') {
      const match = objectIn(statement, 'match');
      tests.push(nftTest(match, named));
      states.push(...statesIn(match));
      const entry = setEntry(match, named);
      if (entry) entries.push(entry);
    } else if (kind === 'vmap') {
      outcomes.push(...verdictMap(objectIn(statement, 'vmap'), named));
      viaMap = true;
    } else if (kind === 'xt') readXtables(objectIn(statement, 'xt'), tests, outcomes);
    else if (['dnat', 'snat', 'masquerade', 'redirect'].includes(kind)) {
      outcomes.push({ verdict: 'ACCEPT' });
      nat = natOf(kind, objectIn(statement, kind));
    } else {
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
    ...(packets !== undefined && (viaMap || testsBefore < tests.length) ? { countsMore: true as const } : {}),
    conditions: tests.length + (viaMap ? 1 : 0),
    test: allOf(tests),
    outcomes,
    ...(entries.length > 0
      ? { entryOf: (packet: PacketFacts) => entries.map((entry) => entry(packet)).find((one) => one !== undefined) }
      : {}),
    ...(states.length > 0 ? { states } : {}),
    ...(nat && { nat }),
  };
}

/** Where a statement of nft translates to, as iptables writes it. What it takes from a map is not known: no `nat`. */
function natOf(kind: string, statement: Record<string, unknown>): FirewallRule['nat'] {
  if (kind === 'masquerade') return { kind: 'snat', to: '' };
  const { addr, port } = statement;
  if ((addr !== undefined && typeof addr !== 'string') || (port !== undefined && typeof port !== 'number'))
    return undefined;
  const address = addr?.includes(':') && port !== undefined ? `[${addr}]` : (addr ?? '');
  return { kind: kind === 'snat' ? 'snat' : 'dnat', to: port === undefined ? address : `${address}:${port}` };
}

/** `ct state invalid`, `ct state { invalid, untracked }`: the states, in capitals. */
function statesIn(match: Record<string, unknown>): string[] {
  const key = stringIn(objectIn(isObject(match.left) ? match.left : {}, 'ct'), 'key');
  if (key !== 'state' || match.op === '!=') return [];
  const right = isObject(match.right) ? match.right.set : match.right;
  return [right].flat().flatMap((state) => (typeof state === 'string' ? [state.toUpperCase()] : []));
}

/** Finds the element of a named set that a packet fits; undefined when the match names no set. */
function setEntry(
  match: Record<string, unknown>,
  named: (name: string) => unknown[] | undefined,
): ((packet: PacketFacts) => NamedEntry | undefined) | undefined {
  const right = match.right;
  if (typeof right !== 'string' || !right.startsWith('@') || match.op === '!=') return undefined;
  const name = right.slice(1);
  const elements = named(right) ?? [];
  const tests = elements.map((element) => nftTest({ op: '==', left: match.left, right: { set: [element] } }, named));
  return (packet) => {
    const at = tests.findIndex((test) => test(packet) === 'yes');
    return { kind: 'set', name, ...optionalText(at < 0 ? undefined : elementText(elements[at])) };
  };
}

/** An element as nft would write it; undefined for one with more to it than its value (a time-out, a comment). */
function elementText(element: unknown): string | undefined {
  if (typeof element === 'number') return String(element);
  if (typeof element === 'string') return /^[\w.:/-]+$/.test(element) ? element : undefined;
  if (!isObject(element)) return undefined;
  const prefix = objectIn(element, 'prefix');
  if (Object.hasOwn(element, 'prefix')) return joined([elementText(prefix.addr), elementText(prefix.len)], '/');
  if (Array.isArray(element.range)) return joined(element.range.map(elementText), '-');
  if (Array.isArray(element.concat)) return joined(element.concat.map(elementText), ' . ');
  return undefined;
}

function joined(parts: (string | undefined)[], between: string): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(between);
}

function optionalText(text: string | undefined): { text?: string } {
  return text === undefined ? {} : { text };
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
    if (!outcome) return [];
    const test = nftTest({ op: '==', left: vmap.key, right: entry[0] as unknown }, named);
    const text = joined([elementText(entry[0]), verdictText(outcome)], ' : ');
    return [
      {
        ...outcome,
        test,
        ...(typeof data === 'string'
          ? { entry: { kind: 'map' as const, name: data.replace(/^@/, ''), ...optionalText(text) } }
          : {}),
      },
    ];
  });
}

function verdictText({ verdict, target, goto }: Outcome): string | undefined {
  if (target !== undefined) return /^[\w.-]+$/.test(target) ? `${goto ? 'goto' : 'jump'} ${target}` : undefined;
  return verdict?.toLowerCase();
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

/**
 * What `nft -a list ruleset` has of the rules, by `family table chain handle`, without the values of counters, and of what a
 * base chain is hooked into, by `family table chain`.
 */
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
    if (chain !== '' && /^\s+type \S+ hook /.test(line)) texts.set(`${table} ${chain}`, line.trim());
    const rule = /^\s+(.*) # handle (\d+)$/.exec(line);
    if (rule && chain !== '') {
      texts.set(`${table} ${chain} ${rule[2]}`, rule[1].replace(/counter packets \d+ bytes \d+/g, 'counter'));
    }
  }
  return texts;
}
