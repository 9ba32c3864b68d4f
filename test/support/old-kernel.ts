import { readFileSync } from 'node:fs';
import type { BtfArgument } from '../../src/bpf/types.js';

/** What is known of a kernel that can be had neither as a package nor with types (test/probes/kernel-4.19.90.txt). */
export interface OldKernel {
  /** Function → arguments. */
  prototypes: ReadonlyMap<string, BtfArgument[]>;
  /** Function → its prototype as it is written. */
  texts: ReadonlyMap<string, string>;
  absent: ReadonlySet<string>;
  /** Only a variant made by the compiler is there. */
  changed: ReadonlySet<string>;
  /** `subsystem:name`. */
  tracepoints: ReadonlySet<string>;
}

/** Reads such a file. @throws Error for a line that is none of its forms. */
export function readOldKernel(file: string): OldKernel {
  const prototypes = new Map<string, BtfArgument[]>();
  const texts = new Map<string, string>();
  const words = { absent: new Set<string>(), changed: new Set<string>(), tracepoint: new Set<string>() };
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const word = /^(absent|changed|tracepoint) (\S+)$/.exec(line);
    const prototype = /(\w+)\((.*)\)$/.exec(line);
    if (word) words[word[1] as keyof typeof words].add(word[2]);
    else if (prototype) {
      prototypes.set(prototype[1], prototype[2].split(', ').map(argumentOf));
      texts.set(prototype[1], line);
    } else throw new Error(`${file}: "${line}" is neither a prototype nor a name`);
  }
  return { prototypes, texts, absent: words.absent, changed: words.changed, tracepoints: words.tracepoint };
}

/** `const struct sk_buff **skb` → a pointer to a pointer, as src/bpf/btf.ts calls it. */
function argumentOf(text: string): BtfArgument {
  const [, type, stars, name] = /^(?:const )?(?:struct |enum |union )?([\w ]+?)\s*(\**)\s*(\w+)$/.exec(text) ?? [];
  if (type === undefined) throw new Error(`"${text}" is no argument`);
  return stars.length > 1 ? { name, type: 'void *', pointer: true } : { name, type, pointer: stars.length === 1 };
}
