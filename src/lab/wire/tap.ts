import koffi from 'koffi';
import { closeSync, openSync } from 'node:fs';

/** _IOW('T', 202, int), include/uapi/linux/if_tun.h. */
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const CLONE_NEWNET = 0x40000000;
/** struct ifreq: a name, and the flags behind it. */
const IFREQ = { size: 40, name: 16 };

/**
 * Attaches to a tap device that exists, whichever network namespace it is in: a read gives one frame, a write sends one.
 * The calling thread is in that namespace only for the moment of opening.
 * @param netns path of the namespace (`/run/netns/…`)
 * @returns the file descriptor
 * @throws Error with the reason.
 */
export function openTap(netns: string, device: string): number {
  const libc = koffi.load('libc.so.6');
  const setns = libc.func('int setns(int fd, int kind)') as (fd: number, kind: number) => number;
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)') as (
    fd: number,
    request: number,
    argument: Buffer,
  ) => number;
  const own = openSync('/proc/self/ns/net', 'r');
  const other = openSync(netns, 'r');
  try {
    if (setns(other, CLONE_NEWNET) !== 0) throw new Error(`cannot enter ${netns}: errno ${koffi.errno()}`);
    try {
      const tap = openSync('/dev/net/tun', 'r+');
      const request = Buffer.alloc(IFREQ.size);
      request.write(device, 0, IFREQ.name - 1, 'latin1');
      request.writeUInt16LE(IFF_TAP | IFF_NO_PI, IFREQ.name);
      if (ioctl(tap, TUNSETIFF, request) !== 0) {
        const errno = koffi.errno();
        closeSync(tap);
        throw new Error(`cannot attach to the tap ${device}: errno ${errno}`);
      }
      return tap;
    } finally {
      if (setns(own, CLONE_NEWNET) !== 0) throw new Error('cannot leave the namespace again');
    }
  } finally {
    closeSync(own);
    closeSync(other);
  }
}
