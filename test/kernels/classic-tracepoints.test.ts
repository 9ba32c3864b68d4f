import { rmSync } from 'node:fs';
import { expect } from 'chai';
import type { FailedProbe } from '../../src/bpf/types.js';
import { decodeRecord } from '../support/ring-records.js';
import { forKernels, runInVm } from './harness.js';

const TARGETS: readonly (readonly [target: string, program: string])[] = [
  ['net:netif_receive_skb', 'skb'],
  ['net:net_dev_queue', 'skb'],
  ['net:net_dev_xmit', 'xmit'],
  ['skb:consume_skb', 'free'],
  ['skb:kfree_skb', 'drop'],
];

/** Runs in the VM, on the built project: a ping that is answered and a connection that is refused, by classic tracepoints. */
const JOB = `
import { execFileSync } from 'node:child_process';
import { openTrace } from '/vdiag/dist/bpf/trace-session.js';
import { openTracefs } from '/vdiag/dist/bpf/tracefs.js';
import { placesIn } from '/vdiag/dist/bpf/tracepoint-format.js';
import { RingReader } from '/vdiag/dist/bpf/ring.js';

const tracefs = openTracefs();
const taken = { skb: ['skb'], xmit: ['skb', 'rc', 'dev', 'len'], free: ['skb'], drop: ['skb', 'location', 'reason'] };
const requests = ${JSON.stringify(TARGETS)}.map(([target, program], index) => ({
  index, program, target, backend: 'tracepoint', args: {}, nargs: 0, wantReturn: false,
  fields: placesIn(tracefs.fields(target), taken[program]),
}));
const session = openTrace({ requests, filter: { dst: '127.0.0.9' }, ringBytes: 1 << 20 });
execFileSync('sh', ['-c', 'ping -q -c1 -W5 127.0.0.9; busybox nc 127.0.0.9 99 </dev/null; true'], { stdio: 'ignore' });
session.detach();
const records = [];
new RingReader(session.ring).drain(({ u8, u32, start, end }) => {
  for (let at = start; at < end; ) {
    const length = u32[at >> 2] & 0x3fffffff;
    records.push(Buffer.from(u8.slice(at + 8, at + 8 + length)).toString('base64'));
    at += (length + 15) & ~7;
  }
});
const reasons = 'reason' in requests[4].fields;
console.log(JSON.stringify({ failed: session.failed, records, reasons }));
session.close();
`;

forKernels(({ name, kernel }) => {
  describe(`classic tracepoints on kernel ${name}`, function () {
    this.timeout(300_000);

    it('show a packet’s way and why another is dropped', async () => {
      const result = await runInVm({
        kernel,
        project: true,
        timeoutSeconds: 120,
        files: { 'trace.mjs': JOB },
        job: 'mount -t tracefs none /sys/kernel/tracing; ip link set lo up; node trace.mjs',
      });
      expect(result.stdout, result.stderr).to.not.equal('');
      const outcome = JSON.parse(result.stdout) as {
        failed: FailedProbe[];
        records: string[];
        reasons: boolean;
      };
      expect(outcome.failed).to.deep.equal([]);
      const records = outcome.records
        .map((record) => decodeRecord(Buffer.from(record, 'base64')))
        .sort((one, other) => one.ts - other.ts);
      const request = records.find(({ outer }) => outer?.icmpType === 8);
      const path = records.filter((record) => record.path === request?.path).map(({ probe }) => TARGETS[probe]![0]);
      expect(path).to.include.members(['net:net_dev_queue', 'net:net_dev_xmit', 'net:netif_receive_skb']);
      expect(records.find(({ probe }) => probe === 2)).to.deep.include({ dev: 'lo', ret: 0 });
      const drop = records.find(({ flags }) => flags.includes('DROPPED'));
      // Reasons came with 5.17.
      if (outcome.reasons) expect(drop?.ret).to.be.greaterThan(1);
      expect(drop?.aux).to.be.greaterThan(0);
      rmSync(result.artefacts, { recursive: true });
    });
  });
});
