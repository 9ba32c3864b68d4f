import type { EventCursor } from '../events/cursor.js';
import { FIELDS } from '../events/fields.js';
import { KIND } from '../events/layout.js';

/**
 * The flow of the current event in a line, `TCP 10.0.0.1:4711 → 10.0.0.2:80`, for counting a finding's flows; empty
 * when it has no addresses. A socket's own address comes first.
 */
export function flowText(cursor: EventCursor): string {
  const { packet } = cursor;
  if (packet.present) {
    const { src } = packet;
    if (src === '') return '';
    const ports = packet.hasPorts;
    const from = ports ? endpoint(src, packet.sport) : src;
    return `${packet.proto} ${from} → ${ports ? endpoint(packet.dst, packet.dport) : packet.dst}`;
  }
  if (cursor.kind !== KIND.socket) return '';
  const [source, destination, sport, dport, protocol] = SOCKET.map((field) => field.read(cursor));
  if (source === undefined || destination === undefined) return '';
  if (protocol === undefined) return `${String(source)} → ${String(destination)}`;
  return `${String(protocol)} ${endpoint(String(source), sport)} → ${endpoint(String(destination), dport)}`;
}

const SOCKET = ['socket.src', 'socket.dst', 'socket.sport', 'socket.dport', 'socket.protocol'].map(
  (name) => FIELDS[name as keyof typeof FIELDS],
);

function endpoint(address: string, port: unknown): string {
  if (typeof port !== 'number') return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
