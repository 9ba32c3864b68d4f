import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface GuestOutput {
  status: number;
  text: string;
}

/** The line to a guest over which its commands go (guest-serve.sh is the other end). */
export class GuestConsole {
  #buffer = '';
  #next = 1;
  #open: { id: number; status: number; lines: string[] } | undefined;
  readonly #waiting = new Map<number, (output: GuestOutput) => void>();
  readonly #ready: Promise<void>;
  #socket: Socket | undefined;
  #markReady: () => void = () => undefined;

  constructor() {
    this.#ready = new Promise((resolve) => (this.#markReady = resolve));
  }

  /** Connects to qemu's socket and waits until the guest takes commands. @throws Error after `timeoutMs`. */
  async connect(path: string, timeoutMs: number, alive: () => boolean): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!this.#socket) {
      this.#socket = await tryConnect(path);
      if (this.#socket) break;
      if (!alive() || performance.now() > end) throw new Error(`qemu does not open ${path}`);
      await sleep(50);
    }
    this.#socket.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    let ready = false;
    void this.#ready.then(() => (ready = true));
    while (!ready) {
      if (!alive()) throw new Error('qemu has ended');
      if (performance.now() > end) throw new Error(`the guest is not ready after ${timeoutMs} ms`);
      await sleep(20);
    }
  }

  /** Runs a shell command in the guest, beside any others. @throws Error when it does not end in time. */
  async run(command: string, timeoutMs: number): Promise<GuestOutput> {
    const id = this.#next++;
    const answer = new Promise<GuestOutput>((resolve) => this.#waiting.set(id, resolve));
    this.#socket?.write(`${id} ${command}\n`);
    const result = await Promise.race([answer, sleep(timeoutMs, undefined, { ref: false })]);
    this.#waiting.delete(id);
    if (!result) throw new Error(`"${command}" did not end in the guest within ${timeoutMs} ms`);
    return result;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #take(text: string): void {
    const lines = (this.#buffer + text).split('\n');
    this.#buffer = lines.pop() ?? '';
    for (const raw of lines) this.#line(raw.replace(/\r$/, ''));
  }

  #line(line: string): void {
    const begin = /^@begin (\d+) (\d+)$/.exec(line);
    if (line === '@ready') this.#markReady();
    else if (begin) this.#open = { id: Number(begin[1]), status: Number(begin[2]), lines: [] };
    else if (this.#open && line === `@end ${this.#open.id}`) {
      const { id, status, lines } = this.#open;
      this.#open = undefined;
      this.#waiting.get(id)?.({ status, text: lines.join('\n') });
    } else this.#open?.lines.push(line);
  }
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
