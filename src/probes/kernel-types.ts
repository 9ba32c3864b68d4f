import type { BtfArgument } from '../bpf/types.js';

/** What this folder asks of the kernel's BTF; KernelBtf of src/bpf answers it. */
export interface KernelTypes {
  /** They do not know all that the kernel has: what they lack may be there. */
  readonly partial?: boolean;
  /** Arguments of a tracepoint, without the leading `void *__data`; undefined when there is no such tracepoint. */
  tracepointArgs(name: string): readonly BtfArgument[] | undefined;
  /** Arguments of a function, modules included; undefined when BTF does not have it. */
  functionArgs(name: string): readonly BtfArgument[] | undefined;
  /** What a function returns, modules included; undefined when BTF does not have it. */
  returnType?(name: string): BtfArgument | undefined;
  /** Whether a module's own types are known (modules have BTF since 5.11). */
  hasModule?(name: string): boolean;
  /** Number → name of an enum's values; empty when there is no such enum. */
  enumValues(name: string): ReadonlyMap<number, string>;
}
