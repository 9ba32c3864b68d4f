import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../../src/base/errors.js';
import { BTF_KIND } from '../../../src/bpf/btf-data.js';
import type { CoreMember } from '../../../src/bpf/synthesis/core-accesses.js';
import { offsetsFromHeaders } from '../../../src/bpf/synthesis/from-headers.js';

const MEMBERS: CoreMember[] = [
  { struct: 'sk_buff', member: 'len', kind: BTF_KIND.INT },
  { struct: 'sk_buff', member: 'pkt_type', kind: BTF_KIND.INT },
  { struct: 'sk_buff', member: 'ip_summed', kind: BTF_KIND.INT },
  { struct: 'sk_buff', member: 'protocol', kind: BTF_KIND.INT },
  { struct: 'sk_buff', member: 'vlan_all', kind: BTF_KIND.INT, guard: 'member' },
  { struct: 'sk_buff', member: 'dev', kind: BTF_KIND.PTR },
  { struct: 'sk_buff', member: 'in.name', kind: BTF_KIND.ARRAY },
  { struct: 'nowhere', member: 'x', kind: BTF_KIND.INT, guard: 'struct' },
];

/** As kbuild does it for a module's single object, and no more. */
const MAKEFILE = 'probe.o:\n\tcd $(M) && gcc -w -nostdinc -I$(CURDIR)/include -c probe.c -o probe.o\n';

describe('an offsets table from headers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-kernel-headers-'));
  after(() => rmSync(folder, { recursive: true }));

  it('has what the compiler says, bitfields too, without what the kernel lacks', async () => {
    mkdirSync(join(folder, 'include/linux'), { recursive: true });
    mkdirSync(join(folder, 'include/config'), { recursive: true });
    writeFileSync(join(folder, 'Makefile'), MAKEFILE);
    writeFileSync(join(folder, 'include/config/kernel.release'), '5.4.0-test\n');
    writeFileSync(join(folder, 'include/linux/types.h'), '');
    writeFileSync(
      join(folder, 'include/linux/skbuff.h'),
      `struct sk_buff {
        void *next; struct net_device *dev;
        union { struct { unsigned int len, data_len; }; long whole; };
        unsigned char cloned : 1, :4, pkt_type : 3, ip_summed : 2;
        unsigned int protocol : 16;
        struct { int pad; char name[16]; } in;
      };`,
    );
    const { kernel, structs } = await offsetsFromHeaders(folder, MEMBERS);
    expect(kernel).to.equal('5.4.0-test');
    expect(structs).to.deep.equal({
      sk_buff: {
        size: 48,
        members: {
          len: { offset: 16, type: 'u32' },
          pkt_type: { offset: 24, type: 'u8', bit: 5, bits: 3 },
          ip_summed: { offset: 25, type: 'u8', bit: 0, bits: 2 },
          protocol: { offset: 25, type: 'u32', bit: 2, bits: 16 },
          dev: { offset: 8, type: 'void *' },
          'in.name': { offset: 32, type: 'u8[16]' },
        },
      },
    });
  });

  it('cannot be had from any folder', async () => {
    const error = await offsetsFromHeaders(tmpdir(), MEMBERS).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(VdiagError);
    expect((error as VdiagError).message).to.contain('linux-headers-<release>');
  });
});
