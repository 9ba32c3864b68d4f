/**
 * Where in a text file something is wrong. Lines and columns count from 1.
 */
export interface SourcePosition {
  file: string;
  line: number;
  column: number;
}

/** One thing that is wrong with what the user gave, in the form every command prints it. */
export interface Problem {
  /** What is wrong, with the offending text. */
  message: string;
  /** Where, if it stands in a file. */
  at?: SourcePosition;
  /** What was expected instead. */
  expected?: string;
  /** What to do about it ("did you mean …", a command to run). */
  hint?: string;
}

/** Exit statuses of the command line (design: 0 clean, 1 something found, 2 wrong use, 3 could not run). */
export const EXIT = { clean: 0, found: 1, usage: 2, cannotRun: 3 } as const;

/**
 * An error that is the user's or the host's, not vdiag's: printed as its problems, without a stack trace.
 * `exitStatus` 2: wrong use (flag, YAML, recording); 3: this host cannot do it (privileges, kernel, library).
 */
export class VdiagError extends Error {
  readonly problems: readonly Problem[];
  readonly exitStatus: 2 | 3;

  constructor(problems: Problem | readonly Problem[], exitStatus: 2 | 3, options?: ErrorOptions) {
    const list = 'message' in problems ? [problems] : problems;
    super(list.map(formatProblem).join('\n'), options);
    this.name = 'VdiagError';
    this.problems = list;
    this.exitStatus = exitStatus;
  }
}

/** `file:line:column: message; expected …; hint`, the one form in which problems are shown. */
export function formatProblem(problem: Problem): string {
  const where = problem.at ? `${problem.at.file}:${problem.at.line}:${problem.at.column}: ` : '';
  const expected = problem.expected ? `; expected ${problem.expected}` : '';
  const hint = problem.hint ? `; ${problem.hint}` : '';
  return `${where}${problem.message}${expected}${hint}`;
}
