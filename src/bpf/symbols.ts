import { readFileSync } from 'node:fs';

/**
 * Addresses of kernel functions by name (or `module:name`), all of them where several have one name; functions that are not there are left
 * out. Addresses are 0, so useless, for a process without CAP_SYSLOG.
 */
export function functionAddresses(names: ReadonlySet<string>, file = '/proc/kallsyms'): Map<string, bigint[]> {
  const found = new Map<string, bigint[]>();
  const line = /^([0-9a-f]+) [tTwW] ([^\t\n]+)(?:\t\[([^\]]+)\])?/gm;
  for (const match of readFileSync(file, 'latin1').matchAll(line)) {
    const name = match[2]!;
    for (const wanted of match[3] === undefined ? [name] : [name, `${match[3]}:${name}`]) {
      if (!names.has(wanted)) continue;
      const address = BigInt(`0x${match[1]}`);
      if (address === 0n) continue;
      const list = found.get(wanted);
      if (list) list.push(address);
      else found.set(wanted, [address]);
    }
  }
  return found;
}
