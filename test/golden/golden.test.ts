import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import {
  FIXTURES,
  GOLDEN_ENDINGS,
  MAX_FIXTURE_BYTES,
  chunkBoundaries,
  goldenText,
  recordingFile,
  replayed,
} from '../../scripts/recordings.js';
import { VdiagError } from '../../src/base/errors.js';
import { packagePath } from '../../src/base/package-root.js';
import { renderText } from '../../src/report/text/render.js';
import type { Report } from '../../src/report/types.js';
import { loadLibrary } from '../../src/scenarios/library.js';
import { answerReplay } from '../../src/scenarios/replay.js';

const library = loadLibrary();
const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(packagePath('docs', 'schema', 'report.schema.json'), 'utf8')) as object,
);
const reportOf = (text: string): Report => JSON.parse(text) as Report;

/** Small, seeded: a failure can be seen again. */
function* pseudoRandom(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

describe('golden replays', function () {
  this.timeout(60_000);

  it('are of every bundled recording, and none besides', () => {
    const recordings = readdirSync(packagePath('fixtures', 'recordings')).sort();
    expect(recordings).to.deep.equal(FIXTURES.map((fixture) => basename(recordingFile(fixture))).sort());
    const golden = readdirSync(packagePath('test', 'golden')).filter((name) => !name.endsWith('.test.ts'));
    const expected = FIXTURES.flatMap(({ lab }) => GOLDEN_ENDINGS.map((ending) => `${lab}.${ending}`));
    expect(golden.sort()).to.deep.equal(expected.sort());
    for (const fixture of FIXTURES) expect(statSync(recordingFile(fixture)).size).to.be.at.most(MAX_FIXTURE_BYTES);
  });

  for (const fixture of FIXTURES) {
    describe(fixture.lab, () => {
      it('gives its golden report: text, Chinese text and JSON, twice the same', async () => {
        const first = await replayed(library, fixture);
        for (const ending of GOLDEN_ENDINGS) {
          expect(first[ending], `${fixture.lab}.${ending}; npm run golden writes it anew`).to.equal(
            goldenText(fixture, ending),
          );
        }
        expect(await replayed(library, fixture)).to.deep.equal(first);
      });

      it('has a JSON report of the published schema, with the expected diagnosis first', () => {
        const value = reportOf(goldenText(fixture, 'json'));
        expect(validate(value), JSON.stringify(validate.errors)).to.equal(true);
        const found = value.diagnoses.filter(({ severity }) => severity !== 'info');
        expect(found[0]?.id).to.equal(fixture.diagnosis);
        if (fixture.diagnosis === undefined) {
          expect(value.findings.filter(({ level }) => level !== 'info')).to.deep.equal([]);
          expect(value.verdict.level).to.be.oneOf(['clean', 'info']);
        } else {
          expect(found[0].confidence).to.equal('established');
          expect(found[0].remedies).to.not.be.empty;
        }
      });
    });
  }

  it('do not depend on the time zone, the language or the rules of whoever replays', () => {
    const [fixture] = FIXTURES;
    const home = mkdtempSync(join(tmpdir(), 'vdiag-golden-'));
    try {
      for (const TZ of ['Asia/Shanghai', 'America/St_Johns']) {
        const { stdout, stderr, status } = spawnSync(
          process.execPath,
          [packagePath('dist', 'cli', 'main.js'), 'run', '--replay', recordingFile(fixture), '--format', 'json'],
          { encoding: 'utf8', env: { ...process.env, TZ, LANG: 'zh_CN.UTF-8', HOME: home, XDG_CONFIG_HOME: home } },
        );
        expect(stderr).to.equal('');
        expect(stdout).to.equal(goldenText(fixture, 'json'));
        expect(status).to.equal(1);
      }
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  it('fit every width of a terminal', () => {
    for (const fixture of FIXTURES) {
      const report = reportOf(goldenText(fixture, 'json'));
      for (const width of [60, 80, 140]) {
        for (const language of ['en', 'zh'] as const) {
          const text = renderText(report, { language, colour: false, width, status: 0 });
          expect(text, `${fixture.lab} ${language} ${width}`).to.not.match(/undefined|NaN|\[object|\{\{/);
          expect(text).to.include(language === 'en' ? report.verdict.text.slice(0, 20) : report.verdict.textZh.slice(0, 6));
        }
      }
    }
  });
});

describe('a recording that is cut or damaged', function () {
  this.timeout(240_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-cut-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Replays bytes: a report, or the error that a user is shown. Anything else is thrown. */
  async function outcome(bytes: Uint8Array): Promise<Report | VdiagError> {
    const file = join(folder, 'cut.vdiag');
    writeFileSync(file, bytes);
    try {
      return await answerReplay({ library, file, inThisThread: true });
    } catch (error) {
      if (error instanceof VdiagError) return error;
      throw error;
    }
  }

  for (const fixture of FIXTURES.slice(0, 2)) {
    it(`${fixture.lab}: at every chunk boundary it replays up to the cut, and says so`, async () => {
      const whole = readFileSync(recordingFile(fixture));
      const boundaries = chunkBoundaries(recordingFile(fixture));
      expect(boundaries.length).to.be.greaterThan(10);
      let packets = 0;
      for (const [i, cut] of boundaries.entries()) {
        const result = await outcome(whole.subarray(0, cut));
        if (i === 0) {
          expect(result).to.be.instanceOf(VdiagError);
          expect((result as VdiagError).exitStatus).to.equal(2);
          continue;
        }
        const report = result as Report;
        expect(report.kind, `cut at ${cut}`).to.equal('Report');
        expect(report.ended).to.equal(cut === whole.length ? 'duration' : 'cut');
        expect(report.traffic.packets, 'packets grow with the file').to.be.at.least(packets);
        packets = report.traffic.packets;
        renderText(report, { language: 'zh', colour: true, width: 80, status: 0 });
      }
    });
  }

  it('at 200 random bytes: a report or an error that tells, never a crash', async () => {
    const whole = readFileSync(recordingFile(FIXTURES[2]));
    const random = pseudoRandom(20);
    for (let i = 0; i < 100; i++) {
      const result = await outcome(whole.subarray(0, Math.floor(random.next().value! * whole.length)));
      if (result instanceof VdiagError) expect(result.exitStatus).to.equal(2);
      else expect(result.ended).to.equal('cut');
    }
    for (let i = 0; i < 100; i++) {
      const bytes = Buffer.from(whole);
      bytes[Math.floor(random.next().value! * whole.length)] ^= 1 + Math.floor(random.next().value! * 255);
      const result = await outcome(bytes);
      if (result instanceof VdiagError) expect(result.exitStatus).to.equal(2);
      else expect(result.coverage.loss.recordingCut, `damage ${i}`).to.be.greaterThan(0);
    }
  });
});
