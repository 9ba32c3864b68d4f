import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { packagePath } from '../../src/base/package-root.js';
import { PROGRAM_ARGS } from '../../src/bpf/types.js';
import { PROBE_GROUPS, loadCatalogue, selectPoints } from '../../src/probes/catalogue.js';
import { probeReference } from '../../scripts/generate-probe-docs.js';

const HEAD = 'apiVersion: vdiag/v1\nkind: ProbeCatalogue\ngroup: l3\nprobes:\n';
const REST = 'hides: what it shows to tests, hidesZh: 测试所见';

function problemsOf(...files: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-probes-'));
  try {
    files.forEach((text, i) => writeFileSync(join(folder, `${i}.yaml`), HEAD + text));
    loadCatalogue(folder);
    return '';
  } catch (error) {
    if (!(error instanceof VdiagError)) throw error;
    expect(error.exitStatus).to.equal(2);
    return error.message.replaceAll(`${folder}/`, '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the shipped probe catalogue', () => {
  const catalogue = loadCatalogue();

  it('has sets of the promised sizes, each within the next', () => {
    const names = (['basic', 'standard', 'full'] as const).map((set) =>
      selectPoints(catalogue, { set }).map(({ name }) => name),
    );
    expect(names[0].length).to.be.within(5, 10);
    expect(names[1].length).to.be.within(20, 35);
    expect(names[2].length).to.be.above(50);
    expect(names[1]).to.include.members(names[0]);
    expect(names[2]).to.include.members(names[1]);
  });

  it('has points of every group, and sees every layer in the standard set but virt', () => {
    const standard = new Set(selectPoints(catalogue, { set: 'standard' }).map(({ group }) => group));
    expect(new Set(catalogue.points.map(({ group }) => group))).to.deep.equal(new Set(PROBE_GROUPS));
    expect([...standard]).to.have.members(PROBE_GROUPS.filter((group) => group !== 'virt'));
  });

  it('follows a packet from device to consumer with tracepoints alone', () => {
    const roles = selectPoints(catalogue, { set: 'basic' })
      .filter(({ tracepoint }) => tracepoint)
      .map(({ role }) => role);
    expect(roles).to.include.members(['receive', 'queue', 'transmit', 'transmitted', 'deliver', 'free', 'drop']);
  });

  it('says in both languages what the lack of each point hides', () => {
    for (const point of catalogue.points) {
      expect(point.hides, point.name).to.match(/^[^.]{8,}[^.]$/);
      expect(point.hidesZh, point.name).to.match(/[\u4e00-\u9fff]/);
    }
  });

  it('has the reference in docs/probes.md that is generated from it', () => {
    expect(readFileSync(packagePath('docs', 'probes.md'), 'utf8')).to.equal(
      probeReference(catalogue),
      'run npx tsx scripts/generate-probe-docs.ts',
    );
  });

  it('has a schema that knows the programs and arguments of the kernel side', () => {
    const schema = JSON.parse(readFileSync(packagePath('docs', 'schema', 'probes.schema.json'), 'utf8'));
    expect(schema.$defs.probe.properties.program.enum).to.have.members(Object.keys(PROGRAM_ARGS));
    const args = new Set(Object.values(PROGRAM_ARGS).flatMap((names) => names.map((name) => name.replace('?', ''))));
    expect(schema.$defs.positions.propertyNames.enum).to.have.members([...args]);
  });
});

describe('a catalogue of the user', () => {
  it('is told each mistake with its place and what was expected', () => {
    const message = problemsOf(
      `  - { name: ip_rcv, set: standrad, role: other, function: ip_rcv, program: skb, ${REST} }\n`,
    );
    expect(message).to.match(
      /^0\.yaml:5:21: "probes\.0\.set" is "standrad"; expected one of basic, standard, full; did you mean "standard"\?$/,
    );
  });

  it('is told of unknown and missing fields', () => {
    const message = problemsOf(
      `  - { name: ip_rcv, set: full, role: other, functoin: ip_rcv, program: skb, ${REST} }\n`,
    );
    expect(message).to.contain('unknown field "functoin"').and.to.contain('did you mean "function"?');
    expect(problemsOf(`  - { name: ip_rcv, set: full, role: other, function: ip_rcv, program: skb }\n`)).to.contain(
      'lacks the field "hides"',
    );
  });

  it('is told of a name that is there twice, in whichever file', () => {
    const entry = `  - { name: ip_rcv, set: full, role: other, function: ip_rcv, program: skb, ${REST} }\n`;
    expect(problemsOf(entry, entry)).to.equal('1.yaml:5:7: probe "ip_rcv" is there twice; the first is at 0.yaml:5');
  });

  it('is told of arguments that the program does not take', () => {
    const message = problemsOf(
      `  - { name: x, set: full, role: other, function: x, program: icmp, args: { function: { skb: 0, old: 1 } }, ${REST} }\n`,
    );
    expect(message).to.contain(
      'names the argument "old", which program icmp does not take; expected one of skb, type, code',
    );
  });

  it('is told when a program would tell nothing without the return value', () => {
    const message = problemsOf(`  - { name: x, set: full, role: clone, function: x, program: clone, ${REST} }\n`);
    expect(message).to.contain('tells nothing without the return value; expected wantReturn: true');
  });

  it('is told when parts do not fit together', () => {
    const message = problemsOf(
      `  - { name: x, set: full, role: other, tracepoint: net:x, aliases: [y], wantReturn: true, program: skb, args: { function: { skb: 0 } }, ${REST} }\n`,
    );
    expect(message).to.contain('has aliases but no function');
    expect(message).to.contain('wants a return value but has no function');
    expect(message).to.contain('has args.function but no function');
  });

  it('must be there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vdiag-probes-'));
    expect(() => loadCatalogue(folder)).to.throw(VdiagError, 'no probe catalogue');
    rmSync(folder, { recursive: true });
  });
});

describe('a selection of probes', () => {
  const catalogue = loadCatalogue();

  it('can be narrowed to groups, and widened by single points', () => {
    const points = selectPoints(catalogue, { set: 'standard', groups: ['sched'], require: ['nf_hook_slow'] });
    expect(points.map(({ name }) => name)).to.have.members(['sched_wakeup', 'sched_switch', 'nf_hook_slow']);
  });

  it('can be single points alone, whatever their set', () => {
    const points = selectPoints(catalogue, { set: 'basic', only: ['xfrm_input'] });
    expect(points.map(({ name }) => name)).to.deep.equal(['xfrm_input']);
  });

  it('is told of a probe that does not exist, with the nearest that does', () => {
    expect(() => selectPoints(catalogue, { set: 'basic', only: ['kfree_skbb'] })).to.throw(
      VdiagError,
      'unknown probe "kfree_skbb"; expected a name that `vdiag probes list` shows; did you mean "kfree_skb"?',
    );
  });
});
