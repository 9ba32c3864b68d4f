import { bridge } from './collectors/bridge.js';
import { connection } from './collectors/connection.js';
import { conntrack } from './collectors/conntrack.js';
import { conntrackFlow } from './collectors/conntrack-flow.js';
import { cpu } from './collectors/cpu.js';
import { cpuRival } from './collectors/cpu-rival.js';
import { tcFilter } from './collectors/tc-filter.js';
import { ethtool } from './collectors/ethtool.js';
import { firewallRule } from './collectors/firewall-rule.js';
import { framePath } from './collectors/frame-path.js';
import { interrupts, softirqs } from './collectors/interrupts.js';
import { link } from './collectors/link.js';
import { listener } from './collectors/listener.js';
import { localPorts } from './collectors/local-ports.js';
import { nat } from './collectors/nat.js';
import { neighbour } from './collectors/neighbour.js';
import { netmask } from './collectors/netmask.js';
import { ovs } from './collectors/ovs.js';
import { ovsFlow } from './collectors/ovs-flow.js';
import { pathMtu } from './collectors/path-mtu.js';
import { pressure } from './collectors/pressure.js';
import { processState } from './collectors/process.js';
import { protocolMemory } from './collectors/protocol-memory.js';
import { qdisc } from './collectors/qdisc.js';
import { reassembly } from './collectors/reassembly.js';
import { receiveErrors } from './collectors/receive-errors.js';
import { returnRoute } from './collectors/return-route.js';
import { route } from './collectors/route.js';
import { routeMetrics } from './collectors/route-metrics.js';
import { schedstat } from './collectors/schedstat.js';
import { snmp } from './collectors/snmp.js';
import { socket } from './collectors/socket.js';
import { softnet } from './collectors/softnet.js';
import { stoppedOwner } from './collectors/stopped-owner.js';
import { sysctl } from './collectors/sysctl.js';
import { tapOwner } from './collectors/tap-owner.js';
import { tunnelMtu } from './collectors/tunnel-mtu.js';
import { unknown } from './facts.js';
import type { EvidenceCollector, EvidenceSource } from './types.js';

/**
 * What all collectors have in common: the line of a fact is a member of every value, so that templates may name it, and
 * an answer that a parser did not expect ends in "not established", never in a crash of the diagnosis.
 */
function complete(collector: EvidenceCollector): EvidenceCollector {
  return {
    ...collector,
    members: { text: 'the fact in one line', ...collector.members },
    async collect(source, params) {
      try {
        return await collector.collect(source, params);
      } catch (error) {
        return unknown(`the answer was not understood: ${(error as Error).message}`, collector.name);
      }
    },
  };
}

/** Every kind of evidence, by the name rules use: `evidence.<name>`. */
export const COLLECTORS: ReadonlyMap<string, EvidenceCollector> = new Map(
  [
    bridge,
    connection,
    conntrack,
    conntrackFlow,
    cpu,
    cpuRival,
    tcFilter,
    ethtool,
    firewallRule,
    interrupts,
    framePath,
    link,
    listener,
    localPorts,
    nat,
    neighbour,
    netmask,
    ovs,
    ovsFlow,
    pathMtu,
    pressure,
    processState,
    protocolMemory,
    qdisc,
    reassembly,
    receiveErrors,
    returnRoute,
    route,
    routeMetrics,
    schedstat,
    snmp,
    socket,
    softirqs,
    softnet,
    stoppedOwner,
    sysctl,
    tapOwner,
    tunnelMtu,
  ].map((collector) => [collector.name, complete(collector)]),
);

/**
 * Reads, before the traffic, the counters of the named collectors in the given namespaces (`undefined`: vdiag's own).
 * Unknown names are passed over: the scenario was checked when it was loaded. Never throws.
 */
export async function snapshotBefore(
  source: EvidenceSource,
  names: readonly string[],
  netnsList: readonly (number | undefined)[] = [undefined],
): Promise<void> {
  const namespaces = new Set(netnsList);
  await Promise.all(
    names.flatMap((name) =>
      [...namespaces].map((netns) =>
        COLLECTORS.get(name)
          ?.before?.(source, netns)
          .catch(() => undefined),
      ),
    ),
  );
}

export { createLiveSource, type LiveSourceOptions } from './live-source.js';
export { createRecordedSource } from './recorded-source.js';
export { createRecordingSource, type RecordingSource, type RecordingSourceOptions } from './recording-source.js';
export type { EvidenceEntry } from './entries.js';
