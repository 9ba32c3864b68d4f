import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { openGivenTypes } from '../../src/bpf/synthesis/given-types.js';
import type { OffsetsTable } from '../../src/bpf/synthesis/offsets-table.js';
import { openTrace } from '../../src/bpf/trace-session.js';
import { checkTypes, fittingTypes } from '../../src/scenarios/given-kernel.js';
import { makeTypes } from '../../src/scenarios/make-types.js';
import { checkLive } from '../../src/scenarios/types-check.js';
import { ownOffsets, shifted } from '../support/kernel-offsets.js';
import { tracepointRequests } from '../support/trace-requests.js';

describe('types that do not come from the kernel', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-types-'));
  after(() => rmSync(folder, { recursive: true }));

  function fileOf(table: OffsetsTable): string {
    const file = join(folder, 'table.yaml');
    writeFileSync(file, JSON.stringify(table));
    return file;
  }

  it('the kernel’s own are right, and the check leaves this process where it was', () => {
    const before = readlinkSync('/proc/thread-self/ns/net');
    const facts = checkLive();
    expect(facts.filter(({ ok }) => !ok)).to.deep.equal([]);
    expect(facts).to.have.length(28);
    expect(readlinkSync('/proc/thread-self/ns/net')).to.equal(before);
  });

  it('a table made of its BTF fits: complete, equal, right', () => {
    const given = openGivenTypes(fileOf(ownOffsets()));
    const report = checkTypes(given, true);
    given.close();
    expect(report.lacking).to.deep.equal([]);
    expect(report.differences).to.deep.equal([]);
    expect(report.live.filter(({ ok }) => !ok)).to.deep.equal([]);
    expect(report.fits).to.equal(true);
  });

  it('a table written by make fits, and so does its BTF', async () => {
    const table = join(folder, 'made.yaml');
    const btf = join(folder, 'made.btf');
    const common = { kernel: 'own', force: false };
    const made = await makeTypes({ ...common, vmlinux: '/sys/kernel/btf/vmlinux', out: table });
    expect(made.missing).to.deep.equal([]);
    await makeTypes({ ...common, offsets: table, out: btf });
    for (const file of [table, btf]) {
      const given = fittingTypes(file, 'own');
      expect(given.types.tracepointArgs('kfree_skb')?.[0]).to.deep.include({ type: 'sk_buff', pointer: true });
      given.close();
    }
    const again = await makeTypes({ ...common, offsets: table, out: btf }).catch((error: unknown) => error);
    expect((again as VdiagError).message).to.contain('--force');
  });

  const MOVED: [struct: string, members: string[], by: number, told: string][] = [
    ['sk_buff', ['len'], 4, 'sk_buff.len'],
    ['sk_buff', ['network_header'], 2, 'destination address'],
    ['sk_buff', ['mark'], 4, 'mark (sk_buff.mark)'],
    ['sk_buff', ['head', 'data'], 8, 'destination address'],
    ['sk_buff', ['dev'], 8, 'device'],
    ['net_device', ['ifindex'], 8, 'net_device.ifindex'],
    ['net_device', ['name'], 16, 'device'],
    ['net', ['ns.inum'], 4, 'network namespace'],
    ['net_device', ['nd_net.net'], 8, 'namespace of a device'],
    ['sock', ['sk_rcvbuf'], 4, 'receive buffer'],
    ['sock', ['sk_protocol'], 2, 'protocol of a socket'],
    ['sock', ['__sk_common.skc_net.net'], 8, 'namespace of a socket'],
    ['task_struct', ['comm'], 4, 'task_struct.comm'],
  ];
  for (const [struct, members, by, told] of MOVED) {
    it(`a table with ${struct}.${members.join(' and ')} ${by} bytes off is refused, and why is told`, () => {
      const file = fileOf(shifted(ownOffsets(), struct, members, by));
      expect(() => fittingTypes(file, 'own'))
        .to.throw(VdiagError, 'are not those of this kernel')
        .with.property('message')
        .that.includes(told);
    });
  }

  it('another kernel’s table is refused', () => {
    expect(() => fittingTypes('4.19.90', 'own')).to.throw(
      VdiagError,
      /length as sent \(sk_buff\.len\): \d+ instead of 363/,
    );
  });

  it('a table without a structure costs the probes that need it, and no others', () => {
    const table = ownOffsets();
    delete table.structs.task_struct;
    const given = openGivenTypes(fileOf(table));
    const session = openTrace({
      requests: tracepointRequests(['net_dev_queue', 'sched_switch']),
      filter: {},
      ringBytes: 1 << 16,
      btfFile: given.file,
    });
    session.close();
    given.close();
    expect(session.attached.map(({ target }) => target)).to.deep.equal(['net_dev_queue']);
    expect(session.failed.map(({ why }) => why)).to.deep.equal([
      'the given BTF does not do for it: it has no struct task_struct',
    ]);
  });
});
