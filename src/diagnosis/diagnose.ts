import { fillTemplate, lookup, templateVariables } from '../base/template.js';
import type { Json } from '../base/json.js';
import type { Analysis } from '../analysis/types.js';
import type { EvidenceCollector, EvidenceSource } from '../evidence/types.js';
import type { Article, Language, Remedy } from '../knowledge/types.js';
import { evaluateCondition } from '../rules/engine.js';
import type { FindingGroup, Level } from '../rules/types.js';
import { atWorst, doubtLine, subjectAtWorst } from './doubt.js';
import { explains, explainsFinding, openFindings } from './explains.js';
import { DiagnosisFacts } from './facts.js';
import { explainShare, notCauses, observedLines } from './observed.js';
import { subjectsOf, type Subject } from './subjects.js';
import type { DiagnosisRule, EvidenceLine, Diagnosis } from './types.js';
import { unexplainedDiagnoses } from './unexplained.js';

/** Everything a diagnosis draws on. */
export interface DiagnosisInput {
  analysis: Analysis;
  rules: readonly DiagnosisRule[];
  source: EvidenceSource;
  collectors: ReadonlyMap<string, EvidenceCollector>;
  /** The article of an id, in a language. */
  article(id: string, language: Language): Article | undefined;
  /** Fills an article's remedies, quoting values so that nothing from a packet can become a command. */
  remedies(article: Article, data: Record<string, unknown>): Remedy[];
  /** Facts of the run: `seconds`, `kernel`, `tracepointsOnly` … */
  run: Record<string, Json>;
  /** Prefix that runs a command in a network namespace (`ip netns exec x `), empty for vdiag's own. */
  netnsPrefix(netns: number): Promise<string>;
  /** Rules whose findings are everyday to the question that was asked: what rests on them alone is information. */
  ordinary?: readonly string[];
  /** The user named both ends: what is between them is the question itself. */
  endsNamed?: boolean;
  /** Lost events that may make something seem so that is not: forgeable() of src/capture/loss.ts. Absent: none. */
  lost?: number;
}

export interface DiagnosisOutcome {
  /** Causes first, worst first; what an established cause explains is not repeated as a diagnosis of its own. */
  diagnoses: Diagnosis[];
  /** Findings that nothing explains. */
  findings: FindingGroup[];
  /** Evidence that could not be read, and why: one line each. */
  evidenceUnknown: string[];
}

const LEVELS: Record<Level, number> = { error: 0, warn: 1, info: 2 };

/** Suspicion → evidence → diagnosis, for every diagnosis rule and everything it suspects. */
export async function diagnose(input: DiagnosisInput): Promise<DiagnosisOutcome> {
  const found: Candidate[] = [];
  const unknown = new Set<string>();
  for (const rule of input.rules) {
    for (const subject of subjectsOf(rule, input.analysis)) {
      const candidate = await examine(rule, subject, input, unknown);
      if (candidate) found.push(candidate);
    }
  }
  const merged = mergeSame(found);
  const causes = merged.filter(
    (candidate) => !merged.some((other) => other !== candidate && explains(other, candidate)),
  );
  const open = openFindings(input.analysis.findings, causes);
  const diagnoses = [
    ...(await Promise.all(causes.map((cause) => finish(cause, input)))),
    ...(await unexplainedDiagnoses(input, open, causes)),
  ];
  return {
    diagnoses: diagnoses.sort(byWeight),
    findings: open.sort(
      (x, y) => LEVELS[x.level] - LEVELS[y.level] || y.count - x.count || x.rule.localeCompare(y.rule),
    ),
    evidenceUnknown: [...unknown].sort(),
  };
}

/** A suspicion that evidence did not refute. */
export interface Candidate {
  rule: DiagnosisRule;
  /** What speaks for it. */
  subject: Subject;
  /** It and all others that were found to be the same. */
  subjects: Subject[];
  confidence: Diagnosis['confidence'];
  severity: Level;
  why: EvidenceLine[];
  /** Data for templates. */
  data: Record<string, unknown>;
  names: Record<string, string | number>;
  findings: FindingGroup[];
}

