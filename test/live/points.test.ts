import { expect } from 'chai';
import { KernelBtf } from '../../src/bpf/btf.js';
import { openTrace } from '../../src/bpf/trace-session.js';
import type { AttachRequest, Flavour, KernelFilter } from '../../src/bpf/types.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import { planProbes } from '../../src/probes/plan.js';
import { inNamespace, ip, TestNetwork } from '../support/network-namespaces.js';
import { readRing, type RingRecord } from '../support/ring-records.js';

/** The catalogue's points without a packet that have a tracepoint here, as the plan asks for them. */
function pointRequests(): { requests: AttachRequest[]; names: Map<number, string> } {
  const catalogue = loadCatalogue();
  const points = catalogue.points.filter(
    ({ program, tracepoint }) => tracepoint !== undefined && (program === 'point' || program === 'count'),
  );
  const capabilities = {
    ...{ release: 'live', arch: process.arch, btf: true, ringBuffer: true, rawTracepoint: true, tracepoint: false },
    ...{ kprobe: false, kretprobe: false, kprobeMulti: false, fentry: false, dropReasons: true, lacks: [] },
  };
  const only = points.map(({ name }) => name);
  const { requests, plan } = planProbes(catalogue, { set: 'full', only }, capabilities, KernelBtf.load());
  return { requests, names: new Map(plan.probes.map(({ index, point }) => [index, point.name])) };
}

interface Seen {
  records: (RingRecord & { name: string })[];
  hits: Map<string, number>;
  refused: string[];
}

function watch(flavour: Flavour, filter: KernelFilter, traffic: () => void): Seen {
  const { requests, names } = pointRequests();
  const session = openTrace({ requests, flavour, filter, ringBytes: 1 << 20 });
  try {
    traffic();
    session.detach();
    const name = (index: number): string => names.get(index) ?? '?';
    return {
      records: readRing(session).map((record) => ({ ...record, name: name(record.probe) })),
      hits: new Map([...session.hits()].map(([index, count]) => [name(index), count])),
      refused: session.failed.map(({ index, why }) => `${name(index)}: ${why}`),
    };
  } finally {
    session.close();
  }
}

for (const flavour of ['modern', 'legacy'] as const)
  describe(`points without a packet, ${flavour}, live`, () => {
    const network = new TestNetwork('vd-c-');
    afterEach(() => network.remove());

    it('count what is hot, and send nothing of it', () => {
      const a = network.add('a');
      const { records, hits, refused } = watch(flavour, {}, () => inNamespace(a, 'ping', '-c3', '-i0.2', '127.0.0.1'));
      expect(refused).to.deep.equal([]);
      for (const name of ['softirq_entry', 'softirq_raise', 'napi_poll', 'sched_stat_runtime']) {
        expect(hits.get(name), name).to.be.above(0);
        expect(records.filter((record) => record.name === name)).to.deep.equal([]);
      }
      expect(hits.get('fib_table_lookup')).to.be.above(0);
    });

    it('record what is rare, with the device and the namespace that it is about', () => {
      const a = network.add('a');
      const { records } = watch(flavour, {}, () => {
        ip('-n', a, 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'c1');
        ip('-n', a, 'link', 'set', 'c0', 'up');
        inNamespace(
          a,
          'tc',
          'qdisc',
          'add',
          'dev',
          'c0',
          'root',
          'tbf',
          'rate',
          '1mbit',
          'burst',
          '2k',
          'latency',
          '50ms',
        );
        inNamespace(a, 'tc', 'qdisc', 'del', 'dev', 'c0', 'root');
      });
      const here = records.filter(({ netns }) => netns === network.inode(a));
      const created = here.find(({ name, dev }) => name === 'qdisc_create' && dev === 'c0');
      expect(created).to.deep.include({ kind: 'POINT', path: 0, a: 0xffffffff });
      const ended = here.filter(({ name, dev }) => name === 'qdisc_reset' && dev === 'c0');
      expect(ended).not.to.deep.equal([]);
      expect(ended[0].skb).to.be.above(0);
    });

    it('heed the namespace and the device of a filter, where these are known', () => {
      const [a, b] = ['a', 'b'].map((name) => network.add(name));
      const seen = watch(flavour, { netns: [network.inode(a)] }, () => {
        for (const ns of [a, b]) {
          ip('-n', ns, 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'c1');
          inNamespace(ns, 'tc', 'qdisc', 'add', 'dev', 'c0', 'root', 'pfifo');
        }
      });
      const created = seen.records.filter(({ name }) => name === 'qdisc_create');
      expect(created.map(({ netns }) => netns))
        .to.include(network.inode(a))
        .and.not.include(network.inode(b));
    });
  });
