import { readFileSync } from 'node:fs';
import { packagePath } from '../src/base/package-root.js';
import { renderJson } from '../src/report/json.js';
import { renderText } from '../src/report/text/render.js';
import { worstLevel } from '../src/report/build.js';
import { type Library } from '../src/scenarios/library.js';
import { answerReplay } from '../src/scenarios/replay.js';

/** A bundled recording: the lab that was traced, the question asked, and what the first diagnosis must be. */
export interface Fixture {
  lab: string;
  scenario: string;
  /** None: healthy, so nothing at warn or above. */
  diagnosis?: string;
}

/** Every recording in fixtures/recordings. Those of faults that only function probes tell apart are not among them. */
export const FIXTURES: readonly Fixture[] = [
  { lab: 'slow-bridge-port', scenario: 'vm-to-vm-latency', diagnosis: 'qdisc-shaping-delay' },
  { lab: 'healthy-bridge', scenario: 'vm-to-vm-latency' },
  { lab: 'port-closed', scenario: 'connect-failure', diagnosis: 'port-closed' },
  { lab: 'no-route', scenario: 'packet-drop', diagnosis: 'no-route' },
  { lab: 'firewall-drop-forward', scenario: 'packet-drop', diagnosis: 'firewall-rule-drops-flow' },
  { lab: 'nft-drop', scenario: 'connect-failure', diagnosis: 'firewall-rule-drops-flow' },
  { lab: 'neighbour-failed', scenario: 'packet-drop', diagnosis: 'neighbour-failed' },
  { lab: 'mtu-blackhole', scenario: 'packet-drop', diagnosis: 'mtu-black-hole' },
];

/** Most bytes of a bundled recording: they are in the repository and in the package. */
export const MAX_FIXTURE_BYTES = 200_000;

export function recordingFile({ lab }: Fixture): string {
  return packagePath('fixtures', 'recordings', `${lab}.vdiag`);
}

/** The golden reports of a recording, by their ending. */
export const GOLDEN_ENDINGS = ['txt', 'zh.txt', 'json'] as const;
export type GoldenEnding = (typeof GOLDEN_ENDINGS)[number];

export function goldenFile({ lab }: Fixture, ending: GoldenEnding): string {
  return packagePath('test', 'golden', `${lab}.${ending}`);
}

export function goldenText(fixture: Fixture, ending: GoldenEnding): string {
  return readFileSync(goldenFile(fixture, ending), 'utf8');
}

/** Columns of the golden reports. */
const WIDTH = 100;

/** Replays a recording and renders its report in every form that has a golden file. */
export async function replayed(library: Library, fixture: Fixture): Promise<Record<GoldenEnding, string>> {
  const report = await answerReplay({ library, file: recordingFile(fixture) });
  const status = worstLevel(report) === 'error' ? 1 : 0;
  const text = (language: 'en' | 'zh'): string => renderText(report, { language, colour: false, width: WIDTH, status });
  return { txt: text('en'), 'zh.txt': text('zh'), json: renderJson(report) };
}

/** File offsets at which a chunk of a recording begins, the end of the file among them. */
export function chunkBoundaries(file: string): number[] {
  const bytes = readFileSync(file);
  const marks: number[] = [];
  for (let at = bytes.indexOf('VDCK'); at >= 0; at = bytes.indexOf('VDCK', at + 4)) marks.push(at);
  return [...marks, bytes.length];
}
