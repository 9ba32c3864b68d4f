import { readDocument, schemaProblems, type SourceDocument, yamlFilesBelow } from '../base/documents.js';
import { type Problem, VdiagError } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import type { ProbeRole } from './types.js';

/** Type and code of an ICMP error. */
export type IcmpError = readonly [type: number, code: number];

/** What happened to the same skb before it was freed, or by what this host answered it. */
export type DropClue =
  | { probe: string; errno: string }
  | { probe: string; returns: number | 'nonzero' }
  | { probe: string; icmp: IcmpError }
  | { answer: 'rst' | { icmp: IcmpError } }
  /** Role of its last event. */
  | { last: ProbeRole };

/** One way to tell why a packet was freed: `bpf/drop-reasons/*.yaml`, docs/schema/drop-reasons.schema.json. */
export interface DropRule {
  /** Functions that freed it, without what a compiler appends. */
  in: readonly string[];
  /** Name of enum skb_drop_reason, as {@link KernelNames} gives it: NO_SOCKET. */
  reason: string;
  /** Kernel source file, and why it is so. */
  source: string;
  /** First and last kernel that it holds for: `4.19`. */
  from?: string;
  until?: string;
  when?: { proto?: 'TCP' | 'UDP' | 'ICMP' | 'ICMPv6'; flags?: string; otherHost?: true };
  /** Any of these happened. */
  after?: readonly DropClue[];
  /** Not every packet is answered: what is refused there for the same destination soon after has the same reason. */
  sameDestination?: true;
  /** None of these happened, and each of them would have been seen. */
  unless?: readonly DropClue[];
}

interface DropReasonsFile {
  rules: DropRule[];
}

/**
 * Loads the rules, in the order in which they are tried: those that a probe proves come before those by the place alone.
 * @throws VdiagError (status 2) with every problem of every file, each with its position.
 */
export function loadDropRules(folder = packagePath('bpf', 'drop-reasons')): DropRule[] {
  const problems: Problem[] = [];
  const rules: DropRule[] = [];
  for (const file of yamlFilesBelow(folder)) {
    const document = readDocument(file);
    const wrong = schemaProblems(document, 'drop-reasons');
    problems.push(...wrong);
    if (wrong.length === 0) rules.push(...(document as SourceDocument<DropReasonsFile>).value.rules);
  }
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return [...rules.filter(({ after }) => after), ...rules.filter(({ after }) => !after)];
}

/** The rules that hold for a kernel: `5.10.0-32-cloud-amd64`. None hold for a release that is no version. */
export function dropRulesFor(rules: readonly DropRule[], release: string): DropRule[] {
  const version = numberOf(release);
  if (version === undefined) return [];
  return rules.filter(
    ({ from, until }) => version >= (numberOf(from ?? '0.0') ?? 0) && version <= (numberOf(until ?? '') ?? Infinity),
  );
}

/** Probes by which rules tell why a packet was freed, and of which they need the return value. */
export function probesOfDropRules(rules: readonly DropRule[]): { probes: string[]; wantReturn: string[] } {
  const clues = rules.flatMap(({ after = [], unless = [] }) => [...after, ...unless]);
  const named = clues.filter((clue) => 'probe' in clue);
  const unique = (names: string[]): string[] => [...new Set(names)].sort();
  return {
    probes: unique(named.map(({ probe }) => probe)),
    wantReturn: unique(named.filter((clue) => !('icmp' in clue)).map(({ probe }) => probe)),
  };
}

function numberOf(version: string): number | undefined {
  const match = /^(\d+)\.(\d+)/.exec(version);
  return match ? Number(match[1]) * 1000 + Number(match[2]) : undefined;
}
