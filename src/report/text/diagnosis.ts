import { printable } from '../../base/sanitize.js';
import type { Diagnosis } from '../../diagnosis/types.js';
import type { Colours } from './colours.js';
import { pad, spread, wrap } from './layout.js';
import type { Words } from './words.js';

const LABEL = 7;

/** One diagnosis: summary and confidence, then why, what it is not, what to do, how to check and undo it, what to read. */
export function diagnosisBlock(
  diagnosis: Diagnosis,
  words: Words,
  colours: Colours,
  zh: boolean,
  width: number,
): string[] {
  const { colon, open, close } = words.marks;
  const badge = words[diagnosis.severity];
  const inner = width - LABEL;
  const [first, ...rest] = wrap(printable(zh ? diagnosis.summaryZh : diagnosis.summary), inner - 16);
  const head = spread(`${pad(badge, LABEL)}${first ?? ''}`, words[diagnosis.confidence], width);
  const lines = [colours.level[diagnosis.severity](badge) + head.slice(badge.length)];
  for (const line of rest) lines.push(' '.repeat(LABEL) + line);
  const explains = zh ? diagnosis.explainsZh : diagnosis.explains;
  if (explains)
    lines.push(...wrap(`${words.explains} ${printable(explains)}`, inner).map((line) => ' '.repeat(LABEL) + line));
  lines.push('');
  labelled(
    words.why,
    diagnosis.why.flatMap((line) => whyLines(zh ? line.textZh : line.text, line.source, inner - 2, colours)),
  );
  const fine = zh ? diagnosis.notCausesZh : diagnosis.notCauses;
  if (fine.length > 0)
    labelled(words.not, wrap(`${printable(fine.join(' · '))}${colon}${words.withinBudget}`, inner - 2));
  const remedies = zh ? diagnosis.remediesZh : diagnosis.remedies;
  for (const remedy of remedies) {
    labelled(words.do, [
      ...wrap(`${printable(remedy.effect)}${open}${words.risk}${colon}${words.risks[remedy.risk]}${close}`, inner - 2),
      ...commandLines(remedy.do).map((line) => `  ${line}`),
    ]);
    if (remedy.persist) labelled(words.keep, wrap(printable(remedy.persist), inner - 2));
    if (remedy.verify) labelled(words.check, commandLines(remedy.verify));
    if (remedy.undo) labelled(words.undo, commandLines(remedy.undo));
  }
  labelled(words.read, [`vdiag kb show ${diagnosis.article}`]);
  return lines;

  function labelled(label: string, texts: string[]): void {
    texts.forEach((text, i) => lines.push(`  ${pad(i === 0 ? colours.dim(label) : '', LABEL)}${text}`.trimEnd()));
  }
}

/** A line of proof with the command that shows it again at the right, or below where the line is full. */
function whyLines(text: string, source: string, width: number, colours: Colours): string[] {
  const lines = wrap(printable(text), width, '  ');
  if (!source) return lines;
  const joined = spread(lines.at(-1) ?? '', printable(source), width);
  const shown = joined.includes('\n') ? [lines.at(-1) ?? '', `  ${printable(source)}`] : [joined];
  const painted = shown.map((line, i) =>
    i === shown.length - 1 ? line.replace(printable(source), () => colours.dim(printable(source))) : line,
  );
  return [...lines.slice(0, -1), ...painted];
}

/** Commands are never wrapped: they are copied. */
function commandLines(text: string): string[] {
  return printable(text, { multiline: true }).trimEnd().split('\n');
}
