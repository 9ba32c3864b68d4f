import koffi, { type TypeObject } from 'koffi';
import { VdiagError } from '../base/errors.js';

/** A pointer that C gave us: opaque to JavaScript. */
export type Pointer = object | bigint;

/** Memory that C may read or write during a call, or a pointer it gave us. */
type Memory = Uint8Array | BigUint64Array | Pointer | null;

/** Name, result and arguments of a function. */
type Parts = [name: string, result: string, args: (string | TypeObject)[]];

/** struct bpf_prog_load_opts (tools/lib/bpf/bpf.h), as libbpf 1.0 knows it; newer ones accept the shorter structure. */
export const progLoadOptions = koffi.struct({
  sz: 'size_t',
  attempts: 'int',
  expected_attach_type: 'uint32_t',
  prog_btf_fd: 'uint32_t',
  prog_flags: 'uint32_t',
  prog_ifindex: 'uint32_t',
  kern_version: 'uint32_t',
  attach_btf_id: 'uint32_t',
  attach_prog_fd: 'uint32_t',
  attach_btf_obj_fd: 'uint32_t',
  fd_array: 'void *',
  func_info: 'void *',
  func_info_cnt: 'uint32_t',
  func_info_rec_size: 'uint32_t',
  line_info: 'void *',
  line_info_cnt: 'uint32_t',
  line_info_rec_size: 'uint32_t',
  log_level: 'uint32_t',
  log_size: 'uint32_t',
  log_buf: 'void *',
});

/** struct bpf_object_open_opts (tools/lib/bpf/libbpf.h), as libbpf 1.0 knows it. */
export const objectOpenOptions = koffi.struct({
  sz: 'size_t',
  object_name: 'void *',
  relaxed_maps: 'size_t',
  pin_root_path: 'void *',
  attach_prog_fd: 'size_t',
  kconfig: 'void *',
  btf_custom_path: 'const char *',
  kernel_log_buf: 'void *',
  kernel_log_size: 'size_t',
  kernel_log_level: 'size_t',
});

/** struct bpf_link_create_opts with the kprobe_multi member of its union. */
export const linkCreateOptions = koffi.struct({
  sz: 'size_t',
  flags: 'uint32_t',
  iter_info: 'void *',
  iter_info_len: 'uint32_t',
  target_btf_id: 'uint32_t',
  kprobe_multi_flags: 'uint32_t',
  kprobe_multi_cnt: 'uint32_t',
  kprobe_multi_syms: 'void *',
  kprobe_multi_addrs: 'void *',
  kprobe_multi_cookies: 'void *',
});

/** union bpf_attr of BPF_LINK_CREATE (include/uapi/linux/bpf.h) with the kprobe_multi member of its union. */
export const linkCreateAttributes = koffi.struct({
  prog_fd: 'uint32_t',
  target_fd: 'uint32_t',
  attach_type: 'uint32_t',
  flags: 'uint32_t',
  kprobe_multi_flags: 'uint32_t',
  kprobe_multi_cnt: 'uint32_t',
  kprobe_multi_syms: 'void *',
  kprobe_multi_addrs: 'void *',
  kprobe_multi_cookies: 'void *',
});

/** Every member of a structure as zero or null, but for those given. */
export function withDefaults(type: ReturnType<typeof koffi.struct>, values: Record<string, unknown>): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(type.members ?? {})) {
    all[name] = values[name] ?? (member.type.primitive === 'Pointer' ? null : 0);
  }
  return all;
}

