import { readFileSync } from 'node:fs';

/**
 * Addresses of kernel functions by name, all of them where several have one name; functions that are not there are left
 * out. Addresses are 0, so useless, for a process without CAP_SYSLOG.
 */
export function functionAddresses(names: ReadonlySet<string>, file = '/proc/kallsyms'): Map<string, bigint[]> {
  const found = new Map<string, bigint[]>();
  const line = /^([0-9a-f]+) [tTwW] ([^\t\n]+)/gm;
  for (const match of readFileSync(file, 'latin1').matchAll(line)) {
    const name = match[2]!;
    if (!names.has(name)) continue;
    const address = BigInt(`0x${match[1]}`);
    if (address === 0n) continue;
    const list = found.get(name);
    if (list) list.push(address);
    else found.set(name, [address]);
  }
  return found;
}
