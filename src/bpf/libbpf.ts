import { writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { kernelVersionCode } from './kernel-version.js';
import {
  bindFunctions,
  linkCreateAttributes,
  linkCreateOptions,
  objectOpenOptions,
  type Pointer,
  progLoadOptions,
  withDefaults,
} from './libbpf-functions.js';

export type { Pointer } from './libbpf-functions.js';

export const PROG_TYPE = { KPROBE: 2, TRACEPOINT: 5, RAW_TRACEPOINT: 17, TRACING: 26 } as const;
export const ATTACH_TYPE = { FENTRY: 24, FEXIT: 25, PERF_EVENT: 41, KPROBE_MULTI: 42, KPROBE_SESSION: 56 } as const;

/** Room for the verifier's account of one refused program. */
const VERIFIER_LOG_BYTES = 1 << 20;
/** libbpf_print_fn_t levels: 0 warning, 1 information, 2 debug. */
const DEBUG_LEVEL = 2;
/** libbpf gives the verifier up to 16 MiB for what it says of a program; only memory that is written is used. */
const MESSAGE_BYTES = (16 << 20) + (64 << 10);
/** Of a message that is longer, so much of its beginning and as much of its end is kept. */
const KEPT_BYTES = 32 << 10;

/** A kernel or libbpf call said no. */
export class BpfCallError extends Error {
  constructor(
    what: string,
    readonly errno: number,
    /** The end of the verifier's log, where there is one. */
    readonly log = '',
  ) {
    super(`${what}: ${errnoText(errno)}`);
    this.name = 'BpfCallError';
  }
}

/** libbpf's own error numbers begin here (tools/lib/bpf/libbpf.h, enum libbpf_errno): about the file, not the kernel. */
export const LIBBPF_ERRNO_START = 4000;

/** `EPERM` for an error number of the kernel. */
export function errnoText(errno: number): string {
  if (errno >= LIBBPF_ERRNO_START) return `libbpf error ${errno}`;
  return errno > 0 ? getSystemErrorName(-errno) : `error ${errno}`;
}

/** Which hits of its functions a kprobe.multi link is for; `session`: entries and returns, of one program. */
export type MultiWhere = 'entries' | 'returns' | 'session';

/** What is asked of bpf_prog_load beside the instructions. */
export interface ProgramLoad {
  type: number;
  name: string;
  instructions: Uint8Array;
  attachType?: number;
  attachBtfId?: number;
  attachBtfFd?: number;
}

/**
 * libbpf.so.1 and the few libc calls that go with it, with types. Everything that touches the kernel's BPF goes through
 * here. Numbers that C calls errno are given as positive numbers in BpfCallError.
 */
export class Libbpf {
  static #shared: Libbpf | undefined;

  /** The library, loaded once a thread. @throws VdiagError (status 3) when it is not installed. */
  static get(): Libbpf {
    return (Libbpf.#shared ??= new Libbpf());
  }

  readonly #functions: ReturnType<typeof bindFunctions>;
  readonly #messages: string[] = [];
  readonly #printer: Pointer;

  private constructor() {
    this.#functions = bindFunctions();
    const printType = koffi.proto(null, 'int', ['int', 'const char *', 'void *']);
    const buffer = Buffer.alloc(MESSAGE_BYTES);
    this.#printer = koffi.register((level: number, format: string, args: Pointer) => {
      if (level >= DEBUG_LEVEL) return 0;
      const length = this.#functions.vsnprintf(buffer, buffer.length, format, args);
      this.#messages.push(bothEnds(buffer.subarray(0, Math.min(length, buffer.length - 1))));
      return length;
    }, koffi.pointer(printType)) as Pointer;
    this.#functions.setPrint(this.#printer);
  }

  /** `v1.1`, as the library says it. */
  get version(): string {
    return this.#functions.version();
  }

  /** What libbpf had to say since the last call: warnings and the verifier's log. It never prints by itself. */
  takeMessages(): string {
    return this.#messages.splice(0).join('');
  }

  /** @param btfFile the kernel's types, where they do not come from the kernel itself */
  openObject(file: string, btfFile?: string): Pointer {
    if (btfFile === undefined) return this.#pointer(this.#functions.openFile(file, null), `open ${file}`);
    const options = withDefaults(objectOpenOptions, {
      sz: koffi.sizeof(objectOpenOptions),
      btf_custom_path: btfFile,
    });
    return this.#pointer(this.#functions.openFile(file, options), `open ${file}`);
  }

  /** Makes a file that is in memory only and gone with its descriptor, which is returned (memfd_create(2)). */
  memoryFile(name: string, content: Uint8Array): number {
    const CLOEXEC = 1;
    const fd = this.#functions.memfdCreate(name, CLOEXEC);
    if (fd < 0) throw new BpfCallError('make a file in memory', koffi.errno());
    writeSync(fd, content);
    return fd;
  }

  loadObject(object: Pointer): void {
    this.#check(this.#functions.load(object), 'load the programs');
  }

  closeObject(object: Pointer): void {
    this.#functions.close(object);
  }

  setMapSize(object: Pointer, map: string, entries: number): void {
    const pointer = this.#pointer(this.#functions.findMap(object, map), `find the map ${map}`);
    this.#check(this.#functions.setMaxEntries(pointer, entries), `size the map ${map}`);
  }

  /** Entries of a map, after loading as the kernel rounded them. */
  mapSize(object: Pointer, map: string): number {
    return this.#functions.maxEntries(this.#pointer(this.#functions.findMap(object, map), `find the map ${map}`));
  }

  mapFd(object: Pointer, map: string): number {
    return this.#check(this.#functions.findMapFd(object, map), `find the map ${map}`);
  }

  /** Names of the object's maps. */
  maps(object: Pointer): string[] {
    const names: string[] = [];
    for (let at = this.#functions.nextMap(object, null); at; at = this.#functions.nextMap(object, at)) {
      names.push(this.#functions.mapName(at));
    }
    return names;
  }

  /** Makes an object use a map that is there already, before it is loaded. */
  reuseMap(object: Pointer, map: string, fd: number): void {
    const pointer = this.#pointer(this.#functions.findMap(object, map), `find the map ${map}`);
    this.#check(this.#functions.reuseFd(pointer, fd), `reuse the map ${map}`);
  }

  /** Names of the object's programs, in order. */
  programs(object: Pointer): { name: string; program: Pointer }[] {
    const list: { name: string; program: Pointer }[] = [];
    for (let at = this.#functions.next(object, null); at; at = this.#functions.next(object, at)) {
      list.push({ name: this.#functions.programName(at), program: at });
    }
    return list;
  }

  setAutoload(program: Pointer, load: boolean): void {
    this.#check(this.#functions.setAutoload(program, load), 'choose a program');
  }

  /** A loaded program's instructions, relocated for this kernel: a copy. */
  instructions(program: Pointer): Uint8Array {
    const bytes = this.#functions.instructionCount(program) * 8;
    const view = koffi.view(this.#functions.instructions(program), bytes);
    return new Uint8Array(view).slice();
  }

  /**
   * Loads a program's instructions and returns its file descriptor.
   * @throws BpfCallError with the verifier's log when the kernel refuses it.
   */
  loadProgram(program: ProgramLoad): number {
    const options: Record<string, unknown> = {
      sz: koffi.sizeof(progLoadOptions),
      expected_attach_type: program.attachType ?? 0,
      attach_btf_id: program.attachBtfId ?? 0,
      attach_btf_obj_fd: program.attachBtfFd ?? 0,
      kern_version: program.type === PROG_TYPE.KPROBE ? kernelVersionCode() : 0,
    };
    const load = (extra: Record<string, unknown>): number =>
      this.#functions.progLoad(
        program.type,
        program.name,
        'GPL',
        program.instructions,
        program.instructions.length / 8,
        withDefaults(progLoadOptions, { ...options, ...extra }),
      );
    const fd = load({});
    if (fd >= 0) return fd;
    const log = koffi.alloc('uint8_t', VERIFIER_LOG_BYTES) as Pointer;
    try {
      // What was refused for a signal that came meanwhile (EAGAIN, more often than libbpf tries) may be taken now.
      const second = load({ log_level: 1, log_size: VERIFIER_LOG_BYTES, log_buf: log });
      if (second >= 0) return second;
      const text = Buffer.from(new Uint8Array(koffi.view(log, VERIFIER_LOG_BYTES)));
      throw new BpfCallError(`load ${program.name}`, -fd, text.toString('utf8', 0, text.indexOf(0)));
    } finally {
      koffi.free(log);
    }
  }

  rawTracepointOpen(name: string | null, program: number): number {
    return this.#check(this.#functions.rawTracepointOpen(name, program), `attach to ${name ?? 'the function'}`);
  }

  /**
   * A link of a program to a perf event or a function (fentry, fexit: `target` 0).
   * @param cookie what bpf_get_attach_cookie gives at each hit (perf events, 5.15+)
   */
  createLink(program: number, target: number, attachType: number, cookie?: number): number {
    const options =
      cookie === undefined
        ? null
        : // perf_event.bpf_cookie, 64 bits, lies where kprobe_multi has its flags and its count.
          withDefaults(linkCreateOptions, { sz: koffi.sizeof(linkCreateOptions), kprobe_multi_flags: cookie });
    return this.#check(this.#functions.linkCreate(program, target, attachType, options), 'attach');
  }

  /** One link of a program to many functions' entries or returns (kprobe.multi, 5.18+), or to both (session, 6.10+). */
  createMultiLink(program: number, multi: { addresses: bigint[]; cookies: bigint[]; where: MultiWhere }): number {
    const BPF_F_KPROBE_MULTI_RETURN = 1;
    const functions = {
      kprobe_multi_flags: multi.where === 'returns' ? BPF_F_KPROBE_MULTI_RETURN : 0,
      kprobe_multi_cnt: multi.addresses.length,
      kprobe_multi_addrs: BigUint64Array.from(multi.addresses),
      kprobe_multi_cookies: BigUint64Array.from(multi.cookies),
    };
    if (multi.where === 'session') return this.#createSessionLink(program, functions);
    const options = withDefaults(linkCreateOptions, { sz: koffi.sizeof(linkCreateOptions), ...functions });
    return this.#check(this.#functions.linkCreate(program, 0, ATTACH_TYPE.KPROBE_MULTI, options), 'attach');
  }

  /** libbpf before 1.5 lets no functions through for an attach type that it does not know: straight to the kernel. */
  #createSessionLink(program: number, functions: Record<string, unknown>): number {
    const BPF_LINK_CREATE = 28;
    const attributes = { prog_fd: program, attach_type: ATTACH_TYPE.KPROBE_SESSION, ...functions };
    const fd = this.#functions.bpf(
      process.arch === 'arm64' ? 280 : 321,
      BPF_LINK_CREATE,
      withDefaults(linkCreateAttributes, attributes),
      koffi.sizeof(linkCreateAttributes),
    );
    return this.#check(fd < 0 ? -koffi.errno() : fd, 'attach');
  }

  /**
   * struct bpf_prog_info or bpf_link_info of a descriptor, as much of it as this kernel knows (the buffer is that long);
   * undefined when the kernel does not tell.
   */
  info(fd: number, bytes: number): Buffer | undefined {
    const info = Buffer.alloc(bytes);
    const size = Uint32Array.of(bytes);
    return this.#functions.objectInfo(fd, info, size) === 0 ? info.subarray(0, size[0]) : undefined;
  }

  /**
   * Has the kernel count the run time of all BPF programs (bpf_enable_stats, 5.8+) until the descriptor is closed;
   * undefined where it cannot.
   */
  enableRunTimeStatistics(): number | undefined {
    const RUN_TIME = 0;
    const fd = this.#functions.enableStats(RUN_TIME);
    return fd < 0 ? undefined : fd;
  }

  /** perf_event_open on one CPU for all processes; `attributes` is struct perf_event_attr. */
  perfEventOpen(attributes: Uint8Array, cpu = 0): number {
    const CLOEXEC = 8;
    const number = process.arch === 'arm64' ? 241 : 298;
    const fd = this.#functions.syscall(number, attributes, -1, cpu, -1, CLOEXEC);
    if (fd < 0) throw new BpfCallError('open a perf event', koffi.errno());
    return Number(fd);
  }

  ioctl(fd: number, request: number, argument: number): void {
    if (this.#functions.ioctl(fd, request, argument) < 0) throw new BpfCallError('ioctl', koffi.errno());
  }

  /** Copies a string to where C can find it for good; returns its address. */
  cString(text: string): { address: bigint; free: () => void } {
    const bytes = Buffer.from(`${text}\0`, 'latin1');
    const memory = koffi.alloc('uint8_t', bytes.length) as Pointer;
    new Uint8Array(koffi.view(memory, bytes.length)).set(bytes);
    return { address: koffi.address(memory), free: () => koffi.free(memory) };
  }

  /** Value of a key; undefined when the map has none. */
  lookup(map: number, key: Uint8Array, valueBytes: number): Buffer | undefined {
    const value = Buffer.alloc(valueBytes);
    const result = this.#functions.mapLookup(map, key, value);
    if (result === 0) return value;
    if (koffi.errno() === ENOENT) return undefined;
    throw new BpfCallError('read a map', koffi.errno());
  }

  update(map: number, key: Uint8Array, value: Uint8Array): void {
    this.#check(this.#functions.mapUpdate(map, key, value, 0n), 'write a map');
  }

  /** Keys of a map, one by one. A map that changes meanwhile may give some twice or not at all. */
  *keys(map: number, keyBytes: number): Generator<Buffer> {
    let previous: Buffer | null = null;
    for (;;) {
      const next: Buffer = Buffer.alloc(keyBytes);
      if (this.#functions.mapNextKey(map, previous, next) !== 0) return;
      yield next;
      previous = next;
    }
  }

  /** Whether this kernel can make a ring buffer map. */
  hasRingBuffer(): boolean {
    const BPF_MAP_TYPE_RINGBUF = 27;
    return this.#functions.probeMapType(BPF_MAP_TYPE_RINGBUF, null) === 1;
  }

  possibleCpus(): number {
    return this.#check(this.#functions.possibleCpus(), 'count the CPUs');
  }

  /** File descriptor of a loaded module's BTF, or undefined when there is no such module. The caller closes it. */
  moduleBtfFd(module: string, close: (fd: number) => void): number | undefined {
    const id = new Uint32Array(1);
    for (;;) {
      if (this.#functions.btfNextId(id[0]!, id) !== 0) return undefined;
      const fd = this.#functions.btfFdById(id[0]!);
      if (fd < 0) continue;
      if (this.#btfName(fd) === module) return fd;
      close(fd);
    }
  }

  /** struct bpf_btf_info: btf, btf_size, id, name, name_len, kernel_btf. */
  #btfName(fd: number): string {
    const name = koffi.alloc('uint8_t', 64) as Pointer;
    try {
      const info = Buffer.alloc(32);
      info.writeBigUInt64LE(koffi.address(name), 16);
      info.writeUInt32LE(64, 24);
      const size = Uint32Array.of(info.length);
      if (this.#functions.objectInfo(fd, info, size) !== 0) return '';
      const text = Buffer.from(new Uint8Array(koffi.view(name, 64)));
      return text.toString('latin1', 0, text.indexOf(0));
    } finally {
      koffi.free(name);
    }
  }

  #check(result: number, what: string): number {
    if (result < 0) throw new BpfCallError(what, -result);
    return result;
  }

  #pointer(pointer: Pointer | null, what: string): Pointer {
    if (!pointer) throw new BpfCallError(what, koffi.errno());
    return pointer;
  }
}

const ENOENT = 2;

function bothEnds(message: Buffer): string {
  if (message.length <= 2 * KEPT_BYTES) return message.toString('utf8');
  return `${message.toString('utf8', 0, KEPT_BYTES)}\n…\n${message.toString('utf8', message.length - KEPT_BYTES)}`;
}
