import type { Json } from '../base/json.js';

/** When a fact was read: counters need both, a state only `after`. */
export type EvidencePhase = 'before' | 'after';

/** The outcome of asking the host something. `missing`: the tool or file is not there; `failed`: it said no or took too long. */
export type RawEvidence = { status: 'ok'; text: string } | { status: 'missing' | 'failed'; why: string };

/**
 * The host, as evidence sees it. Live: runs the host's tools by argument array (never a shell), in the asked network
 * namespace, within a time limit. Replay: answers from the recording. Both keep every answer for the rest of the run.
 */
export interface EvidenceSource {
  /** Output of a tool, e.g. `run(['tc', '-j', '-s', 'qdisc', 'show'], { netns: 4026531840, phase: 'after' })`. */
  run(argv: readonly string[], where: EvidenceWhere): Promise<RawEvidence>;
  /** Content of a file below /proc, /sys or /run, read in that network namespace. */
  read(path: string, where: EvidenceWhere): Promise<RawEvidence>;
  /** Names in a directory, sorted. */
  list(path: string, where: EvidenceWhere): Promise<RawEvidence>;
}

export interface EvidenceWhere {
  /** Inode number of the network namespace; absent: vdiag's own. */
  netns?: number;
  phase: EvidencePhase;
}

/**
 * A fact about the host. `known: false` is "not established" and says why; it never crashes a diagnosis; `unnamed`: the question
 * named no device, process …, so that nothing was asked. What a fact's value holds is documented in its collector's file;
 * `source` is the command that a user can repeat.
 */
export type Fact<T = { [key: string]: Json }> =
  | { known: true; value: T; source: string; text: string }
  | { known: false; why: string; source: string; unnamed?: true };

/** One kind of evidence: one file in src/evidence/collectors/, named as rules name it (`evidence.<name>`). */
export interface EvidenceCollector {
  /** `qdisc`, `firewall-rule`, `sysctl` … */
  name: string;
  /** One sentence for the docs. */
  describe: string;
  /** Parameters it takes, by name, with what they mean. `netns` is understood by all. */
  params: Record<string, string>;
  /** Members of its value that conditions may use (`path: $.name`), with unit and meaning. */
  members: Record<string, string>;
  /** Reads what must be read before the traffic (counters); absent when the state at the end is enough. */
  before?(source: EvidenceSource, netns: number | undefined): Promise<void>;
  /** The fact, after the traffic. Must not throw for anything the host says. */
  collect(source: EvidenceSource, params: EvidenceParams): Promise<Fact>;
}

export interface EvidenceParams {
  netns?: number;
  [name: string]: Json | undefined;
}
