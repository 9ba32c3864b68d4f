import { expect } from 'chai';
import type { Analysis } from '../../src/analysis/types.js';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import type { DiagnosisRule } from '../../src/diagnosis/types.js';
import type { EvidenceCollector, Fact } from '../../src/evidence/types.js';
import { analysis, finding, latency, pair, segment } from '../support/analysis.js';
import { noHost } from '../support/no-host.js';

function collector(name: string, fact: (params: Record<string, unknown>) => Fact): EvidenceCollector {
  return { name, describe: '', params: {}, members: {}, collect: async (_source, params) => fact(params) };
}

const tbf = collector('qdisc', ({ device }) =>
  device === 'tap1'
    ? {
        known: true,
        value: { kind: 'tbf', shaping: true, rate: '700kbit' },
        source: 'tc -s qdisc',
        text: 'tbf on tap1',
      }
    : {
        known: true,
        value: { kind: 'noqueue', shaping: false, rate: '' },
        source: 'tc -s qdisc',
        text: `noqueue on ${String(device)}`,
      },
);

const shaping: DiagnosisRule = {
  id: 'qdisc-shaping-delay',
  severity: 'error',
  suspect: { segments: ['qdisc'] },
  when: { all: [{ fact: 'subject', path: '$.overBudget', operator: 'equal', value: true }] },
  proof: {
    all: [
      {
        fact: 'evidence.qdisc',
        params: { device: '{{subject.device}}' },
        path: '$.shaping',
        operator: 'equal',
        value: true,
      },
    ],
  },
  summary: '{{subject.device}} is limited to {{evidence.qdisc.rate}}',
  summaryZh: '{{subject.device}} 被限速到 {{evidence.qdisc.rate}}',
  explains: ['l4.retransmit', 'lifecycle.qdisc-drop', 'slow-driver'],
  article: 'l2/qdisc-shaping',
  names: { device: '{{subject.device}}', kind: '{{evidence.qdisc.kind}}', rate: '{{evidence.qdisc.rate}}' },
  source: 'test',
};

function ask(
  of: Analysis,
  rules: DiagnosisRule[],
  collectors: EvidenceCollector[] = [tbf],
  ordinary: readonly string[] = [],
) {
  return diagnose({
    analysis: of,
    rules,
    source: noHost,
    collectors: new Map(collectors.map((one) => [one.name, one])),
    article: () => undefined,
    remedies: () => [],
    run: { seconds: 10 },
    ordinary,
    netnsPrefix: async () => '',
  });
}

