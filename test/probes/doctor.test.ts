import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Ability, KernelSupport } from '../../src/bpf/types.js';
import { capabilitiesOf } from '../../src/probes/capabilities.js';
import { type DoctorInput, examineHost } from '../../src/probes/doctor.js';
import { hostTools } from '../../src/probes/host-tools.js';
import { skipBecause } from '../support/skip.js';

const ok: Ability = { ok: true };
const SUPPORT: KernelSupport = {
  ...{ release: '6.18.0', arch: 'x64', btf: ok, ringBuffer: ok, rawTracepoint: ok, tracepoint: ok },
  ...{ kprobe: ok, kretprobe: ok, kprobeMulti: ok, kprobeSession: ok, fentry: ok, dropReasons: ok },
};

describe('capabilities of the kernel', () => {
  it('are those that were tried', () => {
    const capabilities = capabilitiesOf(SUPPORT);
    expect(capabilities).to.deep.include({ release: '6.18.0', arch: 'x64', kprobe: true, lacks: [] });
  });

  it('say of each lack why, what it hides and how to cure it', () => {
    const capabilities = capabilitiesOf({
      ...SUPPORT,
      kprobe: { ok: false, why: 'CONFIG_KPROBES is off' },
      rawTracepoint: { ok: false, why: 'not permitted', cure: 'run vdiag with sudo' },
    });
    expect(capabilities.kprobe).to.equal(false);
    expect(capabilities.lacks).to.have.length(2);
    expect(capabilities.lacks[0]).to.deep.include({
      capability: 'rawTracepoint',
      why: 'not permitted',
      cure: 'run vdiag with sudo',
    });
    expect(capabilities.lacks[1]).to.include({ capability: 'kprobe', why: 'CONFIG_KPROBES is off' });
    expect(capabilities.lacks[1].hides).to.contain('firewalls');
    expect(capabilities.lacks[1]).not.to.have.property('cure');
  });
});

