import {
  commandPrefix,
  deviceParam,
  known,
  numberIn,
  stringIn,
  textOfAnswer,
  textParam,
  unknown,
  unnamed,
  where,
  whyNot,
} from '../facts.js';
import { LINKS, parseLinks, type Link } from '../parsers/links.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector } from '../types.js';

/** Bytes that a tunnel adds before the inner IP packet: outer IP, UDP, its own header, inner Ethernet. */
const OVERHEAD: Record<string, number> = { vxlan: 8 + 8 + 14, geneve: 8 + 8 + 14, gre: 4, ipip: 0 };
const IP_HEADER = { 4: 20, 6: 40 };

/** Whether a tunnel device leaves room for the tunnel's own headers. */
export const tunnelMtu: EvidenceCollector = {
  name: 'tunnel-mtu',
  describe: "Whether a tunnel's MTU leaves room for its own headers on the device that its packets leave by.",
  params: { kind: 'vxlan, geneve, gre or ipip', below: 'device that the packets in the tunnel leave by' },
  members: {
    device: 'the tunnel device of that kind with the largest MTU',
    mtu: 'its MTU, bytes',
    below: 'the device that its packets leave by',
    belowMtu: 'MTU of that, bytes',
    overhead: 'bytes that the tunnel adds',
    needed: 'the largest MTU that leaves room for them, bytes',
    tooLarge: 'the tunnel device takes more than fits below',
    dontFragment: 'the tunnel forbids fragmentation of its packets',
    setMtuCommand: 'gives the tunnel device the MTU that fits',
    restoreMtuCommand: 'undoes that',
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const kind = textParam(params, 'kind') ?? '';
    const device = deviceParam(params, 'below');
    const command = `${prefix}ip -d link show type ${Object.hasOwn(OVERHEAD, kind) ? kind : '?'}`;
    if (!Object.hasOwn(OVERHEAD, kind) || device === undefined) return unnamed('no kind or device was named', command);
    const answer = await source.run(LINKS, where(params, 'after'));
    const links = parseLinks(textOfAnswer(answer) ?? '-');
    if (!links) return unknown(whyNot(answer), command);
    const below = links.find((one) => one.name === device);
    const tunnel = links.filter((one) => one.kind === kind).sort((x, y) => y.mtu - x.mtu)[0] as Link | undefined;
    if (!below || !tunnel) return unknown(`there is no ${kind} device over ${device} here`, command);
    const remote = stringIn(tunnel.data, 'remote6') ?? stringIn(tunnel.data, 'local6') ?? '';
    const overhead = OVERHEAD[kind] + IP_HEADER[remote.includes(':') ? 6 : 4];
    const needed = below.mtu - overhead;
    const set = (mtu: number): string => `${prefix}ip link set dev ${shellWord(tunnel.name)} mtu ${mtu}`;
    const value = {
      device: tunnel.name,
      mtu: tunnel.mtu,
      below: below.name,
      belowMtu: below.mtu,
      overhead,
      needed,
      tooLarge: tunnel.mtu > needed,
      dontFragment: stringIn(tunnel.data, 'df') === 'set' || numberIn(tunnel.data, 'df') === 1,
      setMtuCommand: set(needed),
      restoreMtuCommand: set(tunnel.mtu),
    };
    const text = `${value.device}: MTU ${value.mtu}, ${below.name}: MTU ${below.mtu}, the tunnel adds ${overhead}`;
    return known(value, command, text);
  },
};
