import { commandPrefix, deviceParam, known, textParam, unknown, unnamed } from '../facts.js';
import { addressFits, parseAddress } from '../firewall/address-match.js';
import { placeOf, prefixOf } from '../l2/trouble.js';
import { shellLine } from '../shell-words.js';
import type { EvidenceCollector } from '../types.js';
import { EthernetSegment, readWiring, type WiredDevice } from '../wiring.js';

interface Held {
  device: WiredDevice;
  address: string;
  prefix: number;
}

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

const RIGHT = {
  wrong: false,
  address: '',
  device: '',
  owner: '',
  expected: '',
  reference: '',
  fixCommand: '',
  undoCommand: '',
};

/** Whether a machine takes an address for its neighbour that, by the prefix of the others on its link, is beyond a router. */
export const netmask: EvidenceCollector = {
  name: 'netmask',
  describe:
    'Whether a machine has too short a prefix, so that it takes an address for a neighbour which the others on its link reach by a router.',
  params: {
    device: 'device that leads to the link, or that the question came in by',
    src: 'IP address that asks for the neighbour; absent: any of the device',
    dst: 'IP address that is asked for',
    mac: 'Ethernet address that it was sent to: broadcast for the question itself',
  },
  members: {
    wrong: 'the prefix is too short',
    address:
      'the address with the wrong prefix: `10.78.1.2/16`; without the prefix when that cannot be seen; empty when it is right',
    device: 'device that has it; empty when it is no device of this host',
    owner: 'that with its namespace: `eth0 in web`; empty likewise',
    expected: 'prefix length that the others on the link have; empty when it is right',
    reference: 'an address with that: `10.78.1.1/24`; empty when it is right',
    fixCommand: 'gives the address the right prefix; empty when it cannot be written',
    undoCommand: 'takes that back; empty likewise',
  },

  async collect(source, params) {
    const name = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    const [src, dst] = [textParam(params, 'src'), textParam(params, 'dst') ?? ''];
    if (name === undefined || !parseAddress(dst))
      return unnamed('no device or address was named', `${prefix}ip address`);
    const command = `${prefix}ip address show dev ${name}`;
    const wiring = await readWiring(source);
    const own = params.netns ?? wiring.devices.find(({ netnsName }) => netnsName === '')?.netns;
    const start = wiring.devices.find((one) => one.netns === own && one.name === name);
    if (!start) return unknown(`${name} does not exist in this network namespace`, command);
    const segment = new EthernetSegment(wiring, start);
    const all = segment.devices.flatMap((device): Held[] =>
      device.addresses.map(({ address, prefix: length }) => ({ device, address, prefix: length })),
    );
    const right = (text: string) => known(RIGHT, command, text);
    if (all.some(({ address }) => same(address, dst))) return right(`${dst} is on the link of ${name}`);
    const askers = all.filter((one) => (src === undefined ? one.device === start : same(one.address, src)));
    const asker = askers.find((one) => covers(one, dst));
    // Without the question (ARP) itself, only the prefix of the one who asks tells that it is asked there.
    if (!asker && (askers.length > 0 || textParam(params, 'mac') !== BROADCAST))
      return right(`${dst} is not taken for a neighbour on ${name}`);
    const others = all.filter(
      (one) => one !== asker && one.address.includes(':') === dst.includes(':') && one.prefix < bitsOf(dst),
    );
    // The longest prefix that has the one who asks in it, and not what is asked for.
    const from = asker?.address ?? src ?? '';
    const narrow = others
      .filter((one) => covers(one, from) && !covers(one, dst))
      .sort((x, y) => y.prefix - x.prefix)[0];
    if (!narrow || others.some((one) => covers(one, dst)))
      return right(`${dst} fits the prefixes on the link of ${name}`);
    const expected = String(narrow.prefix);
    const reference = `${narrow.address}/${expected}`;
    if (!asker) {
      const text = `${from} asks for ${dst} on ${name}, where ${reference} says that it is beyond a router`;
      return known({ ...RIGHT, wrong: true, address: from, expected, reference }, command, text);
    }
    const { device } = asker;
    const line = (verb: string, length: string | number): string =>
      `${prefixOf(device)}${shellLine(['ip', 'address', verb, `${asker.address}/${length}`, 'dev', device.name])}`;
    const value = {
      ...RIGHT,
      wrong: true,
      address: `${asker.address}/${asker.prefix}`,
      device: device.name,
      owner: placeOf(device),
      expected,
      reference,
      fixCommand: `${line('add', expected)} && ${line('del', asker.prefix)}`,
      undoCommand: `${line('add', asker.prefix)} && ${line('del', expected)}`,
    };
    return known(
      value,
      command,
      `${placeOf(device)} has ${value.address}, ${placeOf(narrow.device)} on its link ${reference}`,
    );
  },
};

function same(one: string, other: string): boolean {
  const [x, y] = [parseAddress(one), parseAddress(other)];
  return x !== undefined && y !== undefined && x.toString() === y.toString();
}

function covers({ address, prefix }: Held, other: string): boolean {
  return addressFits(other, `${address}/${prefix}`) === 'yes';
}

function bitsOf(address: string): number {
  return address.includes(':') ? 128 : 32;
}