describe('doctor', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-doctor-'));
  after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const files = (capEff: string, kallsyms = 'ffffffff81000000 T ip_rcv\n') => ({
    status: write('status', `Name:\tnode\nCapEff:\t${capEff}\n`),
    kallsyms: write('kallsyms', kallsyms),
    tracefs: [join(folder, 'nowhere')],
    tools: { folders: [folder], osRelease: 'ID=debian\n' },
  });
  const input: DoctorInput = {
    capabilities: capabilitiesOf(SUPPORT),
    types: {
      tracepointArgs: () => undefined,
      functionArgs: () => undefined,
      enumValues: () => new Map([[2, 'SKB_DROP_REASON_X']]),
    },
    libbpf: 'v1.1',
  };
  const check = (id: string, change: Partial<DoctorInput> = {}, given = files('000001ffffffffff')) => {
    const found = examineHost({ ...input, ...change }, given).checks.find((one) => one.id === id);
    expect(found, id).not.to.equal(undefined);
    return found!;
  };

  it('finds a whole host able to trace', () => {
    const report = examineHost(input, files('000001ffffffffff'));
    expect(report.canTrace).to.equal(true);
    expect(report.checks.filter((one) => !one.id.startsWith('tool:')).map((one) => one.state)).to.satisfy(
      (states: string[]) => states.every((state) => state === 'ok'),
    );
  });

  it('tells root, a process with CAP_BPF and CAP_PERFMON, and one that may do nothing apart', () => {
    expect(check('privileges')).to.include({ state: 'ok' });
    expect(check('privileges', {}, files('000000c000000000'))).to.include({
      state: 'warn',
      cure: 'run vdiag with sudo',
    });
    expect(check('privileges', {}, files('0000000000000000'))).to.include({
      state: 'fail',
      cure: 'run vdiag with sudo',
    });
    expect(examineHost(input, files('0000000000000000')).canTrace).to.equal(false);
  });

  it('names the package when libbpf is missing', () => {
    expect(check('libbpf')).to.include({ state: 'ok', found: 'libbpf 1.1' });
    const missing = check('libbpf', { libbpf: new Error('libbpf.so.1: cannot open shared object file') });
    expect(missing).to.include({ state: 'fail', cure: 'apt-get install libbpf1' });
  });

  it('says what a kernel without kprobes hides, and that it can trace all the same', () => {
    const capabilities = capabilitiesOf({ ...SUPPORT, kprobe: { ok: false, why: 'CONFIG_KPROBES is off' } });
    const report = examineHost({ ...input, capabilities }, files('000001ffffffffff'));
    expect(report.canTrace).to.equal(true);
    expect(report.checks.find((one) => one.id === 'kprobe')).to.deep.include({
      state: 'warn',
      found: 'no kprobes: CONFIG_KPROBES is off',
    });
  });

  it('fails a kernel without raw tracepoints, but not one without a ring buffer: the legacy flavour needs none', () => {
    const lacking = (lack: 'rawTracepoint' | 'ringBuffer') =>
      check(lack, { capabilities: capabilitiesOf({ ...SUPPORT, [lack]: { ok: false, why: 'kernel too old' } }) });
    expect(lacking('rawTracepoint')).to.include({ state: 'fail' });
    expect(lacking('ringBuffer')).to.deep.include({ state: 'ok', found: 'no ring buffer: kernel too old' });
    expect(lacking('ringBuffer').hides).to.match(/^nothing; /);
  });

  it('notices hidden kernel addresses and gives the command that shows them', () => {
    const hidden = check('symbols', {}, files('000001ffffffffff', '0000000000000000 T ip_rcv\n'));
    expect(hidden).to.include({ state: 'warn', cure: 'sysctl -w kernel.kptr_restrict=1' });
    expect(hidden.hides).to.contain('function');
  });

  it('finds tracefs where it is mounted', () => {
    const given = files('000001ffffffffff');
    mkdirSync(join(folder, 'tracing', 'events'), { recursive: true });
    expect(check('tracefs', {}, { ...given, tracefs: [join(folder, 'tracing')] }).found).to.equal(
      `tracefs at ${join(folder, 'tracing')}`,
    );
    expect(check('tracefs').found).to.contain('not mounted');
  });

  it('examines this machine without failing', () => {
    const report = examineHost(input);
    expect(report.checks.map((one) => one.id)).to.include.members(['privileges', 'symbols', 'tool:tc']);
    for (const one of report.checks)
      if (one.state !== 'ok') expect(one.hides, one.id).to.be.a('string').that.is.not.empty;
  });
});

describe('tools for evidence', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-tools-'));
  after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'tc'), '');
  chmodSync(join(folder, 'tc'), 0o755);
  writeFileSync(join(folder, 'nft'), '');

  const tool = (name: string, osRelease: string) => hostTools([folder], osRelease).find((one) => one.name === name)!;

  it('are found by their files, if those may be run', () => {
    expect(tool('tc', 'ID=debian\n').path).to.equal(join(folder, 'tc'));
    expect(tool('nft', 'ID=debian\n')).not.to.have.property('path');
  });

  it('name the package of the distribution', () => {
    expect(tool('conntrack', 'ID=debian\n').install).to.equal('apt-get install conntrack');
    expect(tool('conntrack', 'NAME="x"\nID="rocky"\nID_LIKE="rhel centos fedora"\n').install).to.equal(
      'dnf install conntrack-tools',
    );
    expect(tool('tc', 'ID=alpine\n').install).to.equal('apk add iproute2-tc');
    expect(tool('ss', 'ID="opensuse-leap"\n').install).to.equal('zypper install iproute2');
    expect(tool('ss', 'ID=plan9\n')).not.to.have.property('install');
  });

  it("finds this machine's own", function () {
    if (!existsSync('/usr/sbin/tc') && !existsSync('/sbin/tc')) skipBecause(this, 'there is no tc');
    expect(hostTools().find((one) => one.name === 'tc')!.path).to.match(/\/tc$/);
  });
});
