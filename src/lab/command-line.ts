import { fillTemplate, type TemplateData } from '../base/template.js';
import { HELPER_NAMES, helperWords, isHelper } from './helpers/words.js';

/** What a program may be given, so that it stays in its namespace, reads no file and starts no other program. */
interface Grammar {
  /** Exactly one of these must come first, after the options `-4` and `-6`; iproute2 would take abbreviations too. */
  objects?: readonly string[];
  /** Words that are refused. */
  refused: readonly RegExp[];
}

const IPTABLES: Grammar = { refused: [/^--mo/, /^-M/] };
const EBTABLES: Grammar = { refused: [/^--mo/, /^-M/, /^--at/] };
const PROGRAMS: Record<string, Grammar> = {
  ip: {
    objects: ['link', 'address', 'addr', 'route', 'rule', 'neighbour', 'neigh', 'maddress', 'tunnel', 'xfrm'],
    refused: [/^-/, /^netns$/, /^bpf$/, /^xdp/],
  },
  tc: { objects: ['qdisc', 'class', 'filter'], refused: [/^-/, /^bpf$/] },
  bridge: { objects: ['link', 'fdb', 'mdb', 'vlan'], refused: [/^-/] },
  iptables: IPTABLES,
  ip6tables: IPTABLES,
  'iptables-legacy': IPTABLES,
  'ip6tables-legacy': IPTABLES,
  'iptables-nft': IPTABLES,
  'ip6tables-nft': IPTABLES,
  ebtables: EBTABLES,
  'ebtables-legacy': EBTABLES,
  'ebtables-nft': EBTABLES,
  nft: { objects: ['add', 'create', 'insert', 'delete', 'replace', 'flush'], refused: [/^-/] },
  ethtool: { refused: [/^-f$/, /^--flash/, /^-E$/, /^--change/] },
  conntrack: { objects: ['-D', '-F', '-U', '-I'], refused: [/^--load/, /^-R/] },
  'ovs-dpctl': { objects: ['add-flow', 'mod-flow', 'del-flow'], refused: [/^-/, /@/] },
  // Only the network part of /proc/sys belongs to the namespace.
  sysctl: { refused: [/^(?!-[ewq]$|net\.[a-zA-Z0-9_./-]+=[^=]*$)/] },
};

/** The programs that a fault may run. */
export const ALLOWED_PROGRAMS: readonly string[] = [...Object.keys(PROGRAMS), ...HELPER_NAMES];

/**
 * Splits a fault's command into words: blanks separate, quotes ('…' or "…") hold a word together, and nothing else has a
 * meaning. Characters with which a shell would do more are refused, so that no one expects it to.
 * @throws Error with a plain message.
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (const char of line) {
    if (char < ' ' || char === '\u007f')
      throw new Error('the command has a control character; write one command on one line');
    if (quote !== '') {
      if (char === quote) quote = '';
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === ' ') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if ('\\$`|&<>'.includes(char)) {
      throw new Error(`the command has a "${char}", which means nothing here: no shell runs it`);
    } else word = (word ?? '') + char;
  }
  if (quote !== '') throw new Error(`the command has an open ${quote}`);
  if (word !== undefined) words.push(word);
  return words;
}

/** Why a fault may not run this command, or undefined when it may. */
export function refusal(argv: readonly string[]): string | undefined {
  if (argv.length === 0) return 'the command is empty';
  const [program, ...rest] = argv;
  if (isHelper(program)) return refusedByHelper(argv);
  if (!Object.hasOwn(PROGRAMS, program))
    return `"${program}" is not a program that a fault may run (${ALLOWED_PROGRAMS.join(', ')})`;
  const { objects, refused } = PROGRAMS[program];
  const words = objects && /^-[46]$/.test(rest[0] ?? '') ? rest.slice(1) : rest;
  if (objects && !objects.includes(words[0]))
    return `${program} "${words[0] ?? ''}" is not allowed; expected ${program} ${objects.join('|')}`;
  // Extensions are loaded from a folder by name: `..` would lead out of it.
  const bad = (objects ? words.slice(1) : words).find(
    (word) => word.includes('..') || refused.some((pattern) => pattern.test(word)),
  );
  return bad === undefined ? undefined : `${program} "${bad}" reaches beyond the lab's namespace and is not allowed`;
}

function refusedByHelper(argv: readonly string[]): string | undefined {
  try {
    helperWords(argv);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Splits a command template into words and fills each word, so that a value never becomes two words or a program.
 * @throws Error with a plain message when the result is not allowed.
 */
export function commandFrom(template: string, data: TemplateData): string[] {
  const argv = splitWords(template).map((word) => fillTemplate(word, data));
  const why = refusal(argv);
  if (why !== undefined) throw new Error(why);
  return argv;
}
