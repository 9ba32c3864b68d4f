import ipaddr from 'ipaddr.js';
import { VdiagError } from '../../base/errors.js';
import type { LinkEnd, Topology, Traffic } from '../types.js';
import { buildFrame } from './frames.js';
import type { FrameDefaults, FramesPlan } from './frame-types.js';
import type { TrafficPlan } from './plan.js';

/** Bounds of raw frames, which no stack slows down. */
const MOST_FRAMES = 20_000;
const MOST_PER_SECOND = 5_000;
/** Port that frames come from unless they say otherwise. */
const SPORT = 40_000;

/**
 * What an agent needs to send a fault's frames from its endpoint's device. All of them are built once on paper, so that
 * a field that does not fit is found before anything runs.
 * @throws VdiagError (status 2) for a frame that cannot be built, or more of them than a lab may send.
 */
export function planFrames(traffic: Traffic, plan: TrafficPlan, topology: Topology): FramesPlan {
  const list = traffic.frames ?? [];
  if (list.length === 0) throw new VdiagError({ message: 'traffic of the kind frames has no frames' }, 2);
  const total = plan.count * list.length;
  const perSecond = (list.length / Math.max(plan.intervalMs, 0.001)) * 1000;
  if (total > MOST_FRAMES || (plan.count > 1 && perSecond > MOST_PER_SECOND)) {
    throw new VdiagError(
      {
        message: `${total} frames at ${Math.round(perSecond)} a second are more than a lab may send`,
        expected: `at most ${MOST_FRAMES} frames, ${MOST_PER_SECOND} a second`,
      },
      2,
    );
  }
  const { in: namespace, device } = topology.endpoints[plan.from];
  const own = endOf(topology, namespace, device);
  const defaults: FrameDefaults = {
    family: plan.family,
    src: addressOf(own, plan.family),
    dst: plan.address,
    smac: own?.mac ?? '',
    dmac: nextHopMac(topology, namespace, own, plan),
    sport: SPORT,
    dport: plan.port,
  };
  list.forEach((frame, i) => {
    try {
      buildFrame(frame, defaults, 0);
    } catch (error) {
      throw new VdiagError({ message: `frame ${i + 1} cannot be built: ${(error as Error).message}` }, 2);
    }
  });
  return { device, defaults, list };
}

function endOf(topology: Topology, namespace: string, device: string): LinkEnd | undefined {
  return topology.links.flatMap(({ ends }) => ends).find((end) => end.in === namespace && end.name === device);
}

function addressOf(end: LinkEnd | undefined, family: 4 | 6): string {
  const found = end?.addresses?.find((address) => address.includes(':') === (family === 6));
  return found?.split('/')[0] ?? '';
}

/** The Ethernet address that the sender would find for the destination: its own, or that of the gateway to it. */
function nextHopMac(topology: Topology, namespace: string, own: LinkEnd | undefined, plan: TrafficPlan): string {
  const onLink = own?.addresses?.some((prefix) => covers(prefix, plan.address));
  const route = topology.routes?.find(
    ({ in: of, to }) => of === namespace && covers(to === 'default' ? '0.0.0.0/0' : to, plan.address),
  );
  const hop = onLink ? plan.address : route?.via;
  const owner = topology.links
    .flatMap(({ ends }) => ends)
    .find((end) => end.addresses?.some((address) => sameAddress(address.split('/')[0], hop)));
  return owner?.mac ?? '';
}

function covers(prefix: string, address: string): boolean {
  const [base, length] = ipaddr.parseCIDR(prefix);
  const one = ipaddr.parse(address);
  return base.kind() === one.kind() && one.match(base, length);
}

function sameAddress(a: string, b: string | undefined): boolean {
  return b !== undefined && ipaddr.parse(a).toString() === ipaddr.parse(b).toString();
}
