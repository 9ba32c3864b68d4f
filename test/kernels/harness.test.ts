import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { fetchKernel, moduleLoadOrder } from '../support/vm-kernel.js';
import { runInVm } from './harness.js';

describe('VM harness', () => {
  it('runs a job as root on the kernel that was asked for, with node and the network tools', async () => {
    const result = await runInVm({
      kernel: '6.1',
      project: false,
      timeoutSeconds: 60,
      files: { 'lib/greeting.mjs': 'export const greeting = `hello from ${process.version}`;' },
      job: `
        uname -r
        id -u
        echo 'import { greeting } from "/job/lib/greeting.mjs"; console.log(greeting);' >run.mjs
        node run.mjs
        ip link add veth0 type veth peer name veth1 &&
          tc qdisc add dev veth0 root netem delay 1ms &&
          tc qdisc add dev veth1 root tbf rate 1mbit burst 4kb limit 100kb &&
          ip link add vxlan0 type vxlan id 7 dstport 4789 dev veth0 &&
          ip tuntap add tap0 mode tap &&
          iptables-legacy -A FORWARD -m comment --comment x -j DROP &&
          nft add table inet t && echo made
        grep -cw ip_rcv /sys/kernel/tracing/available_filter_functions
        echo to stderr >&2
        echo kept >/out/artefacts/file
        exit 7`,
    });
    const lines = result.stdout.trim().split('\n');
    expect(lines[0]).to.match(/^6\.1\..*-cloud-amd64$/);
    expect(lines.slice(1)).to.deep.equal(['0', `hello from ${process.version}`, 'made', '1']);
    expect(result.stderr).to.equal('to stderr\n');
    expect(result.status).to.equal(7);
    expect(result.bootSeconds).to.be.below(20);
    expect(readFileSync(join(result.artefacts, 'file'), 'utf8')).to.equal('kept\n');
    rmSync(result.artefacts, { recursive: true });
  });

  it('ends a job that runs too long, and still hands over what it said', async () => {
    const result = await runInVm({
      kernel: '6.1',
      project: false,
      timeoutSeconds: 3,
      job: 'echo before; sleep 600; echo after',
    });
    expect(result.status).to.equal(124);
    expect(result.stdout).to.equal('before\n');
    rmSync(result.artefacts, { recursive: true });
  });

  it('fails, with the serial log, when the guest dies', async () => {
    let message = '';
    await runInVm({
      kernel: '6.1',
      project: false,
      timeoutSeconds: 30,
      job: 'echo c >/proc/sysrq-trigger; sleep 20',
    }).catch((error: Error) => (message = error.message));
    expect(message).to.contain('ended without a result').and.to.contain('sysrq');
    const log = /serial log is (\S+):/.exec(message)?.[1];
    expect(log && existsSync(log)).to.equal(true);
    rmSync(log!);
  });

  it('orders modules so that each follows what it needs', async () => {
    const order = moduleLoadOrder(await fetchKernel('6.1'), ['virtio_net', 'virtio_pci']).map((file) =>
      file.split('/').at(-1),
    );
    const place = (name: string): number => order.indexOf(`${name}.ko`);
    expect(place('virtio_ring')).to.be.below(place('virtio_pci')).and.to.be.at.least(0);
    expect(place('failover')).to.be.below(place('net_failover'));
    expect(place('net_failover')).to.be.below(place('virtio_net'));
    expect(new Set(order).size).to.equal(order.length);
  });
});
