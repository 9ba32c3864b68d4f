import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { Libbpf } from '../../bpf/libbpf.js';
import type { HelperWords } from './words.js';

const PROG_TYPE_XDP = 6;
/** XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE (include/uapi/linux/if_link.h). */
const MODE: Record<string, number> = { generic: 2, driver: 4 };
/** Numbers of the protocol in IPv4 and IPv6. */
const PROTOCOLS: Record<string, [number, number]> = { udp: [17, 17], tcp: [6, 6], icmp: [1, 58] };
const HELPER_REDIRECT = 23;
const [XDP_DROP, XDP_PASS] = [1, 2];

/**
 * Loads an XDP program and attaches it to a device of this namespace; it stays when this process ends, as what `ip link`
 * attaches does. @throws Error when the kernel refuses it.
 */
export function attachXdp(told: HelperWords): void {
  const protocol = PROTOCOLS[told.protocol ?? 'udp']!;
  const redirect = told.redirect === undefined ? undefined : Number(told.redirect);
  const name = redirect === undefined ? 'lab_drop' : 'lab_redirect';
  const program = Libbpf.get().loadProgram({
    type: PROG_TYPE_XDP,
    name,
    instructions: xdpProgram(protocol, redirect),
  });
  const attach = koffi
    .load('libbpf.so.1')
    .func('int bpf_xdp_attach(int ifindex, int program, uint32_t flags, const void *options)') as (
    ifindex: number,
    program: number,
    flags: number,
    options: null,
  ) => number;
  const ifindex = Number(readFileSync(`/sys/class/net/${told.device}/ifindex`, 'utf8'));
  const result = attach(ifindex, program, MODE[told.mode ?? 'generic']!, null);
  if (result < 0) throw new Error(`attaching an XDP program to ${told.device}: error ${-result}`);
}

/**
 * Passes what is not of this protocol; what is, it drops, or sends to the device `redirect`.
 * @param protocol its number in IPv4 and in IPv6
 */
export function xdpProgram([four, six]: [number, number], redirect?: number): Uint8Array {
  const action =
    redirect === undefined
      ? [instruction(0xb7, 0, 0, 0, XDP_DROP)]
      : [
          instruction(0xb7, 1, 0, 0, redirect),
          instruction(0xb7, 2, 0, 0, 0),
          instruction(0x85, 0, 0, 0, HELPER_REDIRECT),
        ];
  // The last two, which every "pass" jumps to, come after the action and its exit.
  const pass = (from: number): number => 13 + action.length - from;
  return Uint8Array.from(
    [
      instruction(0x61, 2, 1, 0, 0), //  0 r2 = data
      instruction(0x61, 3, 1, 4, 0), //  1 r3 = data_end
      instruction(0xbf, 4, 2, 0, 0), //  2 r4 = r2
      instruction(0x07, 4, 0, 0, 34), //  3 r4 += Ethernet and IPv4 header
      instruction(0x2d, 4, 3, pass(4), 0), //  4 if r4 > r3 pass
      instruction(0x69, 5, 2, 12, 0), //  5 r5 = EtherType, as it lies there
      instruction(0x15, 5, 0, 4, 0x0008), //  6 if IPv4 goto 11
      instruction(0x55, 5, 0, pass(7), 0xdd86), //  7 if not IPv6 pass
      instruction(0x71, 5, 2, 20, 0), //  8 r5 = next header
      instruction(0x15, 5, 0, 3, six), //  9 if it goto 13
      instruction(0x05, 0, 0, pass(10), 0), // 10 pass
      instruction(0x71, 5, 2, 23, 0), // 11 r5 = protocol
      instruction(0x55, 5, 0, pass(12), four), // 12 if not it pass
      ...action,
      instruction(0x95, 0, 0, 0, 0),
      instruction(0xb7, 0, 0, 0, XDP_PASS),
      instruction(0x95, 0, 0, 0, 0),
    ].flat(),
  );
}

/** struct bpf_insn. */
function instruction(code: number, to: number, from: number, offset: number, value: number): number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8(to | (from << 4), 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(value, 4);
  return [...bytes];
}
