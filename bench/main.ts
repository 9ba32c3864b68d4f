// npm run bench: speed as ratios within one run; absolute figures depend on the machine.
import { benchAttach } from './attach.js';
import { benchRules } from './rules.js';

const rules = await benchRules();
process.stdout.write(
  [
    `event rules, ${rules.rules} of them: ${rules.indexed.toFixed(0)} ns an event, compiled and indexed by probe`,
    `  every compiled rule asked: ${rules.compiled.ratio.toFixed(1)} times that`,
    `  json-rules-engine: ${rules.jsonRulesEngine.ratio.toFixed(0)} times that`,
    '',
  ].join('\n'),
);

if (process.geteuid?.() === 0) {
  for (const { set, attached, planned, totalMs, programs, verifiedInstructions, ...ms } of benchAttach()) {
    process.stdout.write(
      [
        `probes, set ${set}: ${attached} of ${planned} in ${totalMs.toFixed(0)} ms`,
        `  ${programs} programs loaded in ${ms.loadMs.toFixed(0)} ms, at most ${verifiedInstructions} instructions verified`,
        `  attached in ${ms.attachMs.toFixed(0)} ms, let go in ${ms.detachMs.toFixed(0)} ms`,
        '',
      ].join('\n'),
    );
  }
} else process.stdout.write('probes: not attached, this is not root\n');
