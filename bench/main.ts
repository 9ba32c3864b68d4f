// npm run bench: speed as ratios within one run; absolute figures depend on the machine.
import { benchPipeline } from './pipeline.js';
import { benchReaders } from './readers.js';
import { benchRules } from './rules.js';

const rules = await benchRules();
const readers = benchReaders();
const pipeline = benchPipeline();
const percent = (without: number): string => `${(100 * (1 - without / pipeline.whole)).toFixed(0)} %`;
process.stdout.write(
  [
    `event rules, ${rules.rules} of them: ${rules.indexed.toFixed(0)} ns an event, compiled and indexed by probe`,
    `  every compiled rule asked: ${rules.compiled.ratio.toFixed(1)} times that`,
    `  json-rules-engine: ${rules.jsonRulesEngine.ratio.toFixed(0)} times that`,
    `reading: ${readers.ring.toFixed(0)} ns an event from the ring, ${readers.perf.toFixed(0)} ns from perf buffers, merged`,
    `the hot path: ${pipeline.whole.toFixed(0)} ns an event (${pipeline.events} recorded events of TCP under loss)`,
    `  of it the rules: ${percent(pipeline.withoutRules)}`,
    `  of it the analysis of TCP streams: ${percent(pipeline.withoutStreams)}`,
    '',
  ].join('\n'),
);
