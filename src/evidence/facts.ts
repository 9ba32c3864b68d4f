import type { Json } from '../base/json.js';
import { printable } from '../base/sanitize.js';
import { shellWord } from './shell-words.js';
import type { EvidenceParams, EvidencePhase, EvidenceSource, EvidenceWhere, Fact, RawEvidence } from './types.js';

type Value = { [key: string]: Json };

/** A fact that was established. `text` and `source` are made safe for a terminal. */
export function known(value: Value, source: string, text: string): Fact {
  const line = printable(text);
  // Templates of rules and articles may name the line too.
  return { known: true, value: { text: line, ...value }, source: printable(source), text: line };
}

/** A fact that could not be established, and why. */
export function unknown(why: string, source: string): Fact & { known: false } {
  return { known: false, why: printable(why), source: printable(source) };
}

/** A fact about something that the suspicion does not name: the host was not asked, so that nothing of it is unread. */
export function unnamed(why: string, source: string): Fact {
  return { ...unknown(why, source), unnamed: true };
}

/** The reason why an answer is not there. */
export function whyNot(answer: RawEvidence): string {
  return answer.status === 'ok' ? 'its answer could not be understood' : answer.why;
}

/** The text of an answer, or undefined. */
export function textOfAnswer(answer: RawEvidence): string | undefined {
  return answer.status === 'ok' ? answer.text : undefined;
}

/** Where and when to ask, for a collector's parameters. */
export function where(params: EvidenceParams, phase: EvidencePhase): EvidenceWhere {
  return params.netns === undefined ? { phase } : { netns: params.netns, phase };
}

/** The words before a command that make it run in a namespace: empty, `ip netns exec web ` or `nsenter --net=… `. */
export async function commandPrefix(source: EvidenceSource, netns: number | undefined): Promise<string> {
  if (netns === undefined) return '';
  const answer = await source.run(['vdiag:netns', String(netns)], { phase: 'after' });
  const door = parseObject(answer.status === 'ok' ? answer.text : '');
  if (door.own === true) return '';
  if (typeof door.name === 'string') return `ip netns exec ${shellWord(door.name)} `;
  if (typeof door.path === 'string') return `nsenter --net=${shellWord(door.path)} `;
  return '';
}

/** The object in a JSON text; empty when there is none. */
export function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** The objects in a JSON array; undefined when it is not one (old tools print text instead). */
export function parseObjects(text: string): Record<string, unknown>[] | undefined {
  if (text.trim() === '') return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isObject) : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own member that is an object; empty otherwise. */
export function objectIn(value: Record<string, unknown>, name: string): Record<string, unknown> {
  const member = value[name];
  return isObject(member) ? member : {};
}

/** A member as a finite number; undefined otherwise. */
export function numberIn(value: Record<string, unknown>, name: string): number | undefined {
  const member = value[name];
  return typeof member === 'number' && Number.isFinite(member) ? member : undefined;
}

/** A member as text; undefined otherwise. */
export function stringIn(value: Record<string, unknown>, name: string): string | undefined {
  const member = value[name];
  return typeof member === 'string' ? member : undefined;
}

/**
 * How much a counter grew; null when one of the readings is not there. A counter that went back (its object was made
 * anew meanwhile) has grown by what it shows now.
 */
export function delta(before: number | undefined, after: number | undefined): number | null {
  if (before === undefined || after === undefined) return null;
  return after >= before ? after - before : after;
}

/** Text parameter, or undefined when absent or empty. */
export function textParam(params: EvidenceParams, name: string): string | undefined {
  const value = params[name];
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Number parameter (numbers in text are taken), or undefined. */
export function numberParam(params: EvidenceParams, name: string): number | undefined {
  const value = params[name];
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/**
 * A device's name as it may be given to a tool: what the kernel allows (dev_valid_name), but never one that a tool
 * would take for an option.
 */
export function deviceParam(params: EvidenceParams, name = 'device'): string | undefined {
  const value = textParam(params, name);
  return value !== undefined && isDeviceName(value) ? value : undefined;
}

export function isDeviceName(name: string): boolean {
  return (
    name.length < 16 && !/[/:\s]/.test(name) && !name.startsWith('-') && name !== '.' && name !== '..' && name !== ''
  );
}

/** `+41 in 30 s`: how a delta is told; empty when it is unknown. */
export function grewBy(count: number | null, params: EvidenceParams): string {
  if (count === null) return '';
  const seconds = numberParam(params, 'seconds');
  return `+${count}${seconds === undefined ? '' : ` in ${Math.round(seconds)} s`}`;
}
