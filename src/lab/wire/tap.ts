import koffi from 'koffi';
import { closeSync, openSync } from 'node:fs';

/** _IOW('T', 202, int) and _IOW('T', 208, unsigned int), include/uapi/linux/if_tun.h. */
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0n;
const TUN_F_CSUM = 1n;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
/** Bytes of struct virtio_net_hdr, which stands before each frame of a tap that has offloads. */
export const OFFLOAD_HEADER = 10;
const CLONE_NEWNET = 0x40000000;
/** struct ifreq: a name, and the flags behind it. */
const IFREQ = { size: 40, name: 16 };

/**
 * Attaches to a tap device that exists, whichever network namespace it is in: a read gives one frame, a write sends one.
 * The calling thread is in that namespace only for the moment of opening.
 * @param netns path of the namespace (`/run/netns/…`)
 * @param checksums takes over the checksums of what it reads: the device then leaves them to whoever reads it, and each
 * frame has {@link OFFLOAD_HEADER} bytes before it
 * @returns the file descriptor
 * @throws Error with the reason.
 */
export function openTap(netns: string, device: string, checksums: boolean): number {
  const libc = koffi.load('libc.so.6');
  const setns = libc.func('int setns(int fd, int kind)') as (fd: number, kind: number) => number;
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)') as (
    fd: number,
    request: number,
    argument: Buffer,
  ) => number;
  const setOffload = libc.func('int ioctl(int fd, unsigned long request, unsigned long bits)') as (
    fd: number,
    request: bigint,
    bits: bigint,
  ) => number;
  const own = openSync('/proc/self/ns/net', 'r');
  const other = openSync(netns, 'r');
  try {
    if (setns(other, CLONE_NEWNET) !== 0) throw new Error(`cannot enter ${netns}: errno ${koffi.errno()}`);
    try {
      const tap = openSync('/dev/net/tun', 'r+');
      const request = Buffer.alloc(IFREQ.size);
      request.write(device, 0, IFREQ.name - 1, 'latin1');
      request.writeUInt16LE(IFF_TAP | IFF_NO_PI | (checksums ? IFF_VNET_HDR : 0), IFREQ.name);
      if (ioctl(tap, TUNSETIFF, request) !== 0) {
        const errno = koffi.errno();
        closeSync(tap);
        throw new Error(`cannot attach to the tap ${device}: errno ${errno}`);
      }
      if (checksums && setOffload(tap, TUNSETOFFLOAD, TUN_F_CSUM) !== 0) {
        const errno = koffi.errno();
        closeSync(tap);
        throw new Error(`the tap ${device} does not give its checksums away: errno ${errno}`);
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
