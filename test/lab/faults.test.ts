import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import {
  allVariants,
  chooseVariant,
  faultIds,
  instantiate,
  loadFault,
  needsOf,
  topologyOf,
  variantName,
  variantsOf,
} from '../../src/lab/faults.js';
import { KNOWN_NEEDS } from '../../src/lab/needs.js';
import { endpointsOf, loadTopology } from '../../src/lab/topology.js';
import { planTraffic } from '../../src/lab/traffic/plan.js';
import { parseDuration, parseSize } from '../../src/lab/units.js';

describe('lab: faults', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'vdiag-fault-'))));
  after(() => rmSync(folder, { recursive: true }));

  function altered(from: string, to: string): string {
    const text = readFileSync(packagePath('fixtures', 'faults', 'slow-bridge-port.yaml'), 'utf8');
    expect(text).to.contain(from);
    const file = join(folder, 'altered.yaml');
    writeFileSync(file, text.replace(from, to));
    return file;
  }

  it('loads each that ships, with every variant possible and every need known', () => {
    expect(faultIds()).to.include.members([
      'slow-bridge-port',
      'netem-delay',
      'firewall-drop-forward',
      'port-closed',
      'healthy-bridge',
    ]);
    for (const id of faultIds()) {
      const fault = loadFault(id);
      expect(fault.id).to.equal(id);
      for (const variant of allVariants(fault)) {
        const topology = loadTopology(topologyOf(fault, variant));
        for (const need of needsOf(fault, variant)) expect(KNOWN_NEEDS).to.include(need);
        instantiate(fault, topology, variant).traffic.forEach((traffic, i) =>
          planTraffic(traffic, endpointsOf(topology), i),
        );
      }
    }
  });

  it('expects only diagnoses that exist', () => {
    const known = new Set([
      // Of what is in no list of faults: made of what nothing explains, by no rule.
      ...['drop-not-established', 'no-answer-not-established', 'latency-not-established'],
      ...readdirSync(packagePath('rules', 'diagnoses')).flatMap((name) =>
        [...readFileSync(packagePath('rules', 'diagnoses', name), 'utf8').matchAll(/^ {2}- id: (\S+)/gm)].map(
          (match) => match[1],
        ),
      ),
    ]);
    for (const fault of faultIds().map(loadFault)) {
      const { diagnosis, also = [], accepts = [], partial = [] } = fault.expect;
      const named = [...also.map((one) => one.diagnosis), ...accepts, ...partial, ...fault.never];
      for (const id of [...named, ...(diagnosis ? [diagnosis] : [])]) expect(known, fault.id).to.include(id);
    }
  });

  it('fills in the port that the direction chose, and who sends towards it', () => {
    const fault = loadFault('slow-bridge-port');
    const instance = instantiate(fault, loadTopology(fault.topology), { rate: '700kbit', direction: 'to-a' });
    expect(instance.inject).to.deep.equal([
      { namespace: 'host', argv: 'tc qdisc add dev vma root tbf rate 700kbit burst 4kb limit 100kb'.split(' ') },
    ]);
    expect(instance.traffic[1]).to.include({ from: 'b', to: 'a', kind: 'tcp-stream' });
    expect(instance.expect).to.deep.equal({
      diagnosis: 'qdisc-shaping-delay',
      names: { device: 'vma', kind: 'tbf', rate: '700kbit' },
      'dominant-segment': 'vma queue → driver',
    });
  });

  it('chooses the same variant for the same seed, and every variant for some seed', () => {
    const fault = loadFault('slow-bridge-port');
    const chosen = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      expect(chooseVariant(fault, seed)).to.deep.equal(chooseVariant(fault, seed));
      expect(variantsOf(fault, seed).map((variant) => variantName(fault, variant))).to.deep.equal([
        'direction=to-a',
        'direction=to-b',
      ]);
      chosen.add(JSON.stringify(chooseVariant(fault, seed)));
    }
    expect(chosen.size, 'two directions, three rates').to.equal(6);
  });

  it('says where a file asks for what cannot be', () => {
    expect(() => loadFault(altered('rate {{rate}} burst', 'rate {{rat}} burst'))).to.throw(
      /altered\.yaml:14:\d+: "\{\{rat\}\}" is not known/,
    );
    expect(() => loadFault(altered('tc qdisc add dev {{port}}', 'sh -c id {{port}}'))).to.throw(
      /"sh" is not a program/,
    );
    expect(() => loadFault(altered('to-b]', 'to-c]'))).to.throw(/direction "to-c" names no endpoint/);
    expect(() => loadFault(altered('from: a, to: b', 'from: a, to: z'))).to.throw(
      /altered\.yaml:16:\d+: there is no endpoint "z"/,
    );
    expect(() => loadFault(altered('needs: [tbf]', 'needs: [tfb]'))).to.throw(/needs "tfb" is not known/);
    expect(() => loadFault(altered('max: 5s', 'max: ten'))).to.throw(/traffic/);
  });

  it('bounds traffic, whatever a file says', () => {
    const endpoints = endpointsOf(loadTopology('two-vms-on-a-bridge'));
    const base = { from: 'a', to: 'b', kind: 'tcp-stream' as const };
    expect(planTraffic(base, endpoints, 1)).to.include({
      address: '10.77.0.2',
      port: 5202,
      bytes: 1_000_000,
      maxMs: 20_000,
    });
    expect(planTraffic({ ...base, family: 6 }, endpoints, 0).address).to.equal('fd77::2');
    expect(() => planTraffic({ ...base, bytes: '2000MB' }, endpoints, 0)).to.throw('more than a lab may make');
    expect(() => planTraffic({ ...base, max: '10m' }, endpoints, 0)).to.throw('more than a lab may make');
    expect(() => planTraffic({ ...base, from: 'q' }, endpoints, 0)).to.throw('no endpoint "q"');
  });

  it('reads durations and sizes, and nothing like them', () => {
    expect([parseDuration('200ms'), parseDuration('1.5s'), parseDuration('2m')]).to.deep.equal([200, 1500, 120_000]);
    expect([parseSize('2MB'), parseSize('64KiB'), parseSize('512'), parseSize(7)]).to.deep.equal([
      2_000_000, 65_536, 512, 7,
    ]);
    for (const bad of ['', '5', '-1s', '1e9s', '5 s', 's', '1constructor'])
      expect(() => parseDuration(bad), bad).to.throw('cannot be understood');
  });
});
