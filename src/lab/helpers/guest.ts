import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { replyTo, type GuestIdentity } from './guest-replies.js';
import { libc, need, runAs } from './libc.js';
import { msOf, type HelperWords } from './words.js';

const O_RDWR = 2;
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 2;
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;
const POLLIN = 1;
const FRAME_BYTES = 65_550;

/**
 * The guest behind a tap: holds the device open, as QEMU does, and answers for its addresses. What it is told (words.ts)
 * says how it reads. Never returns; it ends when the lab ends its process.
 * @throws Error when the tap cannot be opened.
 */
export function serveTap(told: HelperWords, ready: () => void): never {
  const self = identity(told);
  const fd = openTap(told.device);
  runAs(told);
  process.title = `guest-${told.device}`;
  ready();
  const frame = Buffer.alloc(FRAME_BYTES);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const sleep = (ms: number): void => void Atomics.wait(pause, 0, 0, ms);
  const fromMs = msOf(told, 'after');
  let stops = told.stop === 'yes';
  let turns = fromMs > 0 ? Infinity : 0;
  const waiting = Buffer.alloc(8);
  for (;;) {
    waiting.writeInt32LE(fd, 0);
    waiting.writeInt16LE(POLLIN, 4);
    const late = performance.now() >= turns;
    if (late && stops) {
      // Once: whoever lets it go on has repaired it.
      stops = false;
      process.kill(process.pid, 'SIGSTOP');
    }
    if (late && told.read === 'never') {
      sleep(1000);
      continue;
    }
    if (libc().poll(waiting, 1, 50) <= 0) continue;
    const length = libc().read(fd, frame, FRAME_BYTES);
    if (length <= 0) continue;
    // Its time begins with the first packet for it alone: what a host sends to all comes before the traffic.
    if (turns === Infinity && (frame[0]! & 1) === 0) turns = performance.now() + fromMs;
    if (late && told.read?.endsWith('ms')) sleep(msOf(told, 'read'));
    const reply = replyTo(frame.subarray(0, length), self);
    if (reply) libc().write(fd, reply, reply.length);
  }
}

function openTap(device: string): number {
  const fd = need('/dev/net/tun', libc().open('/dev/net/tun', O_RDWR));
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(device, 'latin1');
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI, 16);
  need(`opening the tap ${device}`, libc().ioctl(fd, TUNSETIFF, request));
  return fd;
}

function identity(told: HelperWords): GuestIdentity {
  const addresses = (told.addresses ?? '').split(',').filter((text) => text !== '');
  const bytes = (text: string | undefined): Uint8Array | undefined =>
    text === undefined ? undefined : Uint8Array.from(ipaddr.parse(text).toByteArray());
  return {
    mac: Uint8Array.from(told.mac.split(':').map((part) => Number.parseInt(part, 16))),
    address: bytes(addresses.find((text) => !isIPv6(text))),
    address6: bytes(addresses.find(isIPv6)),
    udp: told.udp as GuestIdentity['udp'],
  };
}
