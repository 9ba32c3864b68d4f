import { expect } from 'chai';
import type { FaultInstance } from '../../src/lab/index.js';
import type { Report } from '../../src/report/types.js';
import { diagnosisOf } from './vdiag-cli.js';

/** The fault's diagnosis, first in the report and established, with the facts that it must name. */
export function expectPrecise(report: Report, { fault, expect: wanted }: FaultInstance): void {
  const found = diagnosisOf(report, wanted.diagnosis!);
  expect(report.diagnoses[0].id, report.diagnoses.map(({ summary }) => summary).join('; ')).to.equal(found.id);
  expect(found.confidence, `${fault.id}: ${found.summary}`).to.equal('established');
  const names = Object.fromEntries(Object.keys(wanted.names ?? {}).map((key) => [key, String(found.names[key])]));
  const expected = Object.entries(wanted.names ?? {}).map(([key, value]) => [key, String(value)]);
  expect(names, found.summary).to.deep.equal(Object.fromEntries(expected));
  expect(found.why.some(({ source, says }) => source !== '' && says === 'supports')).to.equal(true);
  for (const remedies of [found.remedies, found.remediesZh]) expect(remedies).to.not.deep.equal([]);
}

/** None of the diagnoses that would be wrong for this fault is made. */
export function expectNoneOfNever(report: Report, { fault }: FaultInstance): void {
  const wrong = report.diagnoses.map(({ id }) => id).filter((id) => fault.never.includes(id));
  expect(wrong, report.diagnoses.map(({ summary }) => summary).join('; ')).to.deep.equal([]);
}
