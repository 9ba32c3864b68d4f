import {
  commandPrefix,
  deviceParam,
  known,
  numberIn,
  parseObjects,
  stringIn,
  textOfAnswer,
  textParam,
  unknown,
  unnamed,
  where,
  whyNot,
} from '../facts.js';
import { LINKS, parseLinks } from '../parsers/links.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector } from '../types.js';

const FDB = ['bridge', '-j', 'fdb', 'show'];
const VLANS = ['bridge', '-j', 'vlan', 'show'];

/** A bridge, and where it would send frames for an Ethernet address (net/bridge/br_fdb.c, br_vlan.c). */
export const bridge: EvidenceCollector = {
  name: 'bridge',
  describe: 'A Linux bridge: its settings, its ports, and which port it has learned an Ethernet address on.',
  params: { device: 'the bridge, or a port of it', mac: 'Ethernet address to look up', vlan: 'VLAN id of the frame' },
  members: {
    bridge: 'the bridge; empty if `device` has to do with none, and then the rest is not known',
    stp: 'spanning tree is on',
    vlanFiltering: 'it filters by VLAN',
    nfCallIptables: 'it hands its packets to iptables',
    multicastSnooping: 'it forwards multicast only to members',
    ports: 'number of its ports',
    blockedPorts: 'ports that do not forward: `tap3 (blocking)`; empty when all do',
    blockedPort:
      '`device`, if it is a port that does not forward; else a port that has a link and does not forward although no spanning tree keeps it from it; empty without',
    blockedState: 'its state; empty without',
    portUpCommand: 'lets it forward again; empty without',
    isolatedPorts: 'ports that are isolated from each other; empty without',
    macKnown: 'it has learned the address, or has it as its own; false without `mac`',
    macPort: 'port the address is behind; empty when unknown',
    macLocal: "the address is the bridge's or a port's own",
    vlanAllowed: 'the port `device` takes frames of `vlan`; null when the bridge does not filter, or without `vlan`',
    vlanCommand: 'allows the VLAN on the port; empty when there is no need',
  },

  async collect(source, params) {
    const device = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    const command = `${prefix}bridge -d link show`;
    if (device === undefined) return unnamed('no device was named', command);
    const answer = await source.run(LINKS, where(params, 'after'));
    const links = answer.status === 'ok' ? parseLinks(answer.text) : undefined;
    if (!links) return unknown(whyNot(answer), command);
    const own = links.find((link) => link.name === device);
    const name = own?.portOf === 'bridge' ? own.master : device;
    const found = links.find((link) => link.name === name && link.kind === 'bridge');
    if (!own) return unknown(`${device} does not exist in this network namespace`, command);
    if (!found)
      return known(
        { bridge: '', ports: 0, blockedPort: '' },
        command,
        `${device} is neither a bridge nor a port of one`,
      );
    const ports = links.filter((link) => link.portOf === 'bridge' && link.master === name);
    const stateOf = (port: (typeof ports)[number]): string => stringIn(port.port, 'state') ?? '';
    const mac = textParam(params, 'mac')?.toLowerCase();
    const entry = mac === undefined ? undefined : await lookUp(mac);
    const vlanFiltering = numberIn(found.data, 'vlan_filtering') === 1;
    const vlan = textParam(params, 'vlan');
    const vlanAllowed =
      vlanFiltering && vlan !== undefined && own?.portOf === 'bridge' ? await allows(Number(vlan)) : null;
    const blockedPorts = ports
      .filter((port) => stateOf(port) !== 'forwarding')
      .map((port) => `${port.name} (${stateOf(port)})`);
    const candidates = ports.filter((port) => port.name === device || numberIn(found.data, 'stp_state') === 0);
    const blocked = candidates.filter((port) => isBlocked(port));
    const blockedPort = blocked.find((port) => port.name === device) ?? blocked[0];
    const value = {
      bridge: name,
      stp: numberIn(found.data, 'stp_state') === 1,
      vlanFiltering,
      nfCallIptables: numberIn(found.data, 'nf_call_iptables') === 1,
      multicastSnooping: numberIn(found.data, 'mcast_snooping') === 1,
      ports: ports.length,
      blockedPorts: blockedPorts.join(', '),
      blockedPort: blockedPort?.name ?? '',
      blockedState: blockedPort ? stateOf(blockedPort) : '',
      portUpCommand: blockedPort ? `${prefix}bridge link set dev ${shellWord(blockedPort.name)} state 3` : '',
      isolatedPorts: ports
        .filter((port) => port.port.isolated === true)
        .map((port) => port.name)
        .join(', '),
      macKnown: entry !== undefined,
      macPort: (entry && stringIn(entry, 'ifname')) ?? '',
      macLocal: entry !== undefined && stringIn(entry, 'state') === 'permanent',
      vlanAllowed,
      vlanCommand: vlanAllowed === false ? `${prefix}bridge vlan add dev ${shellWord(device)} vid ${Number(vlan)}` : '',
    };
    const notForwarding = blockedPorts.length > 0 ? `, not forwarding: ${value.blockedPorts}` : '';
    const where_ = mac === undefined ? '' : entry ? `, ${mac} is behind ${value.macPort}` : `, ${mac} is not known`;
    return known(value, command, `bridge ${name}: ${ports.length} ports${notForwarding}${where_}`);

    /** A port without carrier is disabled by the kernel itself, and of no use to anybody. */
    function isBlocked(port: (typeof ports)[number]): boolean {
      return port.flags.includes('LOWER_UP') && !['forwarding', ''].includes(stateOf(port));
    }

    async function lookUp(wanted: string): Promise<Record<string, unknown> | undefined> {
      const entries = parseObjects(textOfAnswer(await source.run(FDB, where(params, 'after'))) ?? '') ?? [];
      const isPort = (entry: Record<string, unknown>): boolean =>
        stringIn(entry, 'master') === name || stringIn(entry, 'ifname') === name;
      return entries.find((entry) => stringIn(entry, 'mac')?.toLowerCase() === wanted && isPort(entry));
    }

    async function allows(id: number): Promise<boolean | null> {
      const all = parseObjects(textOfAnswer(await source.run(VLANS, where(params, 'after'))) ?? '');
      const port = all?.find((one) => stringIn(one, 'ifname') === device);
      if (!all || !Array.isArray(port?.vlans)) return all && port === undefined ? false : null;
      return port.vlans.some((range: unknown) => {
        if (typeof range !== 'object' || range === null) return false;
        const low = numberIn(range as Record<string, unknown>, 'vlan');
        const high = numberIn(range as Record<string, unknown>, 'vlanEnd') ?? low;
        return low !== undefined && high !== undefined && id >= low && id <= high;
      });
    }
  },
};
