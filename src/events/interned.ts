import { printable } from '../base/sanitize.js';

/** A device as events name it; one object a device, so that two are the same when they are identical. */
export interface Device {
  /** Small number, in order of first appearance; 0 is "no device". */
  readonly id: number;
  readonly netns: number;
  readonly ifindex: number;
  readonly name: string;
}

const decoder = new TextDecoder('utf-8', { fatal: false });

/** Text up to the first NUL of a fixed field, safe for a terminal. */
export function fixedText(u8: Uint8Array, start: number, length: number): string {
  let end = start;
  while (end < start + length && u8[end] !== 0) end++;
  // Byte by byte for what is short and ASCII, which is nearly everything; the decoder refuses shared memory besides.
  let text = '';
  for (let i = start; i < end; i++) {
    if (u8[i] >= 0x80) return printable(decoder.decode(u8.slice(start, end)));
    text += String.fromCharCode(u8[i]);
  }
  return printable(text);
}

const CACHE = 256;

/** Strings of a fixed field of so many words, decoded once for as long as they keep coming. */
export class TextCache {
  private readonly seen: Uint32Array;
  private readonly texts: string[] = new Array<string>(CACHE).fill('');

  constructor(private readonly words: number) {
    this.seen = new Uint32Array(CACHE * words);
  }

  /** The text at a byte offset (a multiple of 4). */
  read(u8: Uint8Array, u32: Uint32Array, start: number): string {
    const { words, seen } = this;
    const from = start >>> 2;
    let hash = 0;
    for (let i = 0; i < words; i++) hash = Math.imul(hash ^ u32[from + i], 0x9e3779b1) ^ (hash >>> 15);
    const place = (hash ^ (hash >>> 16)) & (CACHE - 1);
    let same = true;
    for (let i = 0; i < words; i++) {
      const at = place * words + i;
      if (seen[at] !== u32[from + i]) {
        same = false;
        seen[at] = u32[from + i];
      }
    }
    if (!same) this.texts[place] = fixedText(u8, start, words * 4);
    return this.texts[place];
  }
}

const MAX_DEVICES = 4096;

/** Devices by (namespace, index, name), with a cache in front; bounded. */
export class DeviceTable {
  readonly none: Device = { id: 0, netns: 0, ifindex: 0, name: '' };
  /** In order of first appearance; the index is the id. */
  readonly all: Device[] = [this.none];
  private readonly byKey = new Map<string, Device>();
  private readonly cache: Device[] = new Array<Device>(CACHE).fill(this.none);
  private readonly cachedWords = new Uint32Array(CACHE * 4);

  /** @param start byte offset of the name, 16 bytes. */
  read(netns: number, ifindex: number, u8: Uint8Array, u32: Uint32Array, start: number): Device {
    const w = start >>> 2;
    if (ifindex === 0 && u32[w] === 0) return this.none;
    const place = (ifindex ^ Math.imul(netns, 0x9e3779b1)) & (CACHE - 1);
    const words = this.cachedWords;
    const c = place * 4;
    const cached = this.cache[place];
    if (
      cached.ifindex === ifindex &&
      cached.netns === netns &&
      words[c] === u32[w] &&
      words[c + 1] === u32[w + 1] &&
      words[c + 2] === u32[w + 2] &&
      words[c + 3] === u32[w + 3] &&
      cached !== this.none
    ) {
      return cached;
    }
    for (let i = 0; i < 4; i++) words[c + i] = u32[w + i];
    return (this.cache[place] = this.find(netns, ifindex, fixedText(u8, start, 16)));
  }

  private find(netns: number, ifindex: number, name: string): Device {
    const key = `${netns}/${ifindex}/${name}`;
    let device = this.byKey.get(key);
    if (!device) {
      // Beyond the limit a device still reads right, but is not told from "no device" by its number.
      const known = this.all.length < MAX_DEVICES;
      device = { id: known ? this.all.length : 0, netns, ifindex, name };
      if (known) {
        this.all.push(device);
        this.byKey.set(key, device);
      }
    }
    return device;
  }
}
