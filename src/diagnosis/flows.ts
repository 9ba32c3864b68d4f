import type { FindingGroup } from '../rules/types.js';

/** One end of a flow as text has it: `10.0.0.1`, and with its port `10.0.0.1:80`; `service` is empty without one. */
interface End {
  address: string;
  service: string;
}

/** As many flows as a group of findings keeps: there may be more of them. */
const KEPT_FLOWS = 5;

/** The two addresses of `TCP 10.0.0.1:80 → 10.0.0.2:4711`, without ports. */
export function endsOf(flow: string): string[] {
  return partsOf(flow).map(({ address }) => address);
}

/** Whether two pairs of addresses are the same, in whichever order. */
export function sameEnds(x: readonly string[], y: readonly string[]): boolean {
  return (x[0] === y[0] && x[1] === y[1]) || (x[0] === y[1] && x[1] === y[0]);
}

/** Whether a flow of the group is between these two addresses. */
export function isBetween(group: FindingGroup, ends: readonly string[]): boolean {
  return group.flows.some(({ flow }) => sameEnds(ends, endsOf(flow)));
}

/** Whether the two groups have a flow of the same two ends, addresses and ports, in whichever order. */
export function sameConnection(x: FindingGroup, y: FindingGroup): boolean {
  const named = ({ flows }: FindingGroup): string[] =>
    flows.map(({ flow }) =>
      partsOf(flow)
        .map(({ address, service }) => service || address)
        .sort()
        .join(' '),
    );
  const ours = named(x);
  return named(y).some((one) => ours.includes(one));
}

/**
 * Whether what hit the flows of one group can be what the flows of another suffer from: the same two addresses, and where
 * ports are known on both sides, a port in common too (a connection of another client has the service's). Of a group that
 * may have more flows than it kept, the addresses must do.
 */
export function flowsMeet(cause: FindingGroup, symptom: FindingGroup): boolean {
  const whole = cause.flows.length < KEPT_FLOWS;
  return symptom.flows.some((theirs) => {
    const suffers = partsOf(theirs.flow);
    return cause.flows.some((ours) => {
      const hit = partsOf(ours.flow);
      const pair = (ends: End[]): string[] => ends.map(({ address }) => address);
      if (!sameEnds(pair(hit), pair(suffers))) return false;
      const services = (ends: End[]): string[] => ends.map(({ service }) => service).filter((one) => one !== '');
      const [mine, other] = [services(hit), services(suffers)];
      return !whole || mine.length === 0 || other.length === 0 || mine.some((service) => other.includes(service));
    });
  });
}

function partsOf(flow: string): End[] {
  const [proto] = flow.split(' ', 1);
  return (flow.match(/\S+ (?:→|⇄) \S+/)?.[0] ?? '').split(/ (?:→|⇄) /).map((end) => {
    const address = end.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
    return { address, service: address === end || end === `[${address}]` ? '' : `${proto} ${end}` };
  });
}
