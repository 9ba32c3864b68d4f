import type { Diagnosis } from '../../src/diagnosis/types.js';
import type { FaultInstance, ExpectedDiagnosis } from '../../src/lab/index.js';
import type { Report } from '../../src/report/types.js';

/**
 * How right a report is about a fault that is known. `precise`: the cause first and established, with every fact it must
 * name, and no other cause claimed (a healthy control: nothing said); `partial`: the right area, or the cause without
 * proof or with a wrong fact; `missed`: nothing of it; `wrong`: another cause is claimed; `false-alarm`: anything above
 * info on a healthy control.
 */
export type Score = 'precise' | 'partial' | 'missed' | 'wrong' | 'false-alarm';

export interface Scored {
  score: Score;
  /** What keeps it from being precise. */
  why: string;
}

/** Compares a report with what its fault is. */
export function scoreReport(report: Report, { fault, expect }: FaultInstance): Scored {
  if (expect.diagnosis === undefined) return scoreControl(report);
  const wanted: ExpectedDiagnosis[] = [{ diagnosis: expect.diagnosis, names: expect.names }, ...(expect.also ?? [])];
  const wantedIds = wanted.map(({ diagnosis }) => diagnosis);
  const never = report.diagnoses.find((one) => fault.never.includes(one.id) && one.confidence !== 'not established');
  if (never) return { score: 'wrong', why: `${never.id} must not be said: ${never.summary}` };
  const allowed = [...wantedIds, ...(expect.accepts ?? []), ...(expect.partial ?? [])];
  const other = report.diagnoses.find(
    (one) => one.severity === 'error' && one.confidence === 'established' && !allowed.includes(one.id),
  );
  if (other) return { score: 'wrong', why: `${other.id} is claimed: ${other.summary}` };
  const lacks = wanted.map((one) => whatLacks(report, one)).filter((why) => why !== '');
  const dominant = wrongDominant(report, expect['dominant-segment']);
  if (dominant !== '') lacks.push(dominant);
  const [first] = report.diagnoses;
  if (first && !allowed.includes(first.id)) lacks.push(`${first.id} stands first: ${first.summary}`);
  if (lacks.length === 0) return { score: 'precise', why: '' };
  const near = [...wantedIds, ...(expect.partial ?? [])];
  const some = report.diagnoses.some(({ id }) => near.includes(id));
  return { score: some ? 'partial' : 'missed', why: lacks.join('; ') };
}

function scoreControl({ diagnoses, findings }: Report): Scored {
  const said = [
    ...diagnoses.filter(({ severity }) => severity !== 'info').map(({ id, summary }) => `${id}: ${summary}`),
    ...findings.filter(({ level }) => level !== 'info').map(({ rule, message }) => `${rule}: ${message}`),
  ];
  return said.length === 0 ? { score: 'precise', why: '' } : { score: 'false-alarm', why: said.join('; ') };
}

/** Why this expected diagnosis is not precise; empty when it is. */
function whatLacks({ diagnoses }: Report, { diagnosis, names = {} }: ExpectedDiagnosis): string {
  const found = diagnoses.filter(({ id }) => id === diagnosis);
  if (found.length === 0) return `no ${diagnosis}, but ${whatIsSaid(diagnoses)}`;
  const reasons = found.map((one) => {
    // What is not known cannot be established: the honest answer is all that is asked for.
    const sure = one.confidence === 'established' || /not-established$/.test(diagnosis);
    const differs = Object.entries(names).filter(([key, value]) => String(one.names[key]) !== String(value));
    return [
      ...(sure ? [] : [`${diagnosis} is only ${one.confidence}`]),
      ...differs.map(([key, value]) => `${key} is ${one.names[key]} instead of ${value}`),
    ].join(', ');
  });
  return reasons.includes('') ? '' : reasons[0];
}

type Segment = Report['pairs'][number]['segments'][number];

function wrongDominant({ pairs }: Report, wanted: string | undefined): string {
  if (wanted === undefined) return '';
  const segments = pairs[0]?.segments ?? [];
  if (segments.length === 0) return 'no pair has segments';
  // Without round trips none has a share of them.
  const longer = (x: Segment, y: Segment): boolean =>
    x.share === y.share ? x.latency.mean > y.latency.mean : x.share > y.share;
  const { label } = segments.reduce((x, y) => (longer(y, x) ? y : x));
  return label === wanted ? '' : `"${label}" takes longest instead of "${wanted}"`;
}

/** A report's diagnoses in a few words: `no-route (established)`. */
export function whatIsSaid(diagnoses: readonly Diagnosis[]): string {
  return diagnoses.length === 0 ? 'none' : diagnoses.map(({ id, confidence }) => `${id} (${confidence})`).join(', ');
}
