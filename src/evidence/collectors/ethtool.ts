import { commandPrefix, delta, deviceParam, known, textOfAnswer, unknown, unnamed, where } from '../facts.js';
import { LINKS, parseLinks } from '../parsers/links.js';
import { lossCounters, parseFeatures, parseFields, parseRings } from '../parsers/ethtool.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase, EvidenceSource } from '../types.js';

/** Devices whose drivers are asked before the run; more would take too long on a host with thousands of veths. */
const MAX_DEVICES = 32;

/** What a device's driver does and counts (net/ethtool). */
export const ethtool: EvidenceCollector = {
  name: 'ethtool',
  describe: "A device's driver: offloads, rings, coalescing, and the losses that the driver itself counts.",
  params: { device: 'device' },
  members: {
    driver: 'name of the driver',
    tso: 'TCP segmentation offload is on',
    gso: 'generic segmentation offload is on',
    segmentationOff: 'neither of the two is on, and not because the driver cannot',
    gro: 'generic receive offload is on',
    lro: 'large receive offload is on',
    txChecksum: 'it computes checksums to send',
    rxChecksum: 'it checks checksums received',
    vlanOffload: 'it strips VLAN tags on receive',
    rxRing: 'receive ring, packets; null when it has none to set',
    rxRingMax: 'most of that; null likewise',
    txRing: 'transmit ring, packets; null likewise',
    txRingMax: 'most of that; null likewise',
    rxUsecs: 'µs that receive interrupts are held back; null when unknown',
    adaptiveRx: 'the driver chooses that itself',
    lossDelta: "packets lost during the run by the driver's own counters; null when not read before",
    losses: 'counters of loss that grew: `rx_drops +12`; empty when none did',
    segmentationCommand: 'turns segmentation offload on; empty when it is',
    segmentationUndo: 'turns it off again',
    ringCommand: 'makes the receive ring as large as it can be; empty when it is',
  },

  async before(source, netns) {
    const at = { netns, phase: 'before' } as const;
    const answer = await source.run(LINKS, at);
    const links = parseLinks(textOfAnswer(answer) ?? '-') ?? [];
    const physical = links
      .filter((link) => link.kind === 'physical' && !link.name.startsWith('-'))
      .slice(0, MAX_DEVICES);
    await Promise.all(physical.map((link) => source.run(['ethtool', '-S', link.name], at)));
  },

  async collect(source, params) {
    const device = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    const command = `${prefix}ethtool -S ${device ?? '?'}`;
    if (device === undefined) return unnamed('no device was named', command);
    const driverAnswer = await source.run(['ethtool', '-i', device], where(params, 'after'));
    if (driverAnswer.status !== 'ok') return unknown(driverAnswer.why, command);
    const [features, rings, coalesce, after, before] = await Promise.all([
      textAt(source, '-k', device, params, 'after'),
      textAt(source, '-g', device, params, 'after'),
      textAt(source, '-c', device, params, 'after'),
      textAt(source, '-S', device, params, 'after'),
      textAt(source, '-S', device, params, 'before'),
    ]);
    const feature = parseFeatures(features ?? '');
    const on = (name: string): boolean => feature.get(name)?.on ?? false;
    // Without -k nothing is known of it; GSO is the stack's own, and can be turned on for any device.
    const segmentationOff =
      feature.has('generic-segmentation-offload') &&
      !on('tcp-segmentation-offload') &&
      !on('generic-segmentation-offload');
    const ring = parseRings(rings ?? '');
    const timing = parseFields(coalesce ?? '');
    const losses = grownLosses(before, after);
    const rxUsecs = Number.parseInt(timing.get('rx-usecs') ?? '', 10);
    const value = {
      driver: parseFields(driverAnswer.text).get('driver') ?? '',
      tso: on('tcp-segmentation-offload'),
      gso: on('generic-segmentation-offload'),
      segmentationOff,
      gro: on('generic-receive-offload'),
      lro: on('large-receive-offload'),
      txChecksum: on('tx-checksumming'),
      rxChecksum: on('rx-checksumming'),
      vlanOffload: on('rx-vlan-offload'),
      rxRing: ring.rx ?? null,
      rxRingMax: ring.rxMax ?? null,
      txRing: ring.tx ?? null,
      txRingMax: ring.txMax ?? null,
      rxUsecs: Number.isFinite(rxUsecs) ? rxUsecs : null,
      adaptiveRx: (timing.get('Adaptive RX') ?? '').startsWith('on'),
      lossDelta: losses && largest(losses),
      losses: (losses ?? []).map(([name, count]) => `${name} +${count}`).join(', '),
      segmentationCommand: segmentationOff ? `${prefix}ethtool -K ${shellWord(device)} gso on tso on` : '',
      segmentationUndo: segmentationOff ? `${prefix}ethtool -K ${shellWord(device)} gso off tso off` : '',
      ringCommand:
        ring.rx && ring.rxMax && ring.rx < ring.rxMax ? `${prefix}ethtool -G ${device} rx ${ring.rxMax}` : '',
    };
    const lost = value.lossDelta === null ? '' : `, losses counted by the driver: ${value.losses || 'none'}`;
    const offloads = segmentationOff ? ', segmentation offload (tso, gso) off' : '';
    return known(value, command, `${device}: driver ${value.driver}${offloads}${lost}`);
  },
};

async function textAt(
  source: EvidenceSource,
  option: string,
  device: string,
  params: EvidenceParams,
  phase: EvidencePhase,
): Promise<string | undefined> {
  return textOfAnswer(await source.run(['ethtool', option, device], where(params, phase)));
}

/** Loss counters that grew; null when not read before. */
function grownLosses(before: string | undefined, after: string | undefined): [string, number][] | null {
  if (before === undefined || after === undefined) return null;
  const was = lossCounters(parseFields(before));
  return [...lossCounters(parseFields(after))]
    .map(([name, count]): [string, number] => [name, delta(was.get(name) ?? 0, count) ?? 0])
    .filter(([, count]) => count > 0);
}

/** Drivers count one loss under several names (per queue and in all): the largest is the nearest to the truth. */
function largest(losses: [string, number][]): number {
  return losses.reduce((most, [, count]) => Math.max(most, count), 0);
}
