import { readFileSync } from 'node:fs';
import { packagePath } from '../../src/base/package-root.js';
import { createRecordedSource, type EvidenceEntry } from '../../src/evidence/index.js';
import type { EvidencePhase, EvidenceSource } from '../../src/evidence/types.js';

/** Real answers, captured by capture-samples.ts. Namespaces: 1 gca, 2 gcb (firewall, sockets), 3 gcr (bridge). */
export const SAMPLES = JSON.parse(readFileSync(samplePath('entries.json'), 'utf8')) as EvidenceEntry[];

/** Another file of the samples. */
export function sampleFile(name: string): string {
  return readFileSync(samplePath(name), 'utf8');
}

function samplePath(name: string): string {
  return packagePath('test', 'evidence', 'samples', name);
}

/** One answer of Debian's 6.1 kernel, captured by capture-vm-samples.ts. */
export function debianSample(name: string): string {
  const text = sampleFile('debian-6.1.txt').split(`=== ${name}\n`)[1];
  if (text === undefined) throw new Error(`the samples of Debian 6.1 do not hold ${name}`);
  return text.split('=== ')[0];
}

/** The answer to a question, e.g. `sample('tc -j -s -d qdisc show', 3)`. */
export function sample(question: string, netns?: number, phase: EvidencePhase = 'after'): string {
  const entry = SAMPLES.find((one) => one.what.join(' ') === question && one.netns === netns && one.phase === phase);
  if (entry?.answer.status !== 'ok') throw new Error(`the samples do not hold an answer to "${question}"`);
  return entry.answer.text;
}

/** A source that answers from the samples, with some answers replaced. */
export function sampleSource(
  replace: (entry: EvidenceEntry) => EvidenceEntry | undefined = (entry) => entry,
): EvidenceSource {
  return createRecordedSource(SAMPLES.flatMap((entry) => replace(entry) ?? []));
}
