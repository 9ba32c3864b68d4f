import { expect } from 'chai';
import type { Diagnosis } from '../../src/diagnosis/types.js';
import type { Expectation, FaultInstance } from '../../src/lab/index.js';
import type { Report } from '../../src/report/types.js';
import { type Score, scoreReport } from './score.js';

type Said = Partial<Pick<Diagnosis, 'confidence' | 'severity' | 'names'>> & { id: string };

/** A report that says these, with one pair whose `slow` segment takes longest. */
function report(said: Said[], findings: { rule: string; level: string }[] = []): Report {
  return {
    diagnoses: said.map((one) => ({
      confidence: 'established',
      severity: 'error',
      names: {},
      summary: one.id,
      ...one,
    })),
    findings: findings.map((one) => ({ message: one.rule, ...one })),
    pairs: [
      {
        segments: [
          { label: 'slow', share: 0.8 },
          { label: 'fast', share: 0.1 },
        ],
      },
    ],
  } as unknown as Report;
}

function instance(wanted: Expectation, never: string[] = []): FaultInstance {
  return { fault: { id: 'f', never }, expect: wanted } as unknown as FaultInstance;
}

const WANTED: Expectation = { diagnosis: 'no-route', names: { dst: '10.0.0.1', port: 80 } };
const RIGHT: Said = { id: 'no-route', names: { dst: '10.0.0.1', port: '80', more: 1 } };

describe('fault bench: score', () => {
  const cases: [string, FaultInstance, Report, Score][] = [
    ['the cause with its facts', instance(WANTED), report([RIGHT]), 'precise'],
    ['a warning beside it', instance(WANTED), report([RIGHT, { id: 'slow', severity: 'warn' }]), 'precise'],
    ['the cause without proof', instance(WANTED), report([{ ...RIGHT, confidence: 'likely' }]), 'partial'],
    ['the cause with another fact', instance(WANTED), report([{ ...RIGHT, names: { dst: '10.0.0.2' } }]), 'partial'],
    ['the cause in second place', instance(WANTED), report([{ id: 'slow', severity: 'warn' }, RIGHT]), 'partial'],
    ['nothing', instance(WANTED), report([]), 'missed'],
    ['something not established', instance(WANTED), report([{ id: 'other', confidence: 'likely' }]), 'missed'],
    ['another cause', instance(WANTED), report([{ id: 'other' }]), 'wrong'],
    ['another cause beside the right one', instance(WANTED), report([RIGHT, { id: 'other' }]), 'wrong'],
    [
      'what is accepted beside it',
      instance({ ...WANTED, accepts: ['other'] }),
      report([RIGHT, { id: 'other' }]),
      'precise',
    ],
    ['the right area', instance({ ...WANTED, partial: ['other'] }), report([{ id: 'other' }]), 'partial'],
    [
      'what must never be said, even as likely',
      instance(WANTED, ['other']),
      report([RIGHT, { id: 'other', confidence: 'likely' }]),
      'wrong',
    ],
    [
      'both of two faults',
      instance({ ...WANTED, also: [{ diagnosis: 'other' }] }),
      report([{ id: 'other' }, RIGHT]),
      'precise',
    ],
    ['one of two faults', instance({ ...WANTED, also: [{ diagnosis: 'other' }] }), report([RIGHT]), 'partial'],
    ['the slowest place', instance({ ...WANTED, 'dominant-segment': 'slow' }), report([RIGHT]), 'precise'],
    ['another slowest place', instance({ ...WANTED, 'dominant-segment': 'fast' }), report([RIGHT]), 'partial'],
    [
      'an honest lack of a cause, where none can be known',
      instance({ diagnosis: 'drop-not-established' }),
      report([{ id: 'drop-not-established', confidence: 'not established' }]),
      'precise',
    ],
    ['nothing on a healthy control', instance({}), report([{ id: 'fine', severity: 'info' }]), 'precise'],
    ['a warning on a healthy control', instance({}), report([{ id: 'slow', severity: 'warn' }]), 'false-alarm'],
    ['a finding on a healthy control', instance({}), report([], [{ rule: 'drop', level: 'warn' }]), 'false-alarm'],
  ];
  for (const [what, fault, said, score] of cases) {
    it(`${what}: ${score}`, () => {
      const result = scoreReport(said, fault);
      expect(result.score, result.why).to.equal(score);
      expect(result.why === '').to.equal(score === 'precise');
    });
  }
});
