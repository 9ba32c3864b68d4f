import type { Device } from '../events/interned.js';
import type { PacketHeaders } from '../events/packet-headers.js';
import { roleNumber } from '../events/probe-table.js';
import { tupleHash } from './flow.js';
import type { PathState } from './path-state.js';

const RECEIVE = roleNumber('receive');
const LOCAL_OUT = roleNumber('local-out');
const SLOTS = 1 << 14;
/** A clone appears at once after what it was made from; a packet of the same headers may come later. */
const NEAR_NS = 50e6;
/** Clones that one path may have: beyond, they count as packets of their own. */
const MAX_SKBS = 1024;

/**
 * Finds the packet that an skb, first seen in the middle of its way, was cloned from when no probe saw the cloning (a
 * bridge's flood, GSO segments, on kernels with tracepoints alone): the one recent packet that has the same headers.
 * When two have, it is nobody's.
 */
export class Stitcher {
  private readonly keys = new Float64Array(SLOTS);
  private readonly serials = new Float64Array(SLOTS);
  private readonly ambiguous = new Uint8Array(SLOTS);
  private readonly paths = new Array<PathState | undefined>(SLOTS);

  /** The path that a packet continues, or undefined: it is one of its own. */
  find(packet: PacketHeaders, role: number, device: Device, now: number): PathState | undefined {
    // What enters from a driver, or from a socket of this host, is no clone.
    if (role === RECEIVE || role === LOCAL_OUT || !packet.present || packet.addressBytes === 0) return undefined;
    const key = headersHash(packet);
    const slot = slotOf(key);
    const path = this.paths[slot];
    if (!path || this.keys[slot] !== key || path.serial !== this.serials[slot]) return undefined;
    if (this.ambiguous[slot] === 1 || path.skbs >= MAX_SKBS || now - path.lastTs > NEAR_NS) return undefined;
    // A clone is first seen in the namespace where its original is.
    const there = path.lastDevice;
    return there.id === 0 || device.id === 0 || there.netns === device.netns ? path : undefined;
  }

  /** Remembers a packet by its headers. */
  remember(path: PathState, packet: PacketHeaders, now: number): void {
    if (packet.addressBytes === 0) return;
    const key = headersHash(packet);
    const slot = slotOf(key);
    const other = this.paths[slot];
    const alive =
      other !== undefined && other !== path && this.keys[slot] === key && other.serial === this.serials[slot];
    this.ambiguous[slot] = alive && !other.ended && now - other.lastTs <= NEAR_NS ? 1 : 0;
    this.keys[slot] = key;
    this.serials[slot] = path.serial;
    this.paths[slot] = path;
  }
}

function slotOf(key: number): number {
  return (key ^ (key / 4294967296)) & (SLOTS - 1);
}

/** 53 bits of what identifies a packet and no router or bridge changes. */
function headersHash(packet: PacketHeaders): number {
  const tuple = tupleHash(packet, false);
  let low = tuple | 0;
  low = Math.imul(low ^ Math.imul(packet.ipId, 0x9e3779b1) ^ (packet.payload << 16), 0x85ebca6b);
  if (packet.isTcp) low = Math.imul(low ^ packet.seq ^ Math.imul(packet.ack, 0xc2b2ae35) ^ packet.tcpFlags, 0x27d4eb2f);
  if (packet.isIcmp) low = Math.imul(low ^ packet.second16 ^ (packet.icmpType << 20), 0x27d4eb2f);
  return Math.floor(tuple / 4294967296) * 4294967296 + ((low ^ (low >>> 15)) >>> 0);
}
