import koffi from 'koffi';
import { errnoText } from './libbpf.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffffffffffffffffn;
const SC_PAGESIZE = 30;

type Address = object | bigint;

interface Libc {
  mmap(at: null, length: number, protection: number, flags: number, fd: number, offset: number): Address;
  munmap(at: Address, length: number): number;
  sysconf(name: number): number;
}

let libcShared: Libc | undefined;

function libc(): Libc {
  if (!libcShared) {
    const library = koffi.load(null);
    libcShared = {
      mmap: library.func(
        'void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
      ) as Libc['mmap'],
      munmap: library.func('int munmap(void *at, size_t length)') as Libc['munmap'],
      sysconf: library.func('long sysconf(int name)') as Libc['sysconf'],
    };
  }
  return libcShared;
}

/** Bytes of a page of this machine. */
export function pageSize(): number {
  return libc().sysconf(SC_PAGESIZE);
}

/** Memory that the kernel writes and this process reads, or the other way round. */
export class MappedMemory {
  readonly #at: Address;
  #bytes: ArrayBuffer | undefined;
  #mapped = true;

  /**
   * Maps `length` bytes of what a descriptor stands for, from `offset` on.
   * @param what it is, for the error
   * @throws Error when it cannot be mapped
   */
  constructor(
    what: string,
    fd: number,
    offset: number,
    readonly length: number,
    writable: boolean,
  ) {
    const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const at = libc().mmap(null, length, protection, MAP_SHARED, fd, offset);
    if (at === null || koffi.address(at) === MAP_FAILED) {
      throw new Error(`${what} cannot be mapped: ${errnoText(koffi.errno())}`);
    }
    this.#at = at;
  }

  /** The memory itself. Views of it must not be read after `release`. */
  get bytes(): ArrayBuffer {
    return (this.#bytes ??= koffi.view(this.#at, this.length) as ArrayBuffer);
  }

  /**
   * Gives the memory back, if it was never looked at or the engine can detach its views (Node 22 on); else it stays mapped
   * until the process ends, because reading a view of memory that is gone would kill the process.
   */
  release(): void {
    if (!this.#mapped || !this.#detached()) return;
    this.#mapped = false;
    libc().munmap(this.#at, this.length);
  }

  #detached(): boolean {
    if (!this.#bytes) return true;
    const transfer = (this.#bytes as { transfer?: () => ArrayBuffer }).transfer;
    if (!transfer) return false;
    try {
      transfer.call(this.#bytes);
    } catch (error) {
      // External memory that V8 does not let go of: leave it mapped.
      if (!(error instanceof TypeError)) throw error;
      return false;
    }
    return this.#bytes.byteLength === 0;
  }
}
