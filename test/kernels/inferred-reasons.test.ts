import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { dropRulesFor, loadDropRules } from '../../src/probes/drop-rules.js';
import type { Report } from '../../src/report/types.js';
import { answerReplay } from '../../src/scenarios/replay.js';
import { loadLibrary } from '../../src/scenarios/library.js';
import { renderJson } from '../../src/report/json.js';
import { benchCases, benchRun } from '../faults/cases.js';
import { runInKernel, type RunResult } from '../faults/run-cases.js';
import { scoreReport } from '../faults/score.js';
import { dropsOf, type RecordedDrop } from '../support/drop-table.js';

/** What the drops of each variant of a fault must be told to be: their reason, and the function. */
const FAULTS: [variant: string, reason: string, place: RegExp][] = [
  ['port-closed kind=tcp-connect family=4', 'NO_SOCKET', /^tcp_v4_rcv/],
  ['port-closed kind=udp-request-response family=4', 'NO_SOCKET', /^__udp4_lib_rcv/],
  ['no-route family=4', 'IP_INNOROUTES', /^ip_error/],
  ['rp-filter setting=all', 'IP_RPFILTER', /^ip_rcv_finish/],
  ['ttl-expired family=4', 'IP_INHDR', /^ip_forward/],
  ['nft-drop table=inet', 'NETFILTER_DROP', /^nf_hook_slow/],
  ['firewall-drop-forward backend=legacy family=4', 'NETFILTER_DROP', /^nf_hook_slow/],
  ['neighbour-failed family=4', 'NEIGH_FAILED', /^(arp_error_report|neigh_)/],
  ['queue-too-short topology=two-behind-a-router family=4', 'QDISC_DROP', /^(kfree_skb_list|__dev_queue_xmit)/],
  ['udp-receive-buffer-full family=4', 'SOCKET_RCVBUFF', /^(__)?udp_queue_rcv/],
  ['bad-udp-checksum family=4', 'UDP_CSUM', /udp/],
  ['bad-tcp-checksum family=4 topology=two-behind-a-router', 'TCP_CSUM', /^tcp_v4/],
];
/** Beside the fault's own, what this kernel drops in health: late packets, answers to a raw socket. */
const ALSO = new Set(['NO_SOCKET', 'QUEUE_PURGE', 'UNHANDLED_PROTO', 'OTHERHOST', 'PACKET_SOCK_ERROR']);

describe('drop reasons on kernel 5.10, which gives none', function () {
  this.timeout(1_500_000);

  const cases = benchCases(
    FAULTS.map(([variant]) => variant),
    1,
  );
  const results = new Map<string, RunResult>();
  let folder: string;
  /** The recording of a variant, as a file. */
  const file = (variant: string): string => join(folder, `${FAULTS.findIndex(([name]) => name === variant)}.vdiag`);

  before('one boot for all', async () => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-reasons-'));
    const runs = cases.map((one) => benchRun(one, { record: true, verify: false }));
    const outcomes = await runInKernel('5.10', runs, () => undefined);
    for (const [i, { name }] of cases.entries()) {
      const result = outcomes.find(({ outcome }) => outcome.id === runs[i].id)!;
      expect(result?.outcome.error, name).to.equal(undefined);
      results.set(name, result);
      writeFileSync(file(name), result.recording!);
    }
  });

  after(() => rmSync(folder, { recursive: true }));

  for (const [variant, reason, place] of FAULTS) {
    it(`${variant}: ${reason}, and no other`, () => {
      const all: RecordedDrop[] = dropsOf(file(variant), dropRulesFor(loadDropRules(), '5.10.0'));
      expect(all.every(({ given }) => given === undefined)).to.equal(true);
      const told = all.filter((drop) => drop.inferred === reason);
      expect(told.length, JSON.stringify(all.slice(0, 5))).to.be.above(0);
      for (const drop of told) expect(drop.place).to.match(place);
      const others = new Set(
        all.map(({ inferred }) => inferred).filter((name) => name !== reason && name !== undefined),
      );
      expect([...others].filter((name) => !ALSO.has(name!))).to.deep.equal([]);
      const { instance } = cases.find(({ name }) => name === variant)!;
      expect(scoreReport(results.get(variant)!.report!, instance)).to.deep.include({ score: 'precise' });
    });
  }

  it('are marked as inferred, and a replay says the same', async () => {
    const variant = 'nft-drop table=inet';
    const live = results.get(variant)!.report!;
    const dropped = live.paths.flatMap(({ events }) => events).filter(({ role }) => role === 'drop');
    for (const { drops } of live.pairs) expect(drops.reverse, 'answers that a ping got').to.equal(0);
    expect(dropped.filter(({ reason }) => reason === 'NETFILTER_DROP').map((event) => event.reasonInferred)).to.include(
      true,
    );
    const replayed = await answerReplay({ library: loadLibrary(), file: file(variant), inThisThread: true });
    const findings = (report: Report): unknown => report.findings;
    expect(findings(JSON.parse(renderJson(replayed)) as Report)).to.deep.equal(findings(live));
  });
});
