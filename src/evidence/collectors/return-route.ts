import { known, textOfAnswer, textParam, where } from '../facts.js';
import { LINKS, parseLinks } from '../parsers/links.js';
import type { EvidenceCollector } from '../types.js';
import { route } from './route.js';

/** Whether the machine that packets are for could answer them at all. */
export const returnRoute: EvidenceCollector = {
  name: 'return-route',
  describe: 'Whether an address is of this network namespace, and the route by which it would answer another one.',
  params: { address: 'address that packets are for', peer: 'address that they come from' },
  members: {
    local: 'the address is of this namespace',
    down: 'the device that has the address is known not to be set up',
    type: 'type of the route back, as `route` tells it: `none` without one',
    device: 'device that the answer would leave by; empty without',
    gateway: 'next hop of the answer; empty without',
    error: "the kernel's answer when it refuses; empty otherwise",
  },

  async collect(source, params) {
    const { netns } = params;
    const [address, peer] = [textParam(params, 'address') ?? '', textParam(params, 'peer') ?? ''];
    const own = await route.collect(source, { netns, dst: address });
    if (!own.known) return own;
    const local = own.value.type === 'local';
    if (!local) {
      const nothing = { local, down: false, type: '', device: '', gateway: '', error: '' };
      return known(nothing, own.source, `${address} is not an address of this network namespace`);
    }
    const back = await route.collect(source, { netns, dst: peer, src: address });
    if (!back.known) return back;
    const { type, device, gateway, error } = back.value;
    const links = parseLinks(textOfAnswer(await source.run(LINKS, where(params, 'after'))) ?? '-');
    const holder = links?.find(({ name }) => name === own.value.holder);
    const down = holder !== undefined && !holder.flags.includes('UP');
    return known({ local, down, type, device, gateway, error }, back.source, `the way back: ${back.text}`);
  },
};
