import { dump } from 'js-yaml';
import type { OffsetsTable } from './offsets-table.js';

/** Depth at which a table's entries are written on one line: structs.NAME.members.MEMBER. */
const ONE_LINE = 4;

/** An offsets table as YAML, a member a line. `comment`: lines to stand above it. */
export function tableText(table: OffsetsTable, comment: readonly string[] = []): string {
  const above = comment.map((line) => `${`# ${line}`.trimEnd()}\n`).join('');
  return above + dump(table, { flowLevel: ONE_LINE, lineWidth: -1, quoteStyle: 'single' });
}
