import { closeSync, openSync, statSync } from 'node:fs';
import koffi from 'koffi';
import { BpfCallError } from '../libbpf.js';

const OWN_NAMESPACE = '/proc/thread-self/ns/net';
const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_SNDBUF = 7;
const SO_MARK = 36;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const MSG_DONTWAIT = 0x40;

/** What is sent, and so what a trace must tell. Ports in a namespace of its own collide with nobody's. */
export const OWN_TRAFFIC = {
  address: '127.0.0.1',
  device: 'lo',
  /** The loopback device is the first of every namespace. */
  ifindex: 1,
  udpPort: 40961,
  tcpPort: 40962,
  payload: 321,
  mark: 0x5d1a6,
  backlog: 7,
} as const;

/** What only the kernel knows of the traffic, as system calls tell it. */
export interface OwnTraffic {
  /** Inode of the namespace. */
  netns: number;
  /** Of the connecting socket as it begins, bytes. */
  rcvbuf: number;
  sndbuf: number;
}

interface Libc {
  unshare(flags: number): number;
  setns(fd: number, kind: number): number;
  socket(family: number, type: number, protocol: number): number;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  sendto(fd: number, data: Uint8Array, length: number, flags: number, to: Uint8Array, size: number): number;
  recv(fd: number, data: Uint8Array, length: number, flags: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint32Array): number;
}

let libcShared: Libc | undefined;

function libc(): Libc {
  if (libcShared) return libcShared;
  const library = koffi.load(null);
  const bind = <F>(signature: string): F => library.func(signature) as F;
  return (libcShared = {
    unshare: bind('int unshare(int flags)'),
    setns: bind('int setns(int fd, int kind)'),
    socket: bind('int socket(int family, int type, int protocol)'),
    ioctl: bind('int ioctl(int fd, unsigned long request, void *argument)'),
    bind: bind('int bind(int fd, const void *address, unsigned int length)'),
    listen: bind('int listen(int fd, int backlog)'),
    connect: bind('int connect(int fd, const void *address, unsigned int length)'),
    sendto: bind('long sendto(int fd, const void *data, size_t length, int flags, const void *to, unsigned int size)'),
    recv: bind('long recv(int fd, void *data, size_t length, int flags)'),
    setsockopt: bind('int setsockopt(int fd, int level, int name, const void *value, unsigned int length)'),
    getsockopt: bind('int getsockopt(int fd, int level, int name, void *value, void *length)'),
  });
}

/**
 * Sends a datagram and makes a connection over the loopback device of a network namespace made for it, from this thread,
 * without waiting for anybody: nothing of the host is touched, and everything about the packets is known beforehand.
 * @throws Error when this process may not (it takes CAP_SYS_ADMIN)
 */
export function sendOwnTraffic(): OwnTraffic {
  return inNewNamespace((netns) => {
    raiseLoopback();
    const receiver = socket(SOCK_DGRAM);
    const sender = socket(SOCK_DGRAM);
    const listener = socket(SOCK_STREAM);
    const client = socket(SOCK_STREAM);
    try {
      const datagram = address(OWN_TRAFFIC.udpPort);
      check(libc().bind(receiver, datagram, datagram.length), 'bind');
      setOption(sender, SO_MARK, OWN_TRAFFIC.mark);
      const payload = Buffer.alloc(OWN_TRAFFIC.payload, 'vdiag ');
      check(libc().sendto(sender, payload, payload.length, 0, datagram, datagram.length), 'send');
      check(libc().recv(receiver, payload, payload.length, MSG_DONTWAIT), 'receive');
      const service = address(OWN_TRAFFIC.tcpPort);
      check(libc().bind(listener, service, service.length), 'bind');
      check(libc().listen(listener, OWN_TRAFFIC.backlog), 'listen');
      setOption(client, SO_MARK, OWN_TRAFFIC.mark);
      const buffers = { rcvbuf: option(client, SO_RCVBUF), sndbuf: option(client, SO_SNDBUF) };
      check(libc().connect(client, service, service.length), 'connect');
      return { netns, ...buffers };
    } finally {
      for (const fd of [receiver, sender, listener, client]) closeSync(fd);
    }
  });
}

/** No other code of this thread runs meanwhile: everything in `work` must be done when it returns. */
function inNewNamespace<T>(work: (inode: number) => T): T {
  const home = openSync(OWN_NAMESPACE, 'r');
  try {
    check(libc().unshare(CLONE_NEWNET), 'make a network namespace');
    try {
      return work(statSync(OWN_NAMESPACE).ino);
    } finally {
      check(libc().setns(home, CLONE_NEWNET), 'go back to the network namespace of this process');
    }
  } finally {
    closeSync(home);
  }
}

function raiseLoopback(): void {
  const fd = socket(SOCK_DGRAM);
  try {
    // struct ifreq: 16 letters of the name, then the flags.
    const request = Buffer.alloc(40);
    request.write(OWN_TRAFFIC.device, 0, 'latin1');
    request.writeUInt16LE(IFF_UP, 16);
    check(libc().ioctl(fd, SIOCSIFFLAGS, request), 'raise the loopback device');
  } finally {
    closeSync(fd);
  }
}

function socket(type: number): number {
  return check(libc().socket(AF_INET, type | SOCK_CLOEXEC, 0), 'open a socket');
}

/** struct sockaddr_in of 127.0.0.1. */
function address(port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set([127, 0, 0, 1], 4);
  return bytes;
}

function setOption(fd: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  check(libc().setsockopt(fd, SOL_SOCKET, name, bytes, bytes.length), 'mark a socket');
}

function option(fd: number, name: number): number {
  const bytes = Buffer.alloc(4);
  check(libc().getsockopt(fd, SOL_SOCKET, name, bytes, Uint32Array.of(bytes.length)), 'ask a socket');
  return bytes.readUInt32LE(0);
}

function check(result: number, what: string): number {
  if (result < 0) throw new BpfCallError(what, koffi.errno());
  return Number(result);
}
