import { where } from '../facts.js';
import { parseEbtablesList } from '../parsers/ebtables-list.js';
import { parseIptablesSave } from '../parsers/iptables-save.js';
import { parseNftRuleset, parseNftTexts } from '../parsers/nft-ruleset.js';
import type { EvidencePhase, EvidenceSource } from '../types.js';
import type { FirewallBackend, FirewallChain } from './model.js';

export interface Firewall {
  chains: FirewallChain[];
  /** What could not be read, and why. */
  unread: string[];
  /** Whether anything could be read at all. */
  read: boolean;
}

const NFT_JSON = ['nft', '-j', 'list', 'ruleset'];
const NFT_TEXT = ['nft', '-a', 'list', 'ruleset'];
const XTABLES = new Set(['filter', 'nat', 'mangle', 'raw', 'security']);

const kept = new WeakMap<EvidenceSource, Map<string, Promise<Firewall>>>();

/** {@link readFirewall}, parsed once per source, namespace and phase: a host may have tens of thousands of rules. */
export function firewallOf(source: EvidenceSource, netns: number | undefined, phase: EvidencePhase): Promise<Firewall> {
  const own = kept.get(source) ?? new Map<string, Promise<Firewall>>();
  kept.set(source, own);
  const key = `${netns ?? ''} ${phase}`;
  const firewall = own.get(key) ?? readFirewall(source, netns, phase);
  own.set(key, firewall);
  return firewall;
}

/**
 * Reads the firewall of a namespace in all the forms it may have. Legacy iptables and ebtables are asked only where the
 * kernel says that they are in use: asking would load their modules and hook them into every packet's way.
 */
export async function readFirewall(
  source: EvidenceSource,
  netns: number | undefined,
  phase: EvidencePhase,
): Promise<Firewall> {
  const at = where({ netns }, phase);
  const result: Firewall = { chains: [], unread: [], read: false };
  const add = (chains: FirewallChain[]): void => {
    result.chains.push(...chains);
    result.read = true;
  };
  const [json, names4, names6, modules] = await Promise.all([
    source.run(NFT_JSON, at),
    source.read('/proc/net/ip_tables_names', at),
    source.read('/proc/net/ip6_tables_names', at),
    source.read('/proc/modules', { phase }),
  ]);
  const nft = json.status === 'ok' ? parseNftRuleset(json.text, await nftTexts(source, netns, phase)) : [];
  // Without the module there are no rules that nft would show.
  const mayHaveNft = modules.status !== 'ok' || /^nf_tables /m.test(modules.text);
  if (json.status !== 'ok' && mayHaveNft) result.unread.push(`nft: ${json.why}`);

  for (const [command, family, names] of [
    ['iptables', 'ip', names4],
    ['ip6tables', 'ip6', names6],
  ] as const) {
    const save = async (variant: 'legacy' | 'nft'): Promise<FirewallChain[]> => {
      const { answer, backend, tool } = await runSave(source, command, variant, at);
      if (answer.status === 'ok') return parseIptablesSave(answer.text, { backend, tool, family });
      result.unread.push(`${tool}: ${answer.why}`);
      return [];
    };
    if (names.status === 'ok' && names.text.trim() !== '') add(await save('legacy'));
    if (json.status === 'ok' ? nft.some((chain) => chain.family === family && XTABLES.has(chain.table)) : mayHaveNft) {
      const chains = await save('nft');
      if (chains.length > 0) add(chains);
    }
  }
  for (const table of nft.filter(isOfEbtables).map((chain) => chain.table)) {
    if (result.chains.some((chain) => chain.backend === 'ebtables-nft' && chain.table === table)) continue;
    const answer = await source.run(['ebtables-nft', '-t', table, '-L', '--Lc'], at);
    if (answer.status === 'ok') add(parseEbtablesList(answer.text, 'ebtables-nft'));
    else result.unread.push(`ebtables-nft: ${answer.why}`);
  }
  if (json.status === 'ok') {
    // Tables that iptables-nft has shown in its own words are not shown again in nft's.
    add(
      nft.filter(
        (chain) =>
          !result.chains.some(
            (one) => one.backend !== 'iptables-legacy' && one.family === chain.family && one.table === chain.table,
          ),
      ),
    );
  }
  if (modules.status === 'ok' && /^ebtable_/m.test(modules.text)) {
    for (const table of ['filter', 'nat', 'broute'].filter((name) => modules.text.includes(`ebtable_${name} `))) {
      const answer = await source.run(['ebtables-legacy', '-t', table, '-L', '--Lc'], at);
      if (answer.status === 'ok') add(parseEbtablesList(answer.text));
      else result.unread.push(`ebtables-legacy: ${answer.why}`);
    }
  }
  return result;
}

/** A base chain that ebtables-nft made: nft cannot say all that its rules ask for. */
function isOfEbtables(chain: FirewallChain): boolean {
  return (
    chain.family === 'bridge' &&
    (chain.table === 'filter' || chain.table === 'nat') &&
    chain.hook !== undefined &&
    chain.name === chain.hook.toUpperCase()
  );
}

async function nftTexts(
  source: EvidenceSource,
  netns: number | undefined,
  phase: EvidencePhase,
): Promise<Map<string, string>> {
  if (phase === 'before') return new Map(); // Only counters are compared: the rule's text is not needed twice.
  const answer = await source.run(NFT_TEXT, where({ netns }, phase));
  return answer.status === 'ok' ? parseNftTexts(answer.text) : new Map();
}

/**
 * Runs the variant's own save command; before 1.8 there is one `iptables-save`, which is the legacy one. A later one of that
 * name may be nft's: its first line says so.
 */
async function runSave(
  source: EvidenceSource,
  command: 'iptables' | 'ip6tables',
  variant: 'legacy' | 'nft',
  at: { netns?: number; phase: EvidencePhase },
): Promise<{ answer: Awaited<ReturnType<EvidenceSource['run']>>; backend: FirewallBackend; tool: string }> {
  const answer = await source.run([`${command}-${variant}-save`, '-c'], at);
  if (answer.status !== 'missing' || variant === 'nft')
    return { answer, backend: `iptables-${variant}`, tool: `${command}-${variant}` };
  const plain = await source.run([`${command}-save`, '-c'], at);
  if (plain.status === 'ok' && /^# Generated by .*\(nf_tables\)/m.test(plain.text))
    return { answer, backend: 'iptables-legacy', tool: `${command}-legacy` };
  return { answer: plain, backend: 'iptables', tool: command };
}
