import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dropRulesFor, loadDropRules } from '../../src/probes/drop-rules.js';
import type { Report } from '../../src/report/types.js';
import { answerReplay } from '../../src/scenarios/replay.js';
import { loadLibrary } from '../../src/scenarios/library.js';
import { renderJson } from '../../src/report/json.js';
import { dropsOf, type RecordedDrop } from '../support/drop-table.js';
import { REASON_LABS } from '../support/reason-labs.js';
import { runInVm, type VmResult } from './harness.js';

/** What each lab must be told to be: the reason of its drops, the function, and the diagnosis. */
const LABS: { lab: string; reason: string; place: RegExp; diagnosis: string }[] = [
  { lab: 'port-closed', reason: 'NO_SOCKET', place: /^tcp_v4_rcv/, diagnosis: 'port-closed' },
  { lab: 'udp-closed', reason: 'NO_SOCKET', place: /^__udp4_lib_rcv/, diagnosis: 'port-closed' },
  { lab: 'no-route', reason: 'IP_INNOROUTES', place: /^ip_error/, diagnosis: 'no-route' },
  { lab: 'rp-filter', reason: 'IP_RPFILTER', place: /^ip_rcv_finish/, diagnosis: 'rp-filter' },
  { lab: 'ttl', reason: 'IP_INHDR', place: /^ip_forward/, diagnosis: 'ttl-expired' },
  { lab: 'nft-drop', reason: 'NETFILTER_DROP', place: /^nf_hook_slow/, diagnosis: 'firewall-rule-drops-flow' },
  {
    lab: 'firewall-drop-forward',
    reason: 'NETFILTER_DROP',
    place: /^nf_hook_slow/,
    diagnosis: 'firewall-rule-drops-flow',
  },
  {
    lab: 'neighbour-failed',
    reason: 'NEIGH_FAILED',
    place: /^(arp_error_report|neigh_)/,
    diagnosis: 'neighbour-failed',
  },
  { lab: 'qdisc', reason: 'QDISC_DROP', place: /^(kfree_skb_list|__dev_queue_xmit)/, diagnosis: 'qdisc-shaping-delay' },
  // Its socket is gone when the diagnosis asks whose it was: the reason is told, the cause is not established.
  { lab: 'rcvbuf', reason: 'SOCKET_RCVBUFF', place: /^(__)?udp_queue_rcv/, diagnosis: 'drop-not-established' },
  { lab: 'udp-checksum', reason: 'UDP_CSUM', place: /udp/, diagnosis: 'checksum-errors' },
  { lab: 'tcp-checksum', reason: 'TCP_CSUM', place: /^tcp_v4/, diagnosis: 'checksum-errors' },
];
/** Beside the fault's own, what this kernel drops in health: late packets, answers to a raw socket. */
const ALSO = new Set(['NO_SOCKET', 'QUEUE_PURGE', 'UNHANDLED_PROTO', 'OTHERHOST', 'PACKET_SOCK_ERROR']);

describe('drop reasons on kernel 5.10, which gives none', function () {
  this.timeout(1_500_000);

  let result: VmResult;
  let outcome: Record<string, { id: string; confidence: string }[]>;
  const file = (name: string): string => join(result.artefacts, name);
  const drops = (lab: string): RecordedDrop[] => dropsOf(file(`${lab}.vdiag`), dropRulesFor(loadDropRules(), '5.10.0'));

  before('one boot for all', async () => {
    result = await runInVm({
      kernel: '5.10',
      timeoutSeconds: 1400,
      files: { 'labs.mjs': REASON_LABS },
      job: `node labs.mjs ${LABS.map(({ lab }) => lab).join(' ')}`,
    });
    expect(result.status, result.stderr).to.equal(0);
    const said = JSON.parse(result.stdout.trim().split('\n').at(-1)!) as { outcome: typeof outcome; left: unknown[] };
    expect(said.left).to.deep.equal([]);
    outcome = said.outcome;
  });

  after(() => rmSync(result.artefacts, { recursive: true }));

  for (const { lab, reason, place, diagnosis } of LABS) {
    it(`${lab}: ${reason}, and no other`, () => {
      const all = drops(lab);
      expect(all.every(({ given }) => given === undefined)).to.equal(true);
      const told = all.filter((drop) => drop.inferred === reason);
      expect(told.length, JSON.stringify(all.slice(0, 5))).to.be.above(0);
      for (const drop of told) expect(drop.place).to.match(place);
      const others = new Set(
        all.map(({ inferred }) => inferred).filter((name) => name !== reason && name !== undefined),
      );
      expect([...others].filter((name) => !ALSO.has(name!))).to.deep.equal([]);
      expect(outcome[lab].map(({ id }) => id)).to.include(diagnosis);
    });
  }

  it('are marked as inferred, and a replay says the same', async () => {
    const live = JSON.parse(readFileSync(file('nft-drop.json'), 'utf8')) as Report;
    const dropped = live.paths.flatMap(({ events }) => events).filter(({ role }) => role === 'drop');
    for (const { drops } of live.pairs) expect(drops.reverse, 'answers that a ping got').to.equal(0);
    expect(dropped.filter(({ reason }) => reason === 'NETFILTER_DROP').map((event) => event.reasonInferred)).to.include(
      true,
    );
    const replayed = await answerReplay({ library: loadLibrary(), file: file('nft-drop.vdiag'), inThisThread: true });
    const findings = (report: Report): unknown => report.findings;
    expect(findings(JSON.parse(renderJson(replayed)) as Report)).to.deep.equal(findings(live));
  });
});
