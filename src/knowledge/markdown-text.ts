import MarkdownIt from 'markdown-it';
import { printable } from '../base/sanitize.js';
import { wrapText } from './wrap.js';

type Token = ReturnType<MarkdownIt['parse']>[number];

const markdown = new MarkdownIt({ html: false, linkify: false });

/** Markdown as plain lines for a terminal: paragraphs, headings, lists, code, quotes; tables and images by their text. */
export function markdownToLines(text: string, width: number): string[] {
  const lines: string[] = [];
  /** Marks of the lists that the text is in: `- ` or the next number. */
  const lists: { number: number | undefined }[] = [];
  let bullet = '';
  const separate = (): void => {
    if (lines.length > 0 && lines.at(-1) !== '') lines.push('');
  };
  const put = (content: string): void => {
    const indent = '  '.repeat(Math.max(0, lists.length - 1));
    const mark = bullet;
    const hanging = indent + ' '.repeat(lists.length > 0 ? 2 : 0);
    wrapText(content, width - hanging.length - (mark ? mark.length - 2 : 0)).forEach((line, i) => {
      lines.push(i === 0 && mark !== '' ? `${indent}${mark}${line}` : `${hanging}${line}`);
    });
    bullet = '';
  };
  for (const token of markdown.parse(text, {})) {
    switch (token.type) {
      case 'bullet_list_open':
      case 'ordered_list_open':
        if (lists.length === 0) separate();
        lists.push({ number: token.type === 'ordered_list_open' ? Number(token.attrGet('start') ?? 1) : undefined });
        break;
      case 'bullet_list_close':
      case 'ordered_list_close':
        lists.pop();
        break;
      case 'list_item_open': {
        const list = lists.at(-1);
        bullet = list?.number === undefined ? '- ' : `${list.number++}. `;
        break;
      }
      case 'paragraph_open':
      case 'heading_open':
        if (lists.length === 0) separate();
        break;
      case 'inline':
        put(printable(inlineText(token)));
        break;
      case 'fence':
      case 'code_block':
        separate();
        for (const line of token.content.replace(/\n$/, '').split('\n')) lines.push(`    ${printable(line)}`);
        break;
    }
  }
  return lines;
}

/** The text of a paragraph: emphasis is dropped, code keeps its backticks, links show where they lead. */
function inlineText(token: Token): string {
  let text = '';
  let target = '';
  for (const child of token.children ?? []) {
    if (child.type === 'text') text += child.content;
    else if (child.type === 'code_inline') text += `\`${child.content}\``;
    else if (child.type === 'softbreak' || child.type === 'hardbreak') text += breakBetween(text);
    else if (child.type === 'image') text += child.content;
    else if (child.type === 'link_open') target = child.attrGet('href') ?? '';
    else if (child.type === 'link_close') {
      if (target !== '' && !text.endsWith(target)) text += ` (${target})`;
      target = '';
    }
  }
  return text;
}

/** A line break in the source is a blank between words, and nothing within Chinese text. */
function breakBetween(before: string): string {
  return /[\p{Script=Han}\u3000-\u303f\uff00-\uffef]$/u.test(before) ? '' : ' ';
}
