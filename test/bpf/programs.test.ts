import { expect } from 'chai';
import { VD_CONST, VD_OPT } from '../../src/bpf/kernel-side.gen.js';
import { planProgram } from '../../src/bpf/programs.js';
import { patchTemplate } from '../../src/bpf/template.js';
import type { AttachRequest } from '../../src/bpf/types.js';

const request = (over: Partial<AttachRequest>): AttachRequest => ({
  index: 7,
  program: 'skb',
  backend: 'raw-tracepoint',
  target: 'x',
  args: { skb: 0 },
  nargs: 3,
  wantReturn: false,
  ...over,
});

describe('from a request to a program', () => {
  it('reads no more of a tracepoint’s arguments than it needs', () => {
    expect(planProgram(request({}))).to.deep.equal({
      template: 'packet_raw_1',
      constants: { PROBE: 7, OPTIONS: 0, SKB: 0 },
    });
    const drop = planProgram(request({ program: 'drop', args: { skb: 0, location: 1, reason: 2 } }));
    expect(drop).to.deep.include({ template: 'packet_raw_3' });
    expect(drop).to.have.nested.property('constants.AUX', 1);
    expect(drop).to.have.nested.property('constants.OPTIONS', VD_OPT.FREE | VD_OPT.DROP | VD_OPT.INT_RETURN);
  });

  it('takes the word behind the arguments for the return value of fexit', () => {
    expect(planProgram(request({ backend: 'fexit', wantReturn: true }))).to.deep.include({
      template: 'packet_raw_4',
      constants: { PROBE: 7, OPTIONS: VD_OPT.RETURN | VD_OPT.INT_RETURN | VD_OPT.GONE, SKB: 0, RET: 3 },
    });
  });

  it('pairs entry and return for kretprobes', () => {
    expect(planProgram(request({ backend: 'kretprobe', wantReturn: true }))).to.deep.include({
      template: 'packet_enter_regs',
      returnTemplate: 'packet_leave_regs',
    });
    expect(planProgram(request({ backend: 'kprobe', wantReturn: true }))).to.have.property('returnTemplate');
    expect(planProgram(request({ backend: 'kprobe-multi' }))).to.deep.include({ template: 'packet_multi' });
  });

  it('watches entry and return by one program in a kprobe session, where the kernel has them', () => {
    const session = request({ backend: 'kprobe-session', wantReturn: true });
    expect(planProgram(session, { cookies: true, isReturn: 77 })).to.deep.include({
      template: 'packet_session_multi',
      shared: true,
      constants: { PROBE: 7, OPTIONS: VD_OPT.RETURN | VD_OPT.INT_RETURN, SKB: 0, IS_RETURN: 77 },
    });
    expect(planProgram(session, { cookies: true })).to.deep.equal({ why: 'this kernel has no kprobe sessions' });
  });

  it('knows from the function’s name what netfilter’s private data is', () => {
    const verdict = (target: string, args: Record<string, number>): unknown =>
      planProgram(request({ program: 'verdict', backend: 'fexit', target, args }));
    const options = VD_OPT.RETURN | VD_OPT.INT_RETURN;
    expect(verdict('ipt_do_table', { priv: 0, skb: 1, state: 2 })).to.have.nested.property(
      'constants.OPTIONS',
      options | VD_OPT.TABLE,
    );
    expect(verdict('ebt_do_table', { priv: 0, skb: 1, state: 2 })).to.have.nested.property(
      'constants.OPTIONS',
      options | VD_OPT.EBTABLE,
    );
    const chain = verdict('nft_do_chain', { pkt: 0, priv: 1 });
    expect(chain).to.have.nested.property('constants.OPTIONS', options | VD_OPT.CHAIN);
    expect(chain).to.have.nested.property('constants.OBJECT', 1);
    expect(verdict('nf_hook_slow', { skb: 0, state: 1 })).to.have.nested.property(
      'constants.OPTIONS',
      options | VD_OPT.HOOK_SLOW,
    );
  });

  it('says why there is no program', () => {
    for (const [over, why] of [
      [{ program: 'magic' }, 'there is no program "magic"'],
      [{ program: 'constructor' }, 'there is no program "constructor"'],
      [{ args: {} }, 'the position of skb among its arguments is not known'],
      [{ args: { skb: 0, colour: 1 } }, 'the program "skb" has no argument "colour"'],
      [{ program: 'clone' }, 'it needs the return value, so a return probe'],
      [{ program: 'sched', args: { task: 0 }, backend: 'kprobe' }, 'the scheduler is watched by its tracepoints'],
      [{ backend: 'kprobe', args: { skb: 6 } }, 'only the first 6 arguments are in registers'],
      [{ backend: 'fexit', nargs: 7 }, 'it has more arguments (7) than the program can take'],
      [{ backend: 'tracepoint' }, 'the position of skb among its arguments is not known'],
    ] as [Partial<AttachRequest>, string][]) {
      expect(planProgram(request(over)), JSON.stringify(over)).to.deep.equal({ why });
    }
  });
});

describe('a template', () => {
  const move = (value: number, code = 0xb7): number[] => {
    const instruction = Buffer.alloc(8);
    instruction[0] = code;
    instruction.writeUInt32LE(value, 4);
    return [...instruction];
  };

  it('gets its constants; what is not given is no argument', () => {
    const code = Uint8Array.from([
      ...move(0x7d1a0000 + VD_CONST.PROBE),
      ...move(0x7d1a0000 + VD_CONST.SKB, 0xb4),
      ...move(0x7d1a0000 + VD_CONST.SK),
      ...move(0x7d1a0000 + VD_CONST.OPTIONS),
    ]);
    const patched = patchTemplate(code, { PROBE: 300, SKB: 2 });
    expect([...patched]).to.deep.equal([...move(300), ...move(2, 0xb4), ...move(255), ...move(0)]);
    expect(code[4], 'the template itself stays as it is').to.equal(VD_CONST.PROBE);
  });

  it('gets a call of a kernel function where it asks whether a function returns', () => {
    const call = Buffer.from([0x85, 0x20, 0, 0, 0, 0, 0, 0]);
    call.writeUInt32LE(70_000, 4);
    const code = Uint8Array.from([...move(0x7d1a0000 + VD_CONST.IS_RETURN), ...move(5)]);
    expect([...patchTemplate(code, { IS_RETURN: 70_000 })]).to.deep.equal([...call, ...move(5)]);
  });

  it('keeps everything else', () => {
    const code = Uint8Array.from([...move(5), ...move(0x7d1a0000 + VD_CONST.PROBE, 0x18), ...move(0x7d1affff)]);
    expect(patchTemplate(code, { PROBE: 1 })).to.deep.equal(code);
  });
});
