import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../../src/base/errors.js';
import { BtfData } from '../../../src/bpf/btf-data.js';
import { OBJECT_FILE } from '../../../src/bpf/object.js';
import { allMembers, coreAccesses } from '../../../src/bpf/synthesis/core-accesses.js';
import { openGivenTypes } from '../../../src/bpf/synthesis/given-types.js';
import { lackingPrograms, placeOf, whyUnreadable } from '../../../src/bpf/synthesis/layout.js';
import { readOffsetsTable, shippedTable, shippedTables } from '../../../src/bpf/synthesis/offsets-table.js';
import { synthesiseBtf } from '../../../src/bpf/synthesis/synthesise.js';
import { tableText } from '../../../src/bpf/synthesis/table-text.js';

const HEAD = 'apiVersion: vdiag/v1\nkind: KernelOffsets\nkernel: test\narch: x86_64\n';

describe('offsets tables', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-offsets-'));
  const file = join(folder, 'table.yaml');
  after(() => rmSync(folder, { recursive: true }));

  function problemsOf(text: string): string[] {
    writeFileSync(file, HEAD + text);
    try {
      readOffsetsTable(file);
    } catch (error) {
      expect(error).to.be.instanceOf(VdiagError);
      return (error as VdiagError).message.replaceAll(`${folder}/`, '').split('\n');
    }
    return [];
  }

  it('say where and how they are wrong', () => {
    const members = (text: string): string => `structs:\n  sk_buff:\n    size: 232\n    members:\n      ${text}\n`;
    expect(problemsOf(members('len: {offset: 128, type: u23}'))).to.deep.equal([
      'table.yaml:9:26: sk_buff.len is of the type "u23"; expected one of u8, u16, u32, u64, s8, s16, s32, s64, void *, ' +
        'struct NAME, struct NAME *, perhaps with [n]; did you mean "u8"?',
    ]);
    expect(problemsOf(members('len: {ofset: 128, type: u32}')).join('\n')).to.match(
      /^table\.yaml:9:\d+: unknown field "ofset" .*did you mean "offset"\?$/m,
    );
    expect(problemsOf(members('len: {offset: 230, type: u32}'))).to.deep.equal([
      'table.yaml:9:13: sk_buff.len ends at 234, behind the end of sk_buff; expected at most 232',
    ]);
    expect(problemsOf(members('x: {offset: 1, type: struct in6_addr}'))[0]).to.contain('the "size" in bytes');
    expect(problemsOf(members('x: {offset: 1, type: u8, bits: 3}'))[0]).to.contain('only one of "bit" and "bits"');
    const functions = `${members('len: {offset: 128, type: u32}')}functions:\n  - int ip_rcv(struct sk_buff *skb)\n`;
    expect(problemsOf(functions)).to.deep.equal([]);
    expect(problemsOf(`${functions}  - ip_rcv\n`)).to.deep.equal([
      'table.yaml:12:5: "ip_rcv" is no C declaration; expected one such as int ip_rcv(struct sk_buff *skb)',
    ]);
    expect(problemsOf(`${functions}  - void ip_rcv()\n`)).to.deep.equal(['table.yaml:12:5: ip_rcv is declared twice']);
  });

  it('are written as they are read', () => {
    const table = readOffsetsTable(shippedTable('4.19.90'));
    writeFileSync(file, tableText(table, ['a comment']));
    expect(readOffsetsTable(file)).to.deep.equal(table);
  });

  it('are found by the name of their kernel, and a slip of the pen is told', () => {
    const given = openGivenTypes('4.19.90');
    expect(given.table?.kernel).to.equal('4.19.90');
    expect(given.types.functionArgs('ip_forward')).to.deep.equal([{ name: 'skb', type: 'sk_buff', pointer: true }]);
    given.close();
    given.close();
    expect(() => openGivenTypes('4.19.91')).to.throw(VdiagError, 'did you mean "4.19.90"?');
    writeFileSync(file, 'hello');
    expect(() => openGivenTypes(file)).to.throw(VdiagError);
  });
});

/** Structures that a shipped table may lack, and the programs that are left out then. */
const LEFT_OUT: Record<string, Record<string, string[]>> = {
  '4.19.90': { 'it has no struct task_struct': ['sched'] },
};

describe('shipped offsets tables', () => {
  const accesses = coreAccesses(OBJECT_FILE);

  it('are there', () => {
    expect(shippedTables()).to.deep.equal(Object.keys(LEFT_OUT));
  });

  for (const name of shippedTables()) {
    it(`${name} has every member that a program reads unguarded`, () => {
      const data = new BtfData(synthesiseBtf(readOffsetsTable(shippedTable(name))));
      const lacking: Record<string, Set<string>> = {};
      for (const [program, missing] of lackingPrograms(data, accesses)) {
        for (const why of missing) (lacking[why] ??= new Set()).add(program.replace(/_.*/, ''));
      }
      const found = Object.fromEntries(Object.entries(lacking).map(([why, programs]) => [why, [...programs]]));
      expect(found).to.deep.equal(LEFT_OUT[name]);
    });
  }

  it('agree with what is known of 4.19.90', () => {
    const data = new BtfData(synthesiseBtf(readOffsetsTable(shippedTable('4.19.90'))));
    const places = ['network_header', 'pkt_type', 'head'].map((member) => placeOf(data, 'sk_buff', member));
    expect(places.map((place) => [place?.offset, place?.bits])).to.deep.equal([
      [196 * 8, undefined],
      [144 * 8, 3],
      [208 * 8, undefined],
    ]);
  });
});

describe('what the compiled object reads', () => {
  const members = allMembers(coreAccesses(OBJECT_FILE));
  const guardOf = (name: string): string | undefined =>
    members.find(({ struct, member }) => `${struct}.${member}` === name)?.guard;

  it('is known with its guards', () => {
    const names = members.map(({ struct, member }) => `${struct}.${member}`);
    expect(names).to.include.members(['sk_buff.len', 'net.ns.inum', 'sock.__sk_common.skc_net.net', 'sock.sk_protocol']);
    expect(guardOf('sk_buff.len')).to.equal(undefined);
    expect(guardOf('sk_buff.vlan_all')).to.equal('member');
    expect(guardOf('task_struct.state')).to.equal('member');
    expect(guardOf('nft_chain.name')).to.equal('struct');
  });

  it('is refused when it is of another kind: a pointer where a number should be', () => {
    const table = readOffsetsTable(shippedTable('4.19.90'));
    const wrong = structuredClone(table);
    wrong.structs.sk_buff!.members.len = { offset: 128, type: 'void *' };
    const data = new BtfData(synthesiseBtf(wrong));
    const len = members.find(({ struct, member }) => struct === 'sk_buff' && member === 'len')!;
    expect(whyUnreadable(data, len)).to.equal('sk_buff.len is of another kind there');
  });
});