async function examine(
  rule: DiagnosisRule,
  subject: Subject,
  input: DiagnosisInput,
  unknown: Set<string>,
): Promise<Candidate | undefined> {
  const facts = new DiagnosisFacts(subject, input.analysis, input.source, input.collectors, input.run);
  const resolve = (name: string, params?: Record<string, unknown>) => facts.resolve(name, params);
  const suspicion = await evaluateCondition(rule.when, resolve);
  if (suspicion.outcome !== 'true') return undefined;
  let confidence: Candidate['confidence'] = rule.confidence ?? 'established';
  if (rule.proof) {
    const proof = await evaluateCondition(rule.proof, resolve);
    if (proof.outcome === 'false') return undefined;
    if (proof.outcome === 'unknown') confidence = 'likely';
  }
  const doubted = await suspicionRestsOnAbsence(rule, subject, input, resolve);
  if (doubted || (!rule.proof && isInferred(subject))) confidence = 'likely';
  const data: Record<string, unknown> = { subject: subject.data, evidence: facts.evidence, run: input.run };
  for (const { fact } of facts.read) if (!fact.known && !fact.unnamed) unknown.add(`${fact.source}: ${fact.why}`);
  // What cannot even be said without a gap is a guess: what was seen is told as not established, with what was not read.
  if (confidence === 'likely' && !isFilled(rule.summary, data)) return undefined;
  const why = (rule.why ?? []).map((line): EvidenceLine => ({
    text: fillTemplate(line.text, data),
    textZh: fillTemplate(line.textZh, data),
    source: '',
    says: 'supports',
  }));
  for (const { fact } of facts.read) {
    if (fact.known) why.push({ text: fact.text, textZh: fact.text, source: fact.source, says: 'supports' });
    else
      why.push({ text: `not known: ${fact.why}`, textZh: `未知：${fact.why}`, source: fact.source, says: 'unknown' });
  }
  if (doubted) why.push(doubtLine(input.lost!));
  const names: Record<string, string | number> = {};
  for (const [key, template] of Object.entries(rule.names ?? {})) {
    const value = fillTemplate(template, data);
    if (value !== '?' && value !== '') names[key] = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  }
  const findings = input.analysis.findings.filter((group) => explainsFinding({ rule, subjects: [subject] }, group));
  const ordinary = subject.finding !== undefined && input.ordinary?.includes(subject.finding.rule);
  const severity = ordinary ? 'info' : rule.severity;
  const subjects = [subject];
  return {
    rule,
    subject,
    subjects,
    confidence,
    severity,
    why: [...observedLines(subject), ...why],
    data,
    names,
    findings,
  };
}

/** Whether everything that a template names is known. */
function isFilled(template: string, data: Record<string, unknown>): boolean {
  return templateVariables(template).every((name) => (lookup(data, name) ?? undefined) !== undefined);
}

/** Whether the suspicion would not stand had the lost events spoken against it (doubt.ts). */
async function suspicionRestsOnAbsence(
  rule: DiagnosisRule,
  subject: Subject,
  input: DiagnosisInput,
  evidence: DiagnosisFacts['resolve'],
): Promise<boolean> {
  const { analysis, source, collectors, run, lost = 0 } = input;
  if (lost === 0) return false;
  const worst = subjectAtWorst(subject, lost);
  if (!worst) return true;
  const facts = new DiagnosisFacts(worst, atWorst(analysis, lost), source, collectors, run, lost);
  const { outcome } = await evaluateCondition(rule.when, (name, params) =>
    name.startsWith('evidence.') ? evidence(name, params) : facts.resolve(name, params),
  );
  return outcome !== 'true';
}

