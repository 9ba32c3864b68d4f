import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { BpfCallError, Libbpf, PROG_TYPE } from '../../src/bpf/libbpf.js';
import { loadObject } from '../../src/bpf/object.js';
import { kernelSupport } from '../../src/bpf/support.js';
import { openTrace } from '../../src/bpf/trace-session.js';
import type { AttachRequest } from '../../src/bpf/types.js';

/** `r0 = *(u64 *)(r1 + 4096); exit`: beyond any context. */
const BAD_PROGRAM = Uint8Array.of(0x79, 0x10, 0, 0x10, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
/** `r0 = 0; exit` */
const GOOD_PROGRAM = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

const request = (over: Partial<AttachRequest>): AttachRequest => ({
  index: 0,
  program: 'skb',
  backend: 'raw-tracepoint',
  target: 'netif_receive_skb',
  args: { skb: 0 },
  nargs: 1,
  wantReturn: false,
  ...over,
});

describe('libbpf, live', () => {
  it('loads a program, and gives the verifier’s words when the kernel refuses one', () => {
    const libbpf = Libbpf.get();
    closeSync(libbpf.loadProgram({ type: PROG_TYPE.RAW_TRACEPOINT, name: 'good', instructions: GOOD_PROGRAM }));
    try {
      libbpf.loadProgram({ type: PROG_TYPE.RAW_TRACEPOINT, name: 'bad', instructions: BAD_PROGRAM });
      expect.fail('the verifier took it');
    } catch (error) {
      expect(error).to.be.instanceOf(BpfCallError);
      expect((error as BpfCallError).message).to.equal('load bad: EACCES');
      expect((error as BpfCallError).log).to.contain('invalid bpf_context access off=4096');
    }
  });

  it('refuses what is not an object, with libbpf’s words and nothing on the terminal', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vdiag-object-'));
    const file = join(folder, 'broken.bpf.o');
    writeFileSync(file, 'not an object');
    expect(() =>
      loadObject({ templates: new Set(['packet_raw_1']), flavour: 'modern', ringBytes: 1 << 16, file }),
    ).to.throw(VdiagError, file);
    rmSync(folder, { recursive: true });
    expect(() =>
      loadObject({ templates: new Set(['packet_raw_1']), flavour: 'modern', ringBytes: 1 << 16, file }),
    ).to.throw(VdiagError, 'is not there');
  });

  it('attaches what it can and says of each other probe why not', () => {
    const session = openTrace({
      requests: [
        request({ index: 3 }),
        request({ index: 4, target: 'no_such_tracepoint' }),
        request({ index: 5, args: { skb: 6 }, nargs: 1 }),
        request({ index: 6, program: 'magic' }),
        request({ index: 5000 }),
      ],
      filter: {},
      ringBytes: 100_000,
    });
    try {
      expect(session.attached).to.deep.equal([{ index: 3, backend: 'raw-tracepoint', target: 'netif_receive_skb' }]);
      const why = new Map(session.failed.map((failure) => [failure.index, failure.why]));
      expect(why.get(4)).to.contain('ENOENT');
      expect(why.get(5), 'beyond the tracepoint’s arguments').to.contain('EINVAL');
      expect(why.get(6)).to.contain('"magic"');
      expect(why.get(5000)).to.contain('at most');
      expect(session.ring.size, 'a power of two').to.equal(131072);
    } finally {
      session.close();
    }
  });

  it('asks the kernel what it allows, and leaves nothing attached', () => {
    const support = kernelSupport();
    for (const name of ['btf', 'ringBuffer', 'rawTracepoint'] as const)
      expect(support[name], name).to.deep.equal({ ok: true });
    for (const ability of Object.values(support)) {
      if (typeof ability === 'object' && !ability.ok) expect(ability.why).to.match(/\w{3}/);
    }
  });
});
