import { expect } from 'chai';
import fc from 'fast-check';
import { COLLECTORS, createRecordedSource } from '../../src/evidence/index.js';
import { parseEbtablesList } from '../../src/evidence/parsers/ebtables-list.js';
import { parseFeatures, parseFields, parseRings } from '../../src/evidence/parsers/ethtool.js';
import { parseIptablesSave } from '../../src/evidence/parsers/iptables-save.js';
import { parseLinks } from '../../src/evidence/parsers/links.js';
import { parseNftRuleset, parseNftTexts } from '../../src/evidence/parsers/nft-ruleset.js';
import { parseCpuTimes, parseInterrupts, parsePressure } from '../../src/evidence/parsers/proc-cpu.js';
import {
  parseConntrackStats,
  parseNetStat,
  parseSnmp,
  parseSnmp6,
  parseSoftnet,
} from '../../src/evidence/parsers/proc-net.js';
import { parseSockets } from '../../src/evidence/parsers/sockets.js';
import { parsePolicers, parseQdiscs, parseQueueText } from '../../src/evidence/parsers/traffic-control.js';
import { savedWords, shellLine } from '../../src/evidence/shell-words.js';
import { SAMPLES } from './samples.js';
import { SAMPLE_QUESTIONS } from './sample-questions.js';

const origin = { backend: 'iptables-legacy', tool: 'iptables-legacy', family: 'ip' } as const;
const PARSERS: Record<string, (text: string) => unknown> = {
  parseConntrackStats,
  parseCpuTimes,
  parseEbtablesList,
  parseFeatures,
  parseFields,
  parseInterrupts,
  parseIptablesSave: (text) => parseIptablesSave(text, origin),
  parseLinks,
  parseNetStat,
  parseNftRuleset,
  parseNftTexts,
  parsePolicers,
  parsePressure,
  parseQdiscs,
  parseQueueText,
  parseRings,
  parseSnmp,
  parseSnmp6,
  parseSockets,
  parseSoftnet,
};

const texts = SAMPLES.flatMap(({ answer }) => (answer.status === 'ok' && answer.text !== '' ? [answer.text] : []));

/** A real answer that was cut, lost or doubled a part, or had foreign text put in. */
const mangled = fc
  .record({
    text: fc.constantFrom(...texts),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat(60),
    how: fc.constantFrom('cut', 'remove', 'double', 'insert', 'replace'),
    foreign: fc.oneof(
      fc.string(),
      fc.constantFrom('-1', '99999999999999999999', 'NaN', 'null', '{}', '[]', '"', '\u001b[31m', '\n\n', '%s'),
    ),
  })
  .map(({ text, at, length, how, foreign }) => {
    const from = Math.floor(at * text.length);
    const [head, part, tail] = [text.slice(0, from), text.slice(from, from + length), text.slice(from + length)];
    switch (how) {
      case 'cut':
        return head;
      case 'remove':
        return head + tail;
      case 'double':
        return head + part + part + tail;
      case 'insert':
        return head + foreign + part + tail;
      default:
        return head + foreign + tail;
    }
  });

/** Any JSON in the place of what a tool's JSON holds: the types are not what was expected. */
const wrongJson = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value));

describe('parsers of evidence, on answers that went wrong', () => {
  for (const [name, parse] of Object.entries(PARSERS)) {
    it(`${name} never throws`, () => {
      fc.assert(
        fc.property(fc.oneof(mangled, wrongJson, fc.string()), (text) => void parse(text)),
        { numRuns: 300 },
      );
    });
  }

  it('collectors answer with a fact, known or unknown, and with safe text', async () => {
    const choices = fc.array(fc.tuple(fc.nat(SAMPLES.length - 1), fc.oneof(mangled, wrongJson)), {
      minLength: 1,
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(choices, fc.nat(SAMPLE_QUESTIONS.length - 1), async (replaced, index) => {
        const entries = SAMPLES.map((entry) => ({ ...entry }));
        for (const [i, text] of replaced) entries[i].answer = { status: 'ok', text };
        const { collector, netns, params } = SAMPLE_QUESTIONS[index];
        const fact = await COLLECTORS.get(collector)!.collect(createRecordedSource(entries), {
          ...params,
          ...(netns ? { netns } : {}),
        });
        const said = fact.known ? fact.text : fact.why;

        expect(`${said}${fact.source}`).to.not.match(/[\u0000-\u001f\u007f]/);
        if (!fact.known) expect(fact.why).to.not.contain('was not understood:');
        expect(JSON.parse(JSON.stringify(fact))).to.deep.equal(fact);
      }),
      { numRuns: 400 },
    );
  });

  it('collectors answer when every question fails', async () => {
    const entries = SAMPLES.map((entry) => ({ ...entry, answer: { status: 'failed' as const, why: 'no' } }));
    for (const { collector, netns, params } of SAMPLE_QUESTIONS) {
      const fact = await COLLECTORS.get(collector)!.collect(createRecordedSource(entries), {
        ...params,
        ...(netns ? { netns } : {}),
      });
      expect(fact.known, collector).to.equal(false);
    }
  });
});

describe('shell words', () => {
  it('a line that is read back gives the words that it was made of', async () => {
    const { execFileSync } = await import('node:child_process');
    const word = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), (words) => {
        const line = `printf '%s\\0' ${shellLine(words)}`;
        expect(execFileSync('/bin/sh', ['-c', line], { encoding: 'utf8' })).to.equal(
          words.map((one) => `${one}\0`).join(''),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('words that iptables-save quoted are read back', () => {
    expect(savedWords('-m comment --comment "drop $(it) \\"now\\"" -j DROP')).to.deep.equal([
      '-m',
      'comment',
      '--comment',
      'drop $(it) "now"',
      '-j',
      'DROP',
    ]);
  });
});
