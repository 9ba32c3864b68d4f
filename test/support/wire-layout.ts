import { readFileSync } from 'node:fs';
import type { WireLayout } from '../../src/events/layout.js';
import { packagePath } from '../../src/base/package-root.js';

const SIZES: Record<string, number> = { __u8: 1, char: 1, __u16: 2, __u32: 4, __u64: 8, __s64: 8 };

/** The layout that C's rules of alignment give bpf/wire.h: tests need no compiler, and the generated one is checked against it. */
export function layoutOfHeader(): WireLayout {
  const text = readFileSync(packagePath('bpf', 'wire.h'), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const constants = new Map([...text.matchAll(/#define (\w+) (\d+)/g)].map(([, name, value]) => [name, Number(value)]));
  const structs = new Map<string, { size: number; align: number }>();
  const layout: WireLayout['layout'] = {};
  for (const [, struct, body] of text.matchAll(/struct (\w+) \{([^}]*)\}/g)) {
    let offset = 0;
    let widest = 1;
    for (const [, type, member, count] of body.matchAll(/(?:struct )?(\w+) (\w+)(?:\[(\w+)\])?;/g)) {
      const align = structs.get(type)?.align ?? SIZES[type];
      const size = (structs.get(type)?.size ?? SIZES[type]) * (count ? (constants.get(count) ?? Number(count)) : 1);
      offset = Math.ceil(offset / align) * align;
      layout[`${struct}.${member}`] = [offset, size];
      offset += size;
      widest = Math.max(widest, align);
    }
    structs.set(struct, { size: Math.ceil(offset / widest) * widest, align: widest });
  }
  return { version: constants.get('VD_WIRE_VERSION') ?? 0, layout };
}

/** Size of a struct of bpf/wire.h, bytes, by its last member and an alignment of 8 (hop) or 4. */
export function sizeOfStruct(wire: WireLayout, struct: string): number {
  const ends = Object.entries(wire.layout)
    .filter(([name]) => name.startsWith(`${struct}.`))
    .map(([, [offset, size]]) => offset + size);
  return Math.ceil(Math.max(...ends) / 8) * 8;
}
