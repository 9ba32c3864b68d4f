import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { expect } from 'chai';
import { didYouMean } from '../../src/base/suggest.js';
import { packagePath } from '../../src/base/package-root.js';
import { KernelBtf } from '../../src/bpf/btf.js';
import { loadCatalogue, selectPoints } from '../../src/probes/catalogue.js';
import { functionNames, functionsOfHost, planProbes } from '../../src/probes/plan.js';
import { positionsOf } from '../../src/probes/positions.js';
import type { ProbePoint } from '../../src/probes/types.js';
import {
  ableKernel,
  type CatalogueOnKernel,
  catalogueOnKernel,
  countsByTier,
  disagreements,
  kernelsText,
} from '../support/catalogue-on-kernel.js';
import { readOldKernel } from '../support/old-kernel.js';
import { fetchKernel, KERNELS, type KernelName } from '../support/vm-kernel.js';
import { skipBecause } from '../support/skip.js';

/** As `kernels:` of the catalogue calls them; the newest by what it was when that was written. */
const VERSIONS: Record<KernelName, string> = { '5.10': '5.10', '6.1': '6.1', '6.12': '6.12', newest: '7.2' };

/** Shares of each tier that every kernel must have. */
const LEAST: Record<string, number> = { core: 1, error: 0.8, optimisation: 0.5 };

/** No VM: types and symbols are read out of the kernels' images and modules. */
describe('the catalogue against the kernels’ own types and symbols', () => {
  const catalogue = loadCatalogue();
  const kernels = new Map<KernelName, CatalogueOnKernel>();

  before(async function () {
    this.timeout(600_000);
    for (const name of KERNELS) kernels.set(name, catalogueOnKernel(catalogue, await fetchKernel(name)));
  });

  for (const name of KERNELS) {
    it(`${name}: arguments are where they are expected, and return values mean what is said`, () => {
      expect(disagreements(catalogue, kernels.get(name)!, name)).to.deep.equal([]);
    });

    it(`${name}: has all core points, most errors and at least half of the short cuts`, () => {
      const counts = countsByTier(catalogue, kernels.get(name)!.attachable);
      for (const [tier, least] of Object.entries(LEAST)) {
        const [have, all] = counts[tier];
        expect(all, tier).to.be.above(0);
        expect(have / all, `${name}: ${tier}: ${have} of ${all}`).to.be.at.least(least);
      }
    });

    it(`${name}: has the whole basic set`, () => {
      const basic = selectPoints(catalogue, { set: 'basic' }).map((point) => point.name);
      expect([...kernels.get(name)!.attachable]).to.include.members(basic);
    });
  }

  /** A function that no kernel has may be misspelt. */
  const nearest = (point: ProbePoint): string => {
    const { functions, symbolNames } = kernels.get('newest')!;
    const lost = functionNames([point]).find((name) => functions.status(name, false) === 'absent');
    const hint = lost === undefined ? undefined : didYouMean(lost, symbolNames());
    return hint === undefined ? '' : `; ${lost}: ${hint}`;
  };

  it('the kernels that each point was seen on are those that it is seen on', () => {
    const old = readOldKernel(packagePath('test', 'probes', 'kernel-4.19.90.txt'));
    const versions = ['4.19', ...KERNELS.map((name) => VERSIONS[name])];
    const wrong = catalogue.points.flatMap((point) => {
      const onOld =
        (point.tracepoint !== undefined && old.tracepoints.has(point.tracepoint)) ||
        functionNames([point]).some(
          (name) => old.prototypes.has(name) && Object.keys(positionsOf(point, name, '4.19.90') ?? {}).length > 0,
        );
      const has = KERNELS.map((name) => kernels.get(name)!.attachable.has(point.name));
      const expected = kernelsText(versions, [onOld, ...has]);
      return (point.kernels ?? '') === expected
        ? []
        : [`${point.name}: kernels is "${point.kernels ?? ''}", seen on "${expected}"${nearest(point)}`];
    });
    expect(wrong).to.deep.equal([]);
  });

  it('a misspelt function is told with the nearest name that the kernel has', () => {
    expect(nearest({ ...catalogue.get('ip_rcv')!, function: 'ip_rvc_core' })).to.equal(
      '; ip_rvc_core: did you mean "ip_rcv_core"?',
    );
  });

  it('what is missing where is explained: each lack has a cause', () => {
    for (const [name, kernel] of kernels) {
      const silent = kernel.probes.filter((probe) => probe.backend === undefined && (probe.causes?.length ?? 0) === 0);
      expect(
        silent.map(({ point }) => point.name),
        name,
      ).to.deep.equal([]);
    }
  });

  it('a prototype that changed is told with kernel, point, what was expected and what was found', () => {
    const kernel = kernels.get('6.12')!;
    const wrong = catalogue.points.map((point) =>
      point.name === 'ip_rcv' ? { ...point, args: { function: { skb: 2 } } } : point,
    );
    const changed = { points: wrong, get: (one: string) => wrong.find((point) => point.name === one) };
    expect(disagreements(changed, kernel, '6.12')).to.deep.equal([
      '6.12: ip_rcv: expected argument 2 of ip_rcv to be skb, found (sk_buff *skb, net_device *dev, packet_type *pt, net_device *orig_dev)',
    ]);
  });

  it('this machine’s kernel: arguments are where they are expected', function () {
    if (!existsSync('/sys/kernel/btf/vmlinux')) skipBecause(this, 'this kernel has no BTF');
    const types = KernelBtf.load();
    const functions = functionsOfHost(catalogue.points, release());
    const { plan } = planProbes(catalogue, { set: 'full' }, ableKernel(release()), types, functions, {
      fields: () => undefined,
    });
    const attachable = new Set(plan.probes.flatMap(({ backend, point }) => (backend ? [point.name] : [])));
    const here = { release: release(), types, functions, symbolNames: () => [], probes: plan.probes, attachable };
    expect(disagreements(catalogue, here, release())).to.deep.equal([]);
    expect(attachable.size).to.be.above(200);
  });
});
