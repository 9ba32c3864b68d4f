import type { RingHeaders, RingRecord } from './ring-records.js';

/** A packet as the kernel side followed it: the records of one path, in order of time. */
export interface PacketPath {
  records: RingRecord[];
  /** The first that carries headers. */
  first: RingRecord;
}

/** ARP: its header is told, but it has no version. */
const ARP = 0x0806;

/** Records by path, in the order in which the paths began; without what never showed a header. */
export function packetPaths(records: readonly RingRecord[]): PacketPath[] {
  const byPath = new Map<number, RingRecord[]>();
  for (const record of [...records].sort((a, b) => a.ts - b.ts)) {
    if (record.path === 0) continue;
    const known = byPath.get(record.path);
    if (known) known.push(record);
    else byPath.set(record.path, [record]);
  }
  return [...byPath.values()].flatMap((own) => {
    const first = own.find(({ outer }) => outer?.version || outer?.ethertype === ARP);
    return first ? [{ records: own, first }] : [];
  });
}

/** The different ends between which a packet went, by its innermost headers; fragments have no ports. */
export function tuples({ records }: PacketPath): RingHeaders[] {
  const found = new Map<string, RingHeaders>();
  for (const { outer, inner } of records) {
    const headers = inner?.tunnel ? inner : outer;
    if (!headers?.version || headers.frag !== 0) continue;
    found.set(`${headers.src} ${headers.sport} ${headers.dst} ${headers.dport} ${headers.proto}`, headers);
  }
  return [...found.values()];
}
