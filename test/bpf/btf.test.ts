import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { KernelBtf } from '../../src/bpf/btf.js';
import { BtfData } from '../../src/bpf/btf-data.js';
import { elfSection } from '../../src/bpf/elf.js';
import { OBJECT_FILE } from '../../src/bpf/object.js';
import { skipBecause } from '../support/skip.js';

const SOURCE = `
struct sk_buff { int len; union { struct { int dev; } in; struct { long hidden; }; }; };
enum skb_drop_reason { SKB_NOT_DROPPED_YET, SKB_DROP_REASON_NO_SOCKET = 3, SKB_DROP_REASON_ALIAS = 3, SKB_LAST = 0xffffffff };
typedef enum skb_drop_reason reason_t;
typedef void (*btf_trace_kfree_skb)(void *__data, struct sk_buff *skb, void *location, reason_t reason);
btf_trace_kfree_skb *keep_typedef;
int ip_rcv(const struct sk_buff *skb, unsigned int flags, const char **names) { return 0; }
struct sk_buff *skb_clone(struct sk_buff *skb) { return skb; }
int neither(int a) { return a; }
`;

describe('BTF', () => {
  let folder: string;
  let btf: KernelBtf;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-btf-'));
    writeFileSync(join(folder, 'small.c'), SOURCE);
    execFileSync(clang(), ['-g', '-O2', '-target', 'bpf', '-c', join(folder, 'small.c'), '-o', join(folder, 'small.o')]);
    btf = KernelBtf.load(join(folder, 'small.o'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function clang(): string {
    return ['/usr/bin/clang', '/usr/bin/clang-14'].find((file) => existsSync(file)) ?? 'clang';
  }

  it('tells the arguments of tracepoints, without the leading data pointer', () => {
    const args = btf.tracepointArgs('skb:kfree_skb');
    expect(args?.map(({ type, pointer }) => [type, pointer])).to.deep.equal([
      ['sk_buff', true],
      ['void', true],
      ['skb_drop_reason', false],
    ]);
    expect(btf.tracepointArgs('kfree_skb')).to.deep.equal(args);
    expect(btf.tracepointArgs('no_such')).to.equal(undefined);
  });

  it('tells the arguments and return types of functions', () => {
    expect(btf.functionArgs('ip_rcv')).to.deep.equal([
      { name: 'skb', type: 'sk_buff', pointer: true },
      { name: 'flags', type: 'unsigned int', pointer: false },
      { name: 'names', type: 'void *', pointer: true },
    ]);
    expect(btf.returnType('ip_rcv')).to.deep.equal({ name: '', type: 'int', pointer: false });
    expect(btf.returnType('skb_clone')).to.deep.equal({ name: '', type: 'sk_buff', pointer: true });
    expect(btf.functionArgs('sk_buff'), 'a struct is no function').to.equal(undefined);
  });

  it('finds the functions that take a structure', () => {
    expect([...btf.functionsTaking('sk_buff')].map(({ name, position, nargs }) => [name, position, nargs])).to.deep.equal([
      ['ip_rcv', 0, 3],
      ['skb_clone', 0, 1],
    ]);
  });

  it('tells the values of enums: of two names the first, and beyond 31 bits', () => {
    const reasons = btf.enumValues('skb_drop_reason');
    expect(reasons.get(3)).to.equal('SKB_DROP_REASON_NO_SOCKET');
    expect(reasons.get(0)).to.equal('SKB_NOT_DROPPED_YET');
    expect([...reasons.values()]).to.include('SKB_LAST');
    expect(btf.enumValues('no_such').size).to.equal(0);
  });

  it('tells members, also those in anonymous structures', () => {
    expect(btf.hasMember('sk_buff', 'len')).to.equal(true);
    expect(btf.hasMember('sk_buff', 'hidden')).to.equal(true);
    expect(btf.hasMember('sk_buff', 'dev'), 'that of a named member').to.equal(false);
    expect(btf.hasMember('no_such', 'len')).to.equal(false);
  });

  it('refuses what is not BTF, or cut off, with one message', () => {
    const broken = join(folder, 'broken');
    const whole = elfSection(readFileSync(OBJECT_FILE), '.BTF');
    for (const bytes of [Buffer.alloc(0), Buffer.from('not BTF at all, whatever'), whole!.subarray(0, 1000)]) {
      writeFileSync(broken, bytes);
      expect(() => KernelBtf.load(broken)).to.throw(VdiagError, `cannot read BTF from ${broken}`);
    }
    writeFileSync(broken, readFileSync(OBJECT_FILE).subarray(0, 5000));
    expect(() => KernelBtf.load(broken)).to.throw(VdiagError, 'cut off');
    expect(() => KernelBtf.load(join(folder, 'absent'))).to.throw(VdiagError, 'ENOENT');
  });

  it('reads split BTF, whose numbers go on where its base ends', () => {
    const base = new BtfData(elfSection(readFileSync(OBJECT_FILE), '.BTF')!);
    const strings = Buffer.from('\0mod_function\0', 'latin1');
    const data = Buffer.alloc(24 + 12 + strings.length);
    data.writeUInt16LE(0xeb9f, 0);
    data.writeUInt8(1, 2);
    data.writeUInt32LE(24, 4);
    data.writeUInt32LE(12, 12);
    data.writeUInt32LE(12, 16);
    data.writeUInt32LE(strings.length, 20);
    const proto = base.find('packet_regs').map((id) => base.typeOrSize(id))[0];
    const baseStrings = elfSection(readFileSync(OBJECT_FILE), '.BTF')!.readUInt32LE(20);
    data.writeUInt32LE(baseStrings + 1, 24);
    data.writeUInt32LE((12 << 24) >>> 0, 28);
    data.writeUInt32LE(proto, 32);
    strings.copy(data, 36);
    const split = new BtfData(data, base);
    expect(split.firstId).to.equal(base.endId);
    const [id] = split.find('mod_function');
    expect(split.parameters(split.typeOrSize(id)).map(({ name }) => name)).to.deep.equal(['ctx']);
    expect(split.name(base.firstId)).to.equal(base.name(base.firstId));
  });

  it('reads the running kernel, where it has BTF', function () {
    if (!existsSync('/sys/kernel/btf/vmlinux')) skipBecause(this, 'this kernel has no BTF');
    const kernel = KernelBtf.load();
    expect(kernel.tracepointArgs('kfree_skb')?.[0]).to.deep.include({ type: 'sk_buff', pointer: true });
    expect(kernel.functionArgs('ip_rcv')?.[0]).to.deep.include({ type: 'sk_buff', pointer: true });
    expect(kernel.hasMember('sk_buff', 'network_header')).to.equal(true);
    expect(kernel.enumValues('skb_drop_reason').size).to.be.greaterThan(20);
  });
});
