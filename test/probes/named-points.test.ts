import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';

/** Names of test/probes/named-points.txt, and the reasons of those that are left out. */
function namedPoints(): { names: string[]; leftOut: Map<string, string> } {
  const lines = readFileSync(packagePath('test', 'probes', 'named-points.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const leftOut = new Map(
    lines.flatMap((line) => {
      const [, name, reason] = /^- (\S+) (.+)$/.exec(line) ?? [];
      return name && reason ? [[name, reason] as const] : [];
    }),
  );
  return { names: lines.filter((line) => !line.startsWith('- ')), leftOut };
}

describe('points that tools of this kind watch', () => {
  const { points } = loadCatalogue();
  const known = new Set(
    points.flatMap((point) => [point.name, point.tracepoint, point.function, ...(point.aliases ?? [])]),
  );
  const { names, leftOut } = namedPoints();

  it('are all in the catalogue, by one of their names', () => {
    expect(names).to.have.length.above(300);
    expect(names.filter((name) => !known.has(name))).to.deep.equal([]);
  });

  it('are few that are left out, and not both left out and there', () => {
    expect(leftOut.size).to.be.below(10);
    expect([...leftOut.keys()].filter((name) => known.has(name))).to.deep.equal([]);
  });
});

describe('points without a packet', () => {
  const { points } = loadCatalogue();

  it('are only counted where they are hot', () => {
    const hot = [
      ...['kvm_exit', 'handle_rx', 'handle_tx', 'tun_get_user', 'softirq_entry', 'napi_poll', 'irq_handler_entry'],
      ...['sys_read', 'sys_write', 'sys_recvfrom', 'fib_table_lookup', 'sched_stat_runtime', 'virtnet_poll'],
    ];
    for (const name of hot) expect(points.find((point) => point.name === name)?.program, name).to.equal('count');
  });

  it('tell a full connection tracking table and failing calls by their errors alone', () => {
    for (const name of ['__nf_conntrack_alloc', 'sys_connect', 'sys_bind']) {
      const point = points.find((one) => one.name === name);
      expect(point?.program, name).to.equal('failure');
      expect(point?.wantReturn, name).to.equal(true);
    }
  });
});

describe('tiers', () => {
  it('are told of every point', () => {
    const { points } = loadCatalogue();
    expect(points.filter(({ tier }) => tier === undefined).map(({ name }) => name)).to.deep.equal([]);
  });
});
