import { isDeviceName, parseObjects, stringIn, textOfAnswer, where, objectIn } from '../facts.js';
import { LINKS } from '../parsers/links.js';
import type { EvidenceSource } from '../types.js';
import type { FirewallChain } from './model.js';

/**
 * The sysctl, with its value, by which a packet that is only bridged came to a chain of IP: `net.bridge.bridge-nf-call-iptables
 * = 1` (net/bridge/br_netfilter_hooks.c). Empty when the packet was not at a port of a bridge, or the chain is not one of IP.
 * @param device where the packet was when it was dropped
 */
export async function bridgedBy(
  source: EvidenceSource,
  netns: number | undefined,
  device: string | undefined,
  chain: FirewallChain,
): Promise<string> {
  if (!['ip', 'ip6', 'inet'].includes(chain.family) || device === undefined || !isDeviceName(device)) return '';
  const calls = chain.family === 'ip6' ? ['bridge-nf-call-ip6tables'] : ['bridge-nf-call-iptables'];
  if (chain.family === 'inet') calls.push('bridge-nf-call-ip6tables');
  for (const name of calls) {
    const answer = await source.read(`/proc/sys/net/bridge/${name}`, where({ netns }, 'after'));
    if (textOfAnswer(answer)?.trim() !== '1') continue;
    return (await isBridgePort(source, netns, device)) ? `net.bridge.${name} = 1` : '';
  }
  return '';
}

/** Whether a device is a port of a bridge, or the bridge: while a packet is bridged it may be at either. */
async function isBridgePort(source: EvidenceSource, netns: number | undefined, device: string): Promise<boolean> {
  const answer = await source.run(LINKS, where({ netns }, 'after'));
  const links = parseObjects(textOfAnswer(answer) ?? '') ?? [];
  const info = objectIn(links.find((one) => stringIn(one, 'ifname') === device) ?? {}, 'linkinfo');
  return stringIn(info, 'info_slave_kind') === 'bridge' || stringIn(info, 'info_kind') === 'bridge';
}