describe('diagnose', () => {
  const slow = pair([segment('qdisc', 'tap1', 400, { share: 0.96, lost: 41 }), segment('forwarding', 'tap2', 0.05)], {
    drops: { forward: 41, reverse: 0 },
    roundTrips: latency(420),
  });

  it('establishes a cause that the host proves, names it and says what it accounts for', async () => {
    const { diagnoses, evidenceUnknown } = await ask(analysis({ pairs: [slow] }), [shaping]);
    expect(diagnoses.map(({ id, confidence, summary }) => ({ id, confidence, summary }))).to.deep.equal([
      { id: 'qdisc-shaping-delay', confidence: 'established', summary: 'tap1 is limited to 700kbit' },
    ]);
    expect(diagnoses[0].names).to.deep.equal({ device: 'tap1', kind: 'tbf', rate: '700kbit' });
    expect(diagnoses[0].explains).to.equal('96% of the round trip');
    expect(diagnoses[0].notCauses).to.deep.equal(['tap2 forwarding 0.05 ms']);
    expect(evidenceUnknown).to.deep.equal([]);
  });

  it('claims nothing when the host refutes the suspicion, and says that the cause is not established', async () => {
    const other = pair([segment('qdisc', 'tap9', 400, { share: 0.9 })]);
    const { diagnoses } = await ask(analysis({ pairs: [other] }), [shaping]);
    expect(diagnoses.map(({ id, confidence }) => [id, confidence])).to.deep.equal([
      ['latency-not-established', 'not established'],
    ]);
  });

  it('is only likely when the evidence cannot be read, and reports what was not read', async () => {
    const unreadable = collector('qdisc', () => ({ known: false, why: 'tc is not installed', source: 'tc qdisc' }));
    const modest = { ...shaping, summary: '{{subject.device}} is limited', summaryZh: '{{subject.device}} 被限速' };
    const { diagnoses, evidenceUnknown } = await ask(analysis({ pairs: [slow] }), [modest], [unreadable]);
    expect(diagnoses[0]).to.include({ id: 'qdisc-shaping-delay', confidence: 'likely' });
    expect(evidenceUnknown).to.deep.equal(['tc qdisc: tc is not installed']);
  });

  it('claims nothing that it could only say with a gap, and reports what was not read', async () => {
    const unreadable = collector('qdisc', () => ({ known: false, why: 'tc is not installed', source: 'tc qdisc' }));
    const { diagnoses, evidenceUnknown } = await ask(analysis({ pairs: [slow] }), [shaping], [unreadable]);
    expect(diagnoses.map(({ id }) => id)).to.deep.equal(['latency-not-established']);
    expect(evidenceUnknown).to.deep.equal(['tc qdisc: tc is not installed']);
  });

  it('never calls a pair healthy whose packets stay in a ring', async () => {
    const ring = (lost: number) => pair([segment('ring', 'tap1', 1, { entered: 59, lost, dropped: 0 })]);
    const { diagnoses } = await ask(analysis({ pairs: [ring(53)] }), []);
    expect(diagnoses.map(({ id }) => id)).to.deep.equal(['latency-not-established']);
    expect(diagnoses[0]!.summary).to.match(/^53 of 59 packets were not taken out of .*; why is not established$/);
    expect((await ask(analysis({ pairs: [ring(2)] }), [])).diagnoses).to.deep.equal([]);
  });

  it('survives a collector that throws', async () => {
    const broken = collector('qdisc', () => {
      throw new Error('boom');
    });
    const { diagnoses, evidenceUnknown } = await ask(analysis({ pairs: [slow] }), [shaping], [broken]);
    expect(evidenceUnknown.join()).to.contain('boom');
    expect(diagnoses[0]).to.include({ id: 'latency-not-established', confidence: 'not established' });
  });

  it('leads with the cause: symptoms of the same flow are explained by it, those of another are not', async () => {
    const retransmit = finding('l4.retransmit', { level: 'warn', tags: [], subject: {} });
    const elsewhere = finding('l4.retransmit', {
      level: 'warn',
      tags: [],
      subject: {},
      flows: [{ flow: 'TCP 10.9.9.1:1 → 10.9.9.2:2', count: 1 }],
    });
    const { diagnoses, findings } = await ask(analysis({ pairs: [slow], findings: [retransmit, elsewhere] }), [
      shaping,
    ]);
    expect(diagnoses.map(({ id }) => id)).to.deep.equal(['qdisc-shaping-delay']);
    expect(diagnoses[0].findings).to.deep.equal([retransmit]);
    expect(findings).to.deep.equal([elsewhere]);
  });

  it('keeps a consequence out when its cause was found, and reports it when it stands alone', async () => {
    const driver: DiagnosisRule = {
      ...shaping,
      id: 'slow-driver',
      suspect: { segments: ['driver'] },
      proof: undefined,
      explains: [],
      names: { device: '{{subject.device}}' },
    };
    const both = pair([segment('qdisc', 'tap1', 400), segment('driver', 'tap1', 5)]);
    expect((await ask(analysis({ pairs: [both] }), [driver, shaping])).diagnoses.map(({ id }) => id)).to.deep.equal([
      'qdisc-shaping-delay',
    ]);
    const alone = pair([segment('driver', 'tap1', 5)]);
    expect((await ask(analysis({ pairs: [alone] }), [driver, shaping])).diagnoses.map(({ id }) => id)).to.deep.equal([
      'slow-driver',
    ]);
  });

  it('says of an unexplained drop where it was seen, without inventing a cause', async () => {
    const drop = finding('lifecycle.not-specified', {
      subject: { device: 'tap1', reason: 'NOT_SPECIFIED', location: 'ip_rcv+0x10' },
    });
    const { diagnoses } = await ask(analysis({ findings: [drop] }), [shaping]);
    expect(diagnoses[0]).to.include({
      id: 'drop-not-established',
      confidence: 'not established',
      summary: '3 packets dropped on tap1 at ip_rcv+0x10 (NOT_SPECIFIED); why is not established',
    });
  });

  it('makes information of what is ordinary to the question, unless something else speaks for it', async () => {
    const closed: DiagnosisRule = {
      ...shaping,
      id: 'port-closed',
      suspect: { findings: ['l4.connection-refused', 'lifecycle.no-udp-socket'] },
      when: { all: [{ fact: 'subject', path: '$.count', operator: 'greaterThan', value: 0 }] },
      proof: undefined,
      names: { port: '7' },
      explains: [],
    };
    const refused = finding('l4.connection-refused', { level: 'info', tags: [] });
    const lost = finding('lifecycle.no-udp-socket', { level: 'warn', tags: [] });
    const levels = async (findings: (typeof lost)[]): Promise<string[]> => {
      const { diagnoses } = await ask(analysis({ findings }), [closed], [], ['l4.connection-refused']);
      return diagnoses.map(({ id, severity }) => `${id} ${severity}`);
    };
    expect(await levels([refused])).to.deep.equal(['port-closed info']);
    expect(await levels([refused, lost])).to.deep.equal(['port-closed error']);
  });

  it('tells what followed from the cause in the order in which it followed', async () => {
    const symptom = (rule: string, count: number, level: 'info' | 'warn', tags: string[]): ReturnType<typeof finding> =>
      finding(rule, { count, level, tags, subject: {} });
    const findings = [
      symptom('socket.connect-failed', 2, 'warn', ['socket']),
      symptom('l4.retransmit', 12, 'info', ['tcp', 'loss']),
      finding('lifecycle.qdisc-drop', { count: 41 }),
      symptom('l4.rto', 3, 'info', ['tcp', 'loss']),
      symptom('l4.reset-sent', 7, 'info', ['tcp']),
    ];
    const rule = {
      ...shaping,
      explains: ['socket.connect-failed', 'l4.retransmit', 'lifecycle.qdisc-drop', 'l4.rto', 'l4.reset-sent'],
    };
    const { diagnoses } = await ask(analysis({ pairs: [slow], findings }), [rule]);
    expect(diagnoses[0].explains).to.equal(
      '96% of the round trip, 41 of 41 dropped packets → 3 × l4.rto → 12 × l4.retransmit → 2 × socket.connect-failed',
    );
  });

  it('says nothing about healthy traffic', async () => {
    const healthy = pair([segment('qdisc', 'tap1', 0.05), segment('driver', 'tap1', 0.02)]);
    const { diagnoses, findings } = await ask(analysis({ pairs: [healthy] }), [shaping]);
    expect([...diagnoses, ...findings]).to.deep.equal([]);
  });

  it('does not take the one hiccup of a short run for a slow segment', async () => {
    const hiccup = segment('qdisc', 'tap1', 0.05, {
      latency: { count: 20, p50: 0.05, p90: 0.06, p99: 30, p999: 30, max: 30, mean: 1.5 },
    });
    expect((await ask(analysis({ pairs: [pair([hiccup])] }), [shaping])).diagnoses).to.deep.equal([]);
  });
});
