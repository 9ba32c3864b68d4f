import { expect } from 'chai';
import { cpuGroupOf, guestName, parseThread } from '../../../src/evidence/processes.js';
import { unitOf } from '../../../src/evidence/collectors/process.js';
import { lossCounters, parseFeatures, parseFields, parseRings } from '../../../src/evidence/parsers/ethtool.js';
import { parseEbtablesList } from '../../../src/evidence/parsers/ebtables-list.js';
import {
  interruptDelta,
  parseCpuTimes,
  parseInterrupts,
  parsePressure,
} from '../../../src/evidence/parsers/proc-cpu.js';
import {
  parseConntrackStats,
  parseNetStat,
  parseSnmp,
  parseSnmp6,
  parseSoftnet,
} from '../../../src/evidence/parsers/proc-net.js';
import { sample, sampleFile } from '../samples.js';

describe('parsers of /proc', () => {
  it('join group and name of SNMP counters as nstat does', () => {
    const counters = parseSnmp(sample('/proc/net/snmp', 2) + sample('/proc/net/netstat', 2));
    expect(counters.get('UdpRcvbufErrors')).to.equal(14);
    expect(counters.get('TcpExtListenOverflows')).to.equal(4);
    expect(counters.get('TcpMaxConn')).to.equal(-1);
    expect(parseSnmp6(sample('/proc/net/snmp6', 2)).get('Udp6InDatagrams')).to.be.a('number');
  });

  it('read softnet_stat in hexadecimal, with the CPU in its 13th column', () => {
    const row = (...columns: string[]): string => [...columns, ...Array(15).fill('00000000')].slice(0, 15).join(' ');
    const offline = row('0000000a', '00000002', '00000003').split(' ');
    offline[12] = '00000005';
    expect(parseSoftnet(`${offline.join(' ')}\n`)).to.deep.equal([
      { cpu: 5, processed: 10, dropped: 2, timeSqueeze: 3 },
    ]);
    expect(parseSoftnet(sample('/proc/net/softnet_stat')).map(({ cpu }) => cpu)).to.deep.equal([0, 1]);
  });

  it('sum connection tracking over CPUs, but not the entries that every line repeats', () => {
    expect(parseNetStat('entries found drop\n0000000a 00000001 00000002\n0000000a 00000001 00000003\n')).to.deep.equal(
      new Map([
        ['entries', 10],
        ['found', 2],
        ['drop', 5],
      ]),
    );
    expect(
      parseConntrackStats('cpu=0 found=1 drop=2 early_drop=0\ncpu=1 found=0 drop=3 early_drop=1\n').get('drop'),
    ).to.equal(5);
  });

  it('read interrupts per CPU, with the device that a row is of', () => {
    const rows = parseInterrupts(sample('/proc/interrupts'));
    const input = rows.find(({ device }) => device.includes('virtio2-input.0'))!;
    expect(input.perCpu).to.have.length(2);
    expect(parseInterrupts('           CPU0       CPU1\nERR:          3\n')[0]).to.deep.equal({
      name: 'ERR',
      device: '',
      perCpu: [3],
    });
    expect(
      interruptDelta([{ name: 'a', device: '', perCpu: [1, 5] }], { name: 'a', device: '', perCpu: [4, 5] }),
    ).to.deep.equal([3, 0]);
  });

  it('read CPU times and pressure', () => {
    expect(parseCpuTimes(sample('/proc/stat')).map(({ name }) => name)).to.deep.equal(['cpu', 'cpu0', 'cpu1']);
    expect(parsePressure('some avg10=1.22 avg60=1.19 avg300=0.55 total=11385142\n')).to.deep.equal({
      some: { avg10: 1.22, avg60: 1.19, total: 11_385_142 },
    });
  });

  it("take only the guest's name from QEMU's command line", () => {
    const line = (...args: string[]): string => [...args, ''].join('\0');
    expect(
      guestName(
        line('/usr/bin/qemu-system-x86_64', '-name', 'guest=web-1,debug-threads=on', '-object', 'secret,data=x'),
      ),
    ).to.equal('web-1');
    expect(guestName(line('qemu-kvm', '-name', 'db,,1'))).to.equal('db,1');
    expect(guestName(line('/usr/bin/qemu-system-x86_64', '-m', '512'))).to.equal(undefined);
    expect(guestName(line('/bin/sh', '-name', 'x'))).to.equal(undefined);
  });

  it('read a thread whose name holds blanks and parentheses', () => {
    expect(parseThread('4711 (CPU 0/KVM) x) T 1 2 3', '26000000 5000000 12\n')).to.deep.equal({
      tid: 4711,
      comm: 'CPU 0/KVM) x',
      state: 'T',
      run: 26_000_000,
      wait: 5_000_000,
      slices: 12,
    });
    expect(parseThread('1 (init) S 0', undefined)).to.deep.equal({ tid: 1, comm: 'init', state: 'S' });
  });

  it("find the control group of a process's CPU time in both versions", () => {
    expect(cpuGroupOf('12:memory:/m\n4:cpu,cpuacct:/machine/web\n0::/u\n')).to.deep.equal({
      path: '/machine/web',
      controller: 'cpu,cpuacct',
    });
    expect(cpuGroupOf('0::/system.slice/ssh.service\n')).to.deep.equal({ path: '/system.slice/ssh.service' });
    expect(unitOf({ cgroup: `/system.slice/docker-${'0123456789ab'.repeat(5)}0123.scope` })).to.equal(
      'docker 0123456789ab',
    );
    expect(unitOf({ cgroup: '/machine.slice/machine-qemu-1-web.scope/libvirt/emulator' })).to.equal(
      'machine-qemu-1-web.scope',
    );
  });
});

describe('parsers of ethtool and ebtables', () => {
  it('read what virtio_net says', () => {
    expect(parseFeatures(sampleFile('ethtool-k-virtio.txt')).get('large-receive-offload')).to.deep.equal({
      on: false,
      fixed: true,
    });
    expect(parseFields(sampleFile('ethtool-i-virtio.txt')).get('driver')).to.equal('virtio_net');
    expect(parseRings(sampleFile('ethtool-g-virtio.txt'))).to.deep.equal({ rx: 256, tx: 256, rxMax: 256, txMax: 256 });
    expect([...lossCounters(parseFields(sampleFile('ethtool-S-virtio.txt'))).keys()]).to.include.members([
      'rx_drops',
      'tx_tx_timeouts',
    ]);
    expect(parseFields(sampleFile('ethtool-c-virtio.txt')).get('rx-usecs')).to.equal('0');
  });

  it('read the rules and counters of ebtables', () => {
    const [, forward] = parseEbtablesList(
      [
        'Bridge table: filter',
        '',
        'Bridge chain: INPUT, entries: 0, policy: ACCEPT',
        '',
        'Bridge chain: FORWARD, entries: 1, policy: DROP',
        '-p IPv4 --ip-dst 10.92.0.77 -j DROP , pcnt = 3 -- bcnt = 252',
      ].join('\n'),
    );
    expect(forward).to.deep.include({ name: 'FORWARD', hook: 'forward', policy: 'DROP', family: 'bridge' });
    expect(forward.rules[0]).to.include({ packets: 3, text: '-A FORWARD -p IPv4 --ip-dst 10.92.0.77 -j DROP' });
    expect(forward.rules[0].test({ dst: '10.92.0.77', version: 4 })).to.equal('yes');
    expect(forward.rules[0].test({ dst: '10.92.0.78', version: 4 })).to.equal('no');
  });
});
