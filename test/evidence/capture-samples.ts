import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import {
  COLLECTORS,
  createLiveSource,
  createRecordingSource,
  snapshotBefore,
  type EvidenceEntry,
} from '../../src/evidence/index.js';
import { packagePath } from '../../src/base/package-root.js';
import { SAMPLE_QUESTIONS } from './sample-questions.js';

/**
 * Makes test/evidence/samples/entries.json anew: real answers of this machine's tools about real namespaces.
 * `npx tsx test/evidence/capture-samples.ts`, as root. Namespaces are numbered 1 (gca), 2 (gcb), 3 (gcr) in it.
 */
const script = packagePath('test', 'evidence', 'capture-samples.sh');
const phase = (name: string): void =>
  void execFileSync('bash', [script, name], { stdio: ['ignore', 'inherit', 'inherit'] });

const entries: EvidenceEntry[] = [];
try {
  phase('setup');
  const inodes = ['gca', 'gcb', 'gcr'].map((name) => statSync(`/run/netns/${name}`).ino);
  const source = createRecordingSource(createLiveSource({ timeoutMs: 10000 }), {
    onEntry: (entry) => entries.push(entry),
  });
  await snapshotBefore(source, [...COLLECTORS.keys()], [undefined, ...inodes]);
  source.closeBefore();
  phase('traffic');
  const asked = SAMPLE_QUESTIONS.filter(({ late }) => !late);
  const ask = async (list: typeof SAMPLE_QUESTIONS): Promise<void> => {
    for (const { collector, netns, params } of list) {
      await COLLECTORS.get(collector)!.collect(source, { ...params, ...(netns ? { netns: inodes[netns - 1] } : {}) });
    }
  };
  await ask(asked);
  phase('refuse');
  await ask(SAMPLE_QUESTIONS.filter(({ late }) => late));
  const numbered = entries.map((entry) => {
    const index = inodes.indexOf(entry.netns ?? -1);
    const what = entry.what.map((word) => {
      const of = inodes.indexOf(Number(word));
      return entry.what[0] === 'vdiag:netns' && of >= 0 ? String(of + 1) : word;
    });
    return { ...entry, what, ...(index >= 0 ? { netns: index + 1 } : {}) };
  });
  const lines = numbered.map((entry) => JSON.stringify(entry)).join(',\n');
  writeFileSync(packagePath('test', 'evidence', 'samples', 'entries.json'), `[\n${lines}\n]\n`);
} finally {
  phase('teardown');
}
