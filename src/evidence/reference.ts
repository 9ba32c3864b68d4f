import { COLLECTORS } from './index.js';

/** The reference of all evidence as Markdown: what each collector reads, takes and gives. */
export function evidenceReference(): string {
  return [...COLLECTORS.values()]
    .map((collector) =>
      [
        `### ${collector.name}`,
        '',
        collector.describe,
        ...(collector.before ? [] : ['', 'Read after the traffic alone.']),
        '',
        ...table('parameter', {
          netns: "inode number of the network namespace; absent: vdiag's own",
          ...collector.params,
        }),
        '',
        ...table('member', collector.members),
      ].join('\n'),
    )
    .join('\n\n');
}

function table(head: string, rows: Record<string, string>): string[] {
  const cells = Object.entries(rows).map(([name, meaning]) => `| \`${name}\` | ${meaning.replaceAll('|', '\\|')} |`);
  return [`| ${head} | meaning |`, '| --- | --- |', ...cells];
}
