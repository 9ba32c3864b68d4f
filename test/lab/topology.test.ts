import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { checkLabId, namespaceName, parseNamespaceName } from '../../src/lab/names.js';
import { commandsToMake } from '../../src/lab/network-commands.js';
import { endpointsOf, loadTopology, topologyIds } from '../../src/lab/topology.js';

describe('lab: topologies', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'vdiag-topology-'))));
  after(() => rmSync(folder, { recursive: true }));

  /** The shipped bridge topology with some text replaced. */
  function altered(...[from, to]: [string, string]): string {
    const text = readFileSync(packagePath('fixtures', 'topologies', 'two-vms-on-a-bridge.yaml'), 'utf8');
    expect(text).to.contain(from);
    const file = join(folder, 'altered.yaml');
    writeFileSync(file, text.replace(from, to));
    return file;
  }

  it('loads each that ships, named for its file', () => {
    expect(topologyIds()).to.include.members(['two-vms-on-a-bridge', 'two-behind-a-router', 'vxlan-pair']);
    for (const id of topologyIds()) expect(loadTopology(id).id).to.equal(id);
  });

  it('knows the host’s device before an endpoint, and its addresses', () => {
    expect(endpointsOf(loadTopology('two-vms-on-a-bridge')).b).to.deep.equal({
      name: 'b',
      namespace: 'b',
      device: 'eth0',
      address: '10.77.0.2',
      address6: 'fd77::2',
      port: 'vmb',
      portNamespace: 'host',
    });
  });

  it('makes every device inside a namespace of the lab', () => {
    for (const id of topologyIds()) {
      for (const command of commandsToMake(loadTopology(id), 'x', ['c0', 'c1'])) {
        const text = command.join(' ');
        // A card goes into the lab, and is the lab's then.
        if (/^ip link set dev c[01] netns vdiag-x-/.test(text)) continue;
        expect(text, text).to.match(/^(ip netns (add|exec) vdiag-x-[a-z0-9]+|ip (-[46] )?-n vdiag-x-|tc -n vdiag-x-)/);
        if (text.includes('peer name')) expect(text).to.match(/netns vdiag-x-[a-z0-9]+$/);
      }
    }
  });

  it('joins the ports of an Open vSwitch by flows of its own, inside its namespace', () => {
    const commands = commandsToMake(loadTopology('two-vms-on-a-switch'), 'x').map((words) => words.join(' '));
    const inside = 'ip netns exec vdiag-x-host ovs-dpctl';
    const flows = commands.filter((command) => command.startsWith(`${inside} add-flow ovs0 in_port(`));
    expect(flows).to.have.length(14);
    expect(flows).to.include(`${inside} add-flow ovs0 in_port(2),eth(),eth_type(0x0806),arp() 1`);
    const made = commands.indexOf(`${inside} add-if ovs0 vma vmb`);
    expect(made).to.be.greaterThan(
      commands.findIndex((command) => command.includes('link add') && command.includes('vmb')),
    );
    expect(commands.indexOf(flows[0])).to.be.greaterThan(made);
  });

  it('names an unknown one and the nearest', () => {
    expect(() => loadTopology('two-vms-on-bridge')).to.throw(
      /there is no topology "two-vms-on-bridge".*did you mean "two-vms-on-a-bridge"/,
    );
  });

  it('says where a file contradicts itself', () => {
    expect(() => loadTopology(altered('name: vma, master: br0', 'name: vma, master: br1'))).to.throw(
      /altered\.yaml:15:\d+: namespace host has no bridge "br1".*br0/,
    );
    expect(() => loadTopology(altered('{ in: b, name: eth0', '{ in: c, name: eth0'))).to.throw(
      /there is no namespace "c"/,
    );
    expect(() => loadTopology(altered('name: vmb,', 'name: vma,'))).to.throw(/two devices "vma"/);
    expect(() => loadTopology(altered('10.77.0.1/24', '10.77.0.1/99'))).to.throw(/"10.77.0.1\/99" is not an address/);
    expect(() => loadTopology(altered('b: { in: b, device: eth0 }', 'b: { in: b, device: eth1 }'))).to.throw(
      /no (link|link, tap|link or tap|link, tap or wire) has an end "eth1"/,
    );
    expect(() => loadTopology(altered('bridges:', 'bridge:'))).to.throw(/unknown field "bridge"/);
  });

  it('tells labs apart by the names of their namespaces', () => {
    expect(parseNamespaceName(namespaceName('my-lab', 'host'))).to.deep.equal({ labId: 'my-lab', short: 'host' });
    for (const other of ['vdiag-host', 'vdiag', 'cni-1234', 'vdiag--x', 'xvdiag-a-b', 'vdiag-A-b'])
      expect(parseNamespaceName(other), other).to.equal(undefined);
    for (const bad of ['', '-x', 'x-', 'a--b', 'A', '../x', 'x'.repeat(41)])
      expect(() => checkLabId(bad), bad).to.throw('cannot be a lab');
  });
});
