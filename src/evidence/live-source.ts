import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { normalize } from 'node:path';
import { inNetworkNamespace } from '../bpf/network-namespace.js';
import { BUILT_IN_QUESTIONS } from './built-in-questions.js';
import { createLimiter } from './limiter.js';
import { findNetns, openNetns, ownNetnsInode, type NetnsDoor } from './net-namespaces.js';
import { KNOWN_TOOLS, TOOL_PATH, findTool, missingTool } from './tools.js';
import type { EvidenceSource, EvidenceWhere, RawEvidence } from './types.js';

export interface LiveSourceOptions {
  /** Time limit of one question, ms. */
  timeoutMs?: number;
  /** Longest answer, bytes. */
  maxBytes?: number;
  /** Questions asked at once. */
  concurrency?: number;
}

const failed = (why: string): RawEvidence => ({ status: 'failed', why });

/** Folders that evidence may read. */
const READABLE = /^\/(proc|sys|run)(\/|$)/;
/** Files whose content depends on the network namespace of the reader. */
const PER_NETNS = /^\/proc\/(net|sys\/net|self\/net|thread-self\/net)(\/|$)/;

/**
 * The host itself. Tools run by argument list, without a shell, with a fixed PATH and LC_ALL=C, within 2 s and 8 MiB.
 * Another network namespace is entered for one question only. It never throws: what cannot be had is `missing` or `failed`
 * with the reason.
 */
export function createLiveSource(options: LiveSourceOptions = {}): EvidenceSource {
  const timeoutMs = options.timeoutMs ?? 2000;
  const maxBytes = options.maxBytes ?? 8 << 20;
  const limited = createLimiter(options.concurrency ?? 4);
  const doors = new Map<number, NetnsDoor>();
  const own = ownNetnsInode().catch(() => 0);

  async function isElsewhere(where: EvidenceWhere): Promise<boolean> {
    return where.netns !== undefined && where.netns !== (await own);
  }

  /** An open handle on a namespace; the remembered door is tried first, then the host is searched again. */
  async function enter(netns: number): Promise<FileHandle | undefined> {
    const remembered = doors.get(netns);
    if (remembered) {
      const handle = await openNetns(remembered, netns);
      if (handle) return handle;
      doors.delete(netns);
    }
    const door = await findNetns(netns);
    if (!door) return undefined;
    doors.set(netns, door);
    return openNetns(door, netns);
  }

  /** @param fd network namespace to run it in; absent: this process' own */
  async function execute(argv: readonly string[], fd?: number): Promise<RawEvidence> {
    // Loaded when the host is first asked: a replay runs no tools.
    const { execa } = await import('execa');
    const start = () =>
      execa(argv[0], argv.slice(1), {
        reject: false,
        stdin: 'ignore',
        stripFinalNewline: false,
        extendEnv: false,
        env: { LC_ALL: 'C', PATH: TOOL_PATH.join(':') },
        cwd: '/',
        timeout: timeoutMs,
        forceKillAfterDelay: 500,
        maxBuffer: maxBytes,
      });
    // A child lives in the namespace in which it was started.
    const result = await (fd === undefined ? start() : inNetworkNamespace(fd, start));
    if (result.timedOut) return failed(`took longer than ${timeoutMs / 1000} s`);
    if (result.isMaxBuffer) return failed(`printed more than ${maxBytes >> 20} MiB`);
    if (result.exitCode !== 0)
      return failed(firstLine(result.stderr) || firstLine(result.stdout) || (result.shortMessage ?? 'failed'));
    return { status: 'ok', text: result.stdout };
  }

  /** Runs a tool that is known to exist, in the asked namespace. */
  async function executeIn(tool: string, args: readonly string[], where: EvidenceWhere): Promise<RawEvidence> {
    if (!(await isElsewhere(where))) return execute([tool, ...args]);
    return inside(where, ({ fd }) => execute([tool, ...args], fd));
  }

  async function inside(
    where: EvidenceWhere,
    work: (handle: FileHandle) => RawEvidence | Promise<RawEvidence>,
  ): Promise<RawEvidence> {
    const handle = await enter(where.netns!);
    if (!handle) return failed(`network namespace ${where.netns} is gone: no process or name leads to it`);
    try {
      return await work(handle);
    } finally {
      await handle.close();
    }
  }

  async function run(argv: readonly string[], where: EvidenceWhere): Promise<RawEvidence> {
    const name = argv[0] ?? '';
    const builtIn = BUILT_IN_QUESTIONS.get(name);
    if (builtIn) return builtIn(argv.slice(1));
    if (!KNOWN_TOOLS.has(name)) return failed(`"${name}" is not a tool that evidence may run`);
    const tool = await findTool(name);
    if (!tool) return { status: 'missing', why: missingTool(name) };
    return executeIn(tool, argv.slice(1), where);
  }

  async function read(path: string, where: EvidenceWhere): Promise<RawEvidence> {
    if (normalize(path) !== path || !READABLE.test(path)) return failed(`${path} is not below /proc, /sys or /run`);
    if (await isElsewhere(where)) {
      if (/^\/sys\/class\/net\b/.test(path)) return failed('sysfs shows the network namespace it was mounted in');
      if (PER_NETNS.test(path))
        return inside(where, ({ fd }) => inNetworkNamespace(fd, () => readAtOnce(path, maxBytes)));
    }
    return readLimited(path, maxBytes);
  }

  async function list(path: string, where: EvidenceWhere): Promise<RawEvidence> {
    if (normalize(path) !== path || !READABLE.test(path)) return failed(`${path} is not below /proc, /sys or /run`);
    if (await isElsewhere(where)) {
      if (/^\/sys\/class\/net\b/.test(path)) return failed('sysfs shows the network namespace it was mounted in');
      if (PER_NETNS.test(path))
        return inside(where, ({ fd }) => inNetworkNamespace(fd, () => listed(path, () => readdirSync(path))));
    }
    const names = await readdir(path).catch((error: Error) => error);
    return listed(path, () => {
      if (names instanceof Error) throw names;
      return names;
    });
  }

  const guarded = (task: () => Promise<RawEvidence>): Promise<RawEvidence> =>
    limited(async () => {
      try {
        return await task();
      } catch (error) {
        return failed((error as Error).message);
      }
    });

  return {
    run: (argv, where) => guarded(() => run(argv, where)),
    read: (path, where) => guarded(() => read(path, where)),
    list: (path, where) => guarded(() => list(path, where)),
  };
}

