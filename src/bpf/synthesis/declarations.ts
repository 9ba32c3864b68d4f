import { didYouMean } from '../../base/suggest.js';

/** A type as an offsets table spells it. */
export interface DeclaredType {
  /** `int`: a number of `bytes`; `struct`, `enum`: by `name`; `void`. */
  base: 'int' | 'struct' | 'enum' | 'void';
  name: string;
  /** Of the base, bytes; 0 where it is not known. */
  baseBytes: number;
  signed: boolean;
  /** Stars. */
  pointers: number;
  /** Elements of an array; undefined: none. */
  count?: number;
  /** Of the whole, bytes. */
  bytes: number;
}

/** A function or tracepoint as a table declares it. */
export interface DeclaredPrototype {
  name: string;
  returns: DeclaredType;
  parameters: { name: string; type: DeclaredType }[];
}

const POINTER_BYTES = 8;
const NUMBERS = ['u8', 'u16', 'u32', 'u64', 's8', 's16', 's32', 's64'];
const TYPE = /^(?:(struct) (\w+)|(void|[us](?:8|16|32|64)))( ?\*+)?(?:\[(\d{1,6})\])?$/;

/**
 * The type of a member. @param size bytes of an embedded structure
 * @returns what was expected, if it cannot be understood
 */
export function parseMemberType(text: string, size?: number): DeclaredType | { expected: string; hint?: string } {
  const match = TYPE.exec(text.trim());
  if (!match) {
    const word = text.trim().replace(/[ *[].*$/, '');
    return {
      expected: `one of ${NUMBERS.join(', ')}, void *, struct NAME, struct NAME *, perhaps with [n]`,
      hint: didYouMean(word, NUMBERS),
    };
  }
  const [, struct, structName, number, stars = '', count] = match;
  const pointers = stars.trim().length;
  if (pointers === 0 && number === 'void') return { expected: 'void * (nothing is of the type void)' };
  if (pointers === 0 && struct && size === undefined) {
    return { expected: 'the "size" in bytes of an embedded structure beside it' };
  }
  const bits = Number(number?.slice(1));
  const baseBytes = struct ? (size ?? 0) : number === 'void' ? 0 : bits / 8;
  const one = pointers > 0 ? POINTER_BYTES : baseBytes;
  return {
    base: struct ? 'struct' : number === 'void' ? 'void' : 'int',
    name: structName ?? number!,
    baseBytes,
    signed: number?.startsWith('s') ?? false,
    pointers,
    ...(count !== undefined && { count: Number(count) }),
    bytes: count === undefined ? one : one * Number(count),
  };
}

/** Sizes of C's own types on 64-bit Linux; of others (gfp_t, __be32, …) 4 bytes, on which nothing depends. */
const C_BYTES: Record<string, number> = {
  ...{ bool: 1, char: 1, u8: 1, __u8: 1, u_int8_t: 1, short: 2, u16: 2, __u16: 2, __be16: 2 },
  ...{ long: 8, u64: 8, __u64: 8, size_t: 8, ssize_t: 8 },
};

const DECLARATION = /^(.*?)\b(\w+)\s*\(([^()]*)\)\s*;?$/s;
const MAX_DECLARATION = 2000;

/** A C declaration (`int ip_rcv(struct sk_buff *skb)`), or undefined if it is none. Without a return type: void. */
export function parsePrototype(text: string): DeclaredPrototype | undefined {
  if (text.length > MAX_DECLARATION) return undefined;
  const match = DECLARATION.exec(text.trim());
  if (!match) return undefined;
  const [, before = '', name = '', inside = ''] = match;
  const returns = before.trim() === '' ? { type: cType('void', 0), name: '' } : parseParameter(`${before.trim()} _`);
  if (!returns) return undefined;
  const list = inside.trim() === '' || inside.trim() === 'void' ? [] : inside.split(',');
  const parameters = list.map(parseParameter);
  if (!parameters.every((parameter) => parameter !== undefined)) return undefined;
  return { name, returns: returns.type, parameters };
}

function parseParameter(text: string): { name: string; type: DeclaredType } | undefined {
  const match = /^([\w\s]+?)([\s*]*)(\w*)(?:\[\w*\])?$/.exec(text.trim().replace(/\b(const|volatile|restrict)\b/g, ' '));
  if (!match) return undefined;
  const [, words = '', stars = '', name = ''] = match;
  const pointers = stars.replace(/\s/g, '').length;
  const all = words.trim().split(/\s+/);
  // `unsigned int` without a name: the last word belongs to the type.
  if (name !== '' && ['int', 'long', 'char', 'short'].includes(name) && pointers === 0) {
    return { name: '', type: cType([...all, name].join(' '), 0) };
  }
  return { name, type: cType(all.join(' '), pointers) };
}

function cType(words: string, pointers: number): DeclaredType {
  const [first = '', second] = words.split(' ');
  const named = first === 'struct' || first === 'union' || first === 'enum';
  const base = words === 'void' ? 'void' : first === 'enum' ? 'enum' : named ? 'struct' : 'int';
  const name = named ? (second ?? '') : words;
  const known = words.includes('long') ? 8 : (C_BYTES[words.replace(/^(un)?signed /, '')] ?? 4);
  const baseBytes = base === 'int' ? known : base === 'enum' ? 4 : 0;
  const bytes = pointers > 0 ? POINTER_BYTES : baseBytes;
  return { base, name, baseBytes, signed: !/^(u|__u|unsigned|bool)/.test(words), pointers, bytes };
}
