import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { VdiagError } from '../../src/base/errors.js';
import { FIELD_SPECS } from '../../src/events/field-names.js';
import type { RuleFolder } from '../../src/rules/folders.js';
import type { EvidenceNames, KnownNames } from '../../src/rules/known-names.js';
import { loadRules, type LoadedRules } from '../../src/rules/load.js';

export const KNOWN: KnownNames = {
  probes: new Set(['kfree_skb', 'nft_do_chain', 'netif_receive_skb', 'net_dev_queue']),
  roles: new Set(['receive', 'queue', 'drop', 'verdict']),
  articles: new Set(['netfilter/chain-drop', 'l2/qdisc-shaping']),
  evidence: new Map<string, EvidenceNames>([
    ['qdisc', { params: { device: 'device' }, members: { kind: 'kind', rate: 'rate', dropped: 'delta' } }],
    ['firewall-rule', { params: { table: '', chain: '' }, members: { text: '', counterDelta: '' } }],
  ]),
  fields: FIELD_SPECS,
  segmentKinds: new Set(['qdisc', 'ring']),
};

/** Writes files below a folder of its own, hands it over, and removes it. */
export function inFolder<T>(files: Record<string, string>, use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-rules-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Loads files as users write them: the first folder of their names (`a/x.yaml`) is the rule folder, in the order of names. */
export function load(files: Record<string, string>): LoadedRules {
  return inFolder(files, (root) => loadRules(foldersOf(files, root), KNOWN));
}

/** The problems of files, a line each, without the folder they were written to. */
export function problemsOf(files: Record<string, string>): string[] {
  return inFolder(files, (root) => {
    try {
      loadRules(foldersOf(files, root), KNOWN);
      return [];
    } catch (error) {
      if (!(error instanceof VdiagError)) throw error;
      if (error.exitStatus !== 2) throw new Error('a bad rule file must give exit status 2', { cause: error });
      return error.message.replaceAll(`${root}/`, '').split('\n');
    }
  });
}

function foldersOf(files: Record<string, string>, root: string): RuleFolder[] {
  const names = [...new Set(Object.keys(files).map((name) => name.split('/')[0]))].sort();
  return names.map((name) => ({ path: join(root, name), origin: 'flag' }));
}

/** A rule file with these lines below the head. */
export function ruleSet(...lines: string[]): string {
  return ['apiVersion: vdiag/v1', 'kind: RuleSet', 'layer: netfilter', ...lines, ''].join('\n');
}

export function diagnosisSet(...lines: string[]): string {
  return ['apiVersion: vdiag/v1', 'kind: DiagnosisSet', ...lines, ''].join('\n');
}

/** A right rule with this condition: its `when` stands in line 8 of the file, from column 5. */
export function ruleWhen(when: string, more: string[] = []): string {
  return ruleSet(
    'rules:',
    '  - id: netfilter.drop',
    '    level: warn',
    '    on: [nft_do_chain]',
    `    when: ${when}`,
    '    message: dropped',
    '    article: netfilter/chain-drop',
    ...more,
  );
}

/** What messages say of operators that can be asked of a text. */
export const EVENT_OPERATORS_FOR_TEXT =
  'equal, notEqual, in, notIn, contains, doesNotContain, startsWith, endsWith, inSubnet, exists';

/** What messages say of fields. */
export const FIELDS = 'expected a field of events (docs/rules.md lists them)';

/** A file of macros and lists. */
export const DEFINITIONS =
  'apiVersion: vdiag/v1\nkind: MacroSet\nmacros: { dropped: { fact: event.dropped, operator: equal, value: true } }\nlists: { taps: [tap0] }\n';
