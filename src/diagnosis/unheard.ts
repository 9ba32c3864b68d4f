import ipaddr from 'ipaddr.js';

/** A pair is taken for unanswered from so many packets on: a single one may be answered after the run. */
const UNANSWERED_PACKETS = 3;

/** Whether so many packets without an answer are worth a suspicion. */
export function isUnanswered(packets: number): boolean {
  return packets >= UNANSWERED_PACKETS;
}

/** Whether an address is that of many, or of nobody: none need answer there. */
export function isGroup(address: string): boolean {
  return ipaddr.isValid(address) && ['multicast', 'broadcast', 'unspecified'].includes(ipaddr.parse(address).range());
}