/** What it rests on is a drop for which the kernel gave no reason: the place alone proves nothing. */
function isInferred({ finding }: Subject): boolean {
  if (!finding?.tags.includes('drop')) return false;
  const { reasonInferred, reason, location } = finding.subject;
  return reasonInferred !== undefined || (location !== undefined && (reason ?? 'NOT_SPECIFIED') === 'NOT_SPECIFIED');
}

/** Names that say how much or whom it hit, and not what it is. */
const INCIDENTAL = ['flow', 'count', 'counterDelta', 'drops', 'length', 'packets', 'ttl', 'waitMs'];

/** The same diagnosis with the same names, found by two suspicions, is one. */
function mergeSame(candidates: Candidate[]): Candidate[] {
  const byKey = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const telling = Object.entries(candidate.names).filter(([name]) => !INCIDENTAL.includes(name));
    const named = telling.length > 0 ? telling : Object.entries(candidate.names);
    const key = `${candidate.rule.id} ${JSON.stringify(named.length > 0 ? named : candidate.subject.data)}`;
    const known = byKey.get(key);
    if (!known) byKey.set(key, candidate);
    else {
      known.subjects.push(candidate.subject);
      known.findings = [...new Set([...known.findings, ...candidate.findings])];
      if (candidate.confidence === 'established') known.confidence = 'established';
      if (LEVELS[candidate.severity] < LEVELS[known.severity]) known.severity = candidate.severity;
    }
  }
  return [...byKey.values()];
}

async function finish(candidate: Candidate, input: DiagnosisInput): Promise<Diagnosis> {
  const { rule, subject, data, names } = candidate;
  // What is to be changed may be in another namespace than where it shows.
  const netns = Number(names.netns) || Number(subject.data.netns ?? 0);
  const values = {
    ...subject.data,
    ...Object.assign({}, ...Object.values(data.evidence as object)),
    ...names,
    ns: await input.netnsPrefix(netns),
  };
  const remedies = (language: Language): Remedy[] => {
    const article = input.article(rule.article, language);
    return article ? input.remedies(article, values) : [];
  };
  const share = explainShare(candidate, input.analysis);
  const fine = notCauses(candidate, input.analysis);
  return {
    id: rule.id,
    severity: candidate.severity,
    confidence: candidate.confidence,
    summary: fillTemplate(rule.summary, data),
    summaryZh: fillTemplate(rule.summaryZh, data),
    ...(subject.segment && { share: subject.segment.share }),
    explains: share.en,
    explainsZh: share.zh,
    why: candidate.why,
    notCauses: fine.en,
    notCausesZh: fine.zh,
    remedies: remedies('en'),
    remediesZh: remedies('zh'),
    article: rule.article,
    names,
    findings: candidate.findings,
    paths: pathsOf(candidate, input.analysis),
  };
}

/** The packets that show it: of the same pair, the dropped ones for a drop, else the slowest. */
function pathsOf(candidate: Candidate, analysis: Analysis): Analysis['paths'] {
  const { pair, finding } = candidate.subject;
  const sampled = new Set(finding?.samples.map((event) => event.path));
  return analysis.paths
    .filter((path) => (pair ? path.pair === pair.id : sampled.has(path.id)))
    .sort((x, y) => y.duration - x.duration || x.id - y.id)
    .slice(0, 2);
}

function byWeight(x: Diagnosis, y: Diagnosis): number {
  const sure = { established: 0, likely: 1, 'not established': 2 };
  return (
    LEVELS[x.severity] - LEVELS[y.severity] ||
    sure[x.confidence] - sure[y.confidence] ||
    (y.share ?? 0) - (x.share ?? 0) ||
    weight(y) - weight(x) ||
    x.id.localeCompare(y.id)
  );
}

function weight(diagnosis: Diagnosis): number {
  return diagnosis.findings.reduce((sum, group) => sum + group.count, 0);
}
