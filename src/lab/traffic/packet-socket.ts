import koffi from 'koffi';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCKADDR_LL_BYTES = 20;

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  sendto(fd: number, bytes: Buffer, length: number, flags: number, to: Buffer, toLength: number): number;
  if_nametoindex(name: string): number;
  close(fd: number): number;
  strerror(number: number): string;
}

/** A socket that sends whole frames out of a device of this process's network namespace (man 7 packet). */
export interface PacketSocket {
  /** @throws Error when the device refuses the frame. */
  send(frame: Buffer): void;
  close(): void;
}

/** @throws Error without such a device or without the right to it (CAP_NET_RAW). */
export function openPacketSocket(device: string): PacketSocket {
  const libc = functions();
  const index = libc.if_nametoindex(device);
  if (index === 0) throw new Error(`there is no device ${device}`);
  // Protocol 0: it sends and receives nothing.
  const fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Error(`no packet socket: ${libc.strerror(koffi.errno())}`);
  const to = Buffer.alloc(SOCKADDR_LL_BYTES);
  // struct sockaddr_ll: the family and the index are in the machine's order, and every machine here is little-endian.
  to.writeUInt16LE(AF_PACKET, 0);
  to.writeInt32LE(index, 4);
  to.writeUInt8(6, 11);
  return {
    send(frame) {
      frame.copy(to, 2, 12, 14);
      frame.copy(to, 12, 0, 6);
      if (libc.sendto(fd, frame, frame.length, 0, to, SOCKADDR_LL_BYTES) < 0)
        throw new Error(`a frame of ${frame.length} bytes was not sent: ${libc.strerror(koffi.errno())}`);
    },
    close: () => void libc.close(fd),
  };
}

function functions(): Libc {
  const library = koffi.load(null);
  return {
    socket: library.func('int socket(int domain, int type, int protocol)') as Libc['socket'],
    sendto: library.func(
      'long sendto(int fd, const void *bytes, size_t length, int flags, const void *to, uint32_t toLength)',
    ) as Libc['sendto'],
    if_nametoindex: library.func('uint32_t if_nametoindex(const char *name)') as Libc['if_nametoindex'],
    close: library.func('int close(int fd)') as Libc['close'],
    strerror: library.func('const char *strerror(int number)') as Libc['strerror'],
  };
}