/** Reads a file whose size the kernel does not tell (0 in /proc), but never more than `maxBytes` of it. */
async function readLimited(path: string, maxBytes: number): Promise<RawEvidence> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(64 << 10), 0, 64 << 10);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > maxBytes) return failed(`${path} is longer than ${maxBytes >> 20} MiB`);
      chunks.push(buffer.subarray(0, bytesRead));
    }
    return { status: 'ok', text: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    return unreadable(path, error);
  } finally {
    await handle?.close();
  }
}

/** As {@link readLimited}, without letting any other code run. */
function readAtOnce(path: string, maxBytes: number): RawEvidence {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const buffer = Buffer.alloc(64 << 10);
      const bytesRead = readSync(fd, buffer);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > maxBytes) return failed(`${path} is longer than ${maxBytes >> 20} MiB`);
      chunks.push(buffer.subarray(0, bytesRead));
    }
    return { status: 'ok', text: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    return unreadable(path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function listed(path: string, names: () => string[]): RawEvidence {
  try {
    return { status: 'ok', text: names().sort().join('\n') };
  } catch (error) {
    return unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): RawEvidence {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return absent(path);
  return failed(`cannot read ${path}: ${code ?? message}`);
}

function absent(path: string): RawEvidence {
  return { status: 'missing', why: `${path} is not there on this kernel` };
}

function firstLine(text: string | undefined): string {
  return (text ?? '').trim().split('\n')[0] ?? '';
}
