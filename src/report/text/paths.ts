import { printable } from '../../base/sanitize.js';
import { ms } from '../../base/units.js';
import type { SkbEvent } from '../../events/types.js';
import type { PathView } from '../../paths/types.js';
import { pad } from './layout.js';
import type { Words } from './words.js';

/** A packet's way through the kernel: time since the event before, point, device, and what happened there. */
export function pathBlock(path: PathView, words: Words): string[] {
  const lines = [`  ${printable(path.summary)}   ${ms(path.duration)}${words.marks.comma}${words.ends[path.end]}`];
  let last = path.events[0]?.ts ?? 0;
  for (const event of path.events) {
    const step = (event.ts - last) / 1e6;
    last = event.ts;
    lines.push(
      `    ${pad(`+${ms(step)}`, 11, 'right')}  ${pad(event.probe, 24)}${pad(printable(event.device), 16)}${note(event, words)}`.trimEnd(),
    );
  }
  return lines;
}

function note(event: SkbEvent, words: Words): string {
  const parts: string[] = [];
  if (event.reason)
    parts.push(
      event.reasonInferred ? `${event.reason}${words.marks.open}${words.inferred}${words.marks.close}` : event.reason,
    );
  else if (event.role === 'drop' && event.location) parts.push(words.noReason);
  if (event.location) parts.push(`at ${event.location}`);
  if (event.verdict)
    parts.push(`${event.table ?? ''} ${event.chain ?? ''} ${event.hook ?? ''} ${event.verdict}`.trim());
  if (event.role === 'deliver') parts.push(`pid ${event.pid}`);
  return printable(parts.join(' '));
}
