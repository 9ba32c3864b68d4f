import type { PacketHeaders } from '../events/packet-headers.js';
import type { Device } from '../events/interned.js';

/** Namespaces that one realm remembers: a packet's way leads through a few. */
const MOST = 64;

/** How well a packet suits a realm; 0: it belongs to another one. */
export const SUITS = { not: 0, perhaps: 1, there: 2, fromHere: 3 } as const;

/**
 * Where the packets of a pair live. Two tenants may have the same addresses at the same time: they are told apart by the
 * network namespace in which the packets of one source begin, by the VNI of their tunnel, by their VLAN. One packet's way
 * may lead through many namespaces, in and out of tunnels: that does not split its pair.
 */
export class Realm {
  private vlan = 0;
  private tunnelId = 0;
  /** Namespaces in which packets begin, a → b and b → a. */
  private readonly origins = [new Set<number>(), new Set<number>()] as const;
  private readonly visited = new Set<number>();

  /** One of {@link SUITS}. `direction`: 1 when the packet would go from b to a. */
  suits(packet: PacketHeaders, device: Device, direction: 0 | 1): number {
    if (conflict(this.vlan, packet.vlan) || conflict(this.tunnelId, packet.tunnelId)) return SUITS.not;
    const origins = this.origins[direction];
    const { netns } = device;
    if (netns === 0) return SUITS.perhaps;
    if (origins.has(netns)) return SUITS.fromHere;
    if (this.visited.has(netns)) return SUITS.there;
    return origins.size === 0 ? SUITS.perhaps : SUITS.not;
  }

  /** A packet of the pair begins here. */
  begin(packet: PacketHeaders, device: Device, direction: 0 | 1): void {
    this.label(packet);
    if (device.netns === 0) return;
    if (this.origins[direction].size < MOST) this.origins[direction].add(device.netns);
    this.visit(device);
  }

  /** One of its packets comes by. */
  visit(device: Device): void {
    if (device.netns !== 0 && this.visited.size < MOST) this.visited.add(device.netns);
  }

  /** Learns VLAN and VNI where a packet shows them. */
  label(packet: PacketHeaders): void {
    if (this.vlan === 0) this.vlan = packet.vlan;
    if (this.tunnelId === 0) this.tunnelId = packet.tunnelId;
  }
}

const conflict = (known: number, seen: number): boolean => known !== 0 && seen !== 0 && known !== seen;
