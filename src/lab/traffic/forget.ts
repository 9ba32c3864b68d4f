import type { Socket } from 'node:net';
import { libc, need } from '../helpers/libc.js';

const IPPROTO_TCP = 6;
/** include/uapi/linux/tcp.h */
const TCP_REPAIR = 19;

/**
 * Closes a connection without a word: a socket in repair mode sends neither FIN nor RST (tcp_disconnect, net/ipv4/tcp.c). Its
 * peer is left as after the crash of the host. @throws Error without CAP_NET_ADMIN.
 */
export function forget(socket: Socket): void {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  need('forgetting a connection', libc().setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, Uint8Array.of(1, 0, 0, 0), 4));
  socket.destroy();
}
