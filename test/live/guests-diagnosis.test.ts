import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Report } from '../../src/report/types.js';
import { type Guests, startGuests } from '../support/guests.js';
import { type CliResult, diagnosisOf, expectHealthy, segmentNamed, startVdiag } from '../support/vdiag-cli.js';

/** What must never be said of a guest that does not read its tap: the bridge and its queues are fine. */
const BLAMES_THE_BRIDGE = /^(slow-forwarding|slow-driver|qdisc-|netem-|bridge-)/;

describe('diagnosis of two real guests', function () {
  this.timeout(120_000);
  let guests: Guests;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-guests-'));
    guests = await startGuests();
  });
  after(async () => {
    await guests.stop();
    rmSync(folder, { recursive: true });
  });

  /** Traces the guests' network while something goes on in it: begun when all probes are attached. */
  async function trace(
    seconds: number,
    during: () => Promise<unknown>,
  ): Promise<{ status: CliResult['status']; report: Report }> {
    const file = join(folder, `${seconds}-${Math.random().toString(36).slice(2)}.vdiag`);
    const { result } = startVdiag(
      ...['run', '--scenario', 'vm-to-vm-latency', '--netns', guests.netns, '--duration', `${seconds}s`],
      ...['--format', 'json', '--record', file],
    );
    // The recording is made when the trace begins.
    const began = (async () => {
      for (let i = 0; i < 300 && !existsSync(file); i++) await sleep(50);
      await during();
    })();
    const { status, stdout, stderr } = await result;
    await began;
    expect(stdout, stderr).to.not.equal('');
    return { status, report: JSON.parse(stdout) as Report };
  }

  /** Both directions of the only pair, with every segment between two taps of a bridge. */
  function expectSegments(report: Report): void {
    const [pair] = report.pairs;
    expect([pair.a, pair.b]).to.have.members(guests.addresses);
    expect([pair.aDevice, pair.bDevice]).to.have.members(guests.taps);
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ]) {
      const [tap, other] = [guests.taps[from], guests.taps[to]];
      const reader = `${guests.names[to]} \\(qemu-system-x86 ${guests.pids[to]}\\)`;
      for (const pattern of [
        `^${tap} in → bridge → ${other} queue$`,
        `^${other} queue → driver$`,
        `^${other} driver$`,
        `^${other} ring → read by ${reader}$`,
      ]) {
        const segment = segmentNamed(report, new RegExp(pattern));
        expect(segment.latency.count, pattern).to.be.above(10);
        expect(segment.netns).to.equal(guests.netnsInode);
      }
    }
    segmentNamed(report, /^guest[12] turnaround$/);
    const rows = pair.segments.map(({ direction, label }) => `${direction} ${label}`);
    expect(rows, 'one row for each place').to.deep.equal([...new Set(rows)]);
    expect(pair.roundTrips.count).to.be.above(20);
    const seen = pair.segments.reduce((sum, { share }) => sum + share, 0);
    expect(seen, 'share of the round trips that is accounted for').to.be.within(0.9, 1.05);
  }

  it('tells their segments in both directions, and finds nothing wrong with healthy ones', async () => {
    const run = await trace(7, () =>
      Promise.all([
        guests.ping(0, 25, 200),
        (async () => {
          for (const from of [0, 1]) {
            await sleep(300);
            expect((await guests.tcp(from, 200_000)).received).to.equal(200_000);
          }
        })(),
      ]),
    );
    expectSegments(run.report);
    if (lacksCpu(run.report)) expectOnlyGuests(run.report);
    else expectHealthy(run);
    const ring = segmentNamed(run.report, new RegExp(`^${guests.taps[1]} ring`));
    expect(ring.consumer?.pid).to.equal(guests.pids[1]);
    expect(run.report.sched.map(({ pid }) => pid)).to.include.members(guests.pids);
  });

  it('names the queue of a tap that is held by tbf', async () => {
    const tbf = ['dev', guests.taps[1], 'root', 'tbf', 'rate', '700kbit', 'burst', '4kb', 'limit', '100kb'];
    await guests.host('tc', 'qdisc', 'add', ...tbf);
    const { status, report } = await trace(8, () =>
      Promise.all([guests.tcp(0, 400_000, 15_000), guests.ping(0, 25, 200)]),
    );
    await guests.host('tc', 'qdisc', 'del', 'dev', guests.taps[1], 'root');
    expect(status).to.equal(1);
    const found = diagnosisOf(report, 'qdisc-shaping-delay');
    expect(report.diagnoses[0], report.diagnoses.map(({ summary }) => summary).join('; ')).to.equal(found);
    expect(found.confidence).to.equal('established');
    expect(found.names).to.include({ device: guests.taps[1], kind: 'tbf', rate: '700kbit' });
    expect(Number(found.names.waitMs)).to.be.above(50);
    expect(found.summary).to.contain(`to ${guests.addresses[1]}`);
    expectOnlyGuests({ ...report, diagnoses: report.diagnoses.slice(1) });
    const [pair] = report.pairs;
    const dominant = pair.segments.reduce((x, y) => (y.share > x.share ? y : x));
    expect(dominant.label).to.equal(`${guests.taps[1]} queue → driver`);
  });

  it('says that a guest did not read its tap while it was stopped for a moment', async () => {
    const { status, report } = await trace(7, async () => {
      const ping = guests.ping(0, 25, 200);
      await sleep(1500);
      guests.pause(1);
      await sleep(1500);
      guests.resume(1);
      return ping;
    });
    expect(status).to.equal(1);
    expectNotReading(report, 'consumer-not-reading');
    const found = diagnosisOf(report, 'consumer-not-reading');
    expect(found.summary).to.match(/lay up to 1\.[0-9]+ s in its ring/);
    const ring = segmentNamed(report, new RegExp(`^${guests.taps[1]} ring`));
    expect(ring.latency.max).to.be.within(900, 2000);
    expect(ring.lost).to.equal(0);
  });

  it('says that it is stopped when it still is at the end', async () => {
    const { status, report } = await trace(6, async () => {
      const ping = guests.ping(0, 20, 200);
      await sleep(1500);
      guests.pause(1);
      return ping.catch(() => undefined);
    });
    guests.resume(1);
    expect(status, whatWasSeen(report)).to.equal(1);
    expectNotReading(report, 'consumer-stopped');
    const [remedy] = diagnosisOf(report, 'consumer-stopped').remedies;
    expect(remedy.do).to.equal(`kill -CONT ${guests.pids[1]}`);
    expect(segmentNamed(report, new RegExp(`^${guests.taps[1]} ring`)).lost).to.be.above(2);
  });

  /** For a failure's message. */
  function whatWasSeen({ verdict, traffic, pairs, diagnoses }: Report): string {
    const segments = pairs.flatMap((pair) =>
      pair.segments.map(({ label, latency, lost }) => `${label}: ${latency.count}, ${lost} lost, ${latency.max} ms`),
    );
    const said = diagnoses.map(({ summary }) => summary);
    return [verdict.text, `${traffic.packets} packets`, ...segments, ...said].join('; ');
  }

  /** On a busy machine the threads of emulated guests wait for a CPU, and a report that says so is right. */
  function lacksCpu(report: Report): boolean {
    return report.sched.some(({ wait }) => wait.max > 20);
  }

  /** What is said is about the guests themselves, and nothing is lost or blamed on the host between them. */
  function expectOnlyGuests({ diagnoses, findings, verdict }: Report): void {
    const others = diagnoses.filter(
      ({ id, names }) =>
        !['cpu-starved', 'peer-slow', 'consumer-not-reading', 'latency-not-established'].includes(id) ||
        !guests.taps.includes(String(names.device)),
    );
    expect(
      others.map(({ summary }) => summary),
      verdict.text,
    ).to.deep.equal([]);
    expect(findings.filter(({ level }) => level !== 'info').map(({ message }) => message)).to.deep.equal([]);
  }

  function expectNotReading(report: Report, id: string): void {
    const said = report.diagnoses.map(({ summary }) => summary).join('; ');
    const found = diagnosisOf(report, id);
    expect(report.diagnoses[0], said).to.equal(found);
    expect(found.confidence).to.equal('established');
    expect(found.names).to.include({ device: guests.taps[1], pid: guests.pids[1], guest: guests.names[1] });
    expect(
      report.diagnoses.filter((one) => BLAMES_THE_BRIDGE.test(one.id)),
      said,
    ).to.deep.equal([]);
  }
});