/** libbpf and libc calls with types. @throws VdiagError (status 3) when libbpf is not installed. */
export function bindFunctions() {
  const libc = koffi.load(null);
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libbpf.so.1');
  } catch (error) {
    throw new VdiagError(
      {
        message: `libbpf.so.1 cannot be loaded: ${(error as Error).message}`,
        expected: 'libbpf 1.0 or later',
        hint: 'install it: apt-get install libbpf1 (Debian, Ubuntu), dnf install libbpf (Fedora, RHEL)',
      },
      3,
      { cause: error },
    );
  }
  // Structures have no name for koffi, which knows names only once a process: signatures that need them are taken apart.
  const bind = <F>(from: typeof library, signature: string | Parts): F =>
    (typeof signature === 'string' ? from.func(signature) : from.func(...signature)) as F;
  return {
    vsnprintf: bind<(to: Uint8Array, size: number, format: string, args: Pointer) => number>(
      libc,
      'int vsnprintf(_Out_ uint8_t *to, size_t size, const char *format, void *args)',
    ),
    syscall: bind<(n: number, attr: Memory, pid: number, cpu: number, group: number, flags: number) => number>(
      libc,
      'long syscall(long number, void *attr, int pid, int cpu, int group, unsigned long flags)',
    ),
    bpf: bind<(n: number, command: number, attributes: object, size: number) => number>(libc, [
      'syscall',
      'long',
      ['long', 'int', koffi.pointer(linkCreateAttributes), 'unsigned int'],
    ]),
    ioctl: bind<(fd: number, request: number, argument: number) => number>(
      libc,
      'int ioctl(int fd, unsigned long request, long argument)',
    ),
    setPrint: bind<(printer: Pointer) => Pointer | null>(library, 'void *libbpf_set_print(void *printer)'),
    version: bind<() => string>(library, 'const char *libbpf_version_string()'),
    memfdCreate: bind<(name: string, flags: number) => number>(
      libc,
      'int memfd_create(const char *name, unsigned int flags)',
    ),
    openFile: bind<(file: string, options: object | null) => Pointer | null>(library, [
      'bpf_object__open_file',
      'void *',
      ['const char *', koffi.pointer(objectOpenOptions)],
    ]),
    load: bind<(object: Pointer) => number>(library, 'int bpf_object__load(void *object)'),
    close: bind<(object: Pointer) => void>(library, 'void bpf_object__close(void *object)'),
    next: bind<(object: Pointer, previous: Pointer | null) => Pointer | null>(
      library,
      'void *bpf_object__next_program(void *object, void *previous)',
    ),
    programName: bind<(program: Pointer) => string>(library, 'const char *bpf_program__name(void *program)'),
    setAutoload: bind<(program: Pointer, load: boolean) => number>(
      library,
      'int bpf_program__set_autoload(void *program, bool load)',
    ),
    instructions: bind<(program: Pointer) => Pointer>(library, 'void *bpf_program__insns(void *program)'),
    instructionCount: bind<(program: Pointer) => number>(library, 'size_t bpf_program__insn_cnt(void *program)'),
    findMap: bind<(object: Pointer, name: string) => Pointer | null>(
      library,
      'void *bpf_object__find_map_by_name(void *object, const char *name)',
    ),
    nextMap: bind<(object: Pointer, previous: Pointer | null) => Pointer | null>(
      library,
      'void *bpf_object__next_map(void *object, void *previous)',
    ),
    mapName: bind<(map: Pointer) => string>(library, 'const char *bpf_map__name(void *map)'),
    findMapFd: bind<(object: Pointer, name: string) => number>(
      library,
      'int bpf_object__find_map_fd_by_name(void *object, const char *name)',
    ),
    reuseFd: bind<(map: Pointer, fd: number) => number>(library, 'int bpf_map__reuse_fd(void *map, int fd)'),
    setMaxEntries: bind<(map: Pointer, entries: number) => number>(
      library,
      'int bpf_map__set_max_entries(void *map, uint32_t entries)',
    ),
    maxEntries: bind<(map: Pointer) => number>(library, 'uint32_t bpf_map__max_entries(void *map)'),
    mapLookup: bind<(map: number, key: Memory, value: Memory) => number>(
      library,
      'int bpf_map_lookup_elem(int map, const void *key, void *value)',
    ),
    mapUpdate: bind<(map: number, key: Memory, value: Memory, flags: bigint) => number>(
      library,
      'int bpf_map_update_elem(int map, const void *key, const void *value, uint64_t flags)',
    ),
    mapNextKey: bind<(map: number, previous: Memory, next: Memory) => number>(
      library,
      'int bpf_map_get_next_key(int map, const void *previous, void *next)',
    ),
    probeMapType: bind<(type: number, options: null) => number>(
      library,
      'int libbpf_probe_bpf_map_type(int type, const void *options)',
    ),
    possibleCpus: bind<() => number>(library, 'int libbpf_num_possible_cpus()'),
    progLoad: bind<
      (type: number, name: string, license: string, code: Memory, count: number, options: object) => number
    >(
      library,
      ['bpf_prog_load', 'int', ['int', 'const char *', 'const char *', 'const void *', 'size_t', koffi.pointer(progLoadOptions)]],
    ),
    rawTracepointOpen: bind<(name: string | null, program: number) => number>(
      library,
      'int bpf_raw_tracepoint_open(const char *name, int program)',
    ),
    linkCreate: bind<(program: number, target: number, type: number, options: object | null) => number>(
      library,
      ['bpf_link_create', 'int', ['int', 'int', 'int', koffi.pointer(linkCreateOptions)]],
    ),
    btfNextId: bind<(from: number, next: Uint32Array) => number>(
      library,
      'int bpf_btf_get_next_id(uint32_t from, uint32_t *next)',
    ),
    btfFdById: bind<(id: number) => number>(library, 'int bpf_btf_get_fd_by_id(uint32_t id)'),
    objectInfo: bind<(fd: number, info: Memory, size: Uint32Array) => number>(
      library,
      'int bpf_obj_get_info_by_fd(int fd, void *info, uint32_t *size)',
    ),
    enableStats: bind<(type: number) => number>(library, 'int bpf_enable_stats(int type)'),
  };
}
