import { type Problem, VdiagError } from '../base/errors.js';
import { didYouMean } from '../base/suggest.js';
import type { AttachBackend, AttachRequest } from '../bpf/types.js';
import type { Backend, ProbeCause } from './types.js';

/** One thing to try, or the reason why something better is not tried. */
export type Step = { request: AttachRequest } | { cause: ProbeCause };

/** Ways of attaching that a user's choice of one includes. */
const FORMS: Record<Backend, readonly AttachBackend[]> = {
  'raw-tracepoint': ['raw-tracepoint'],
  tracepoint: ['tracepoint'],
  'kprobe-multi': ['kprobe-session', 'kprobe-multi'],
  'kprobe-session': ['kprobe-session'],
  kprobe: ['kprobe', 'kretprobe'],
  kretprobe: ['kretprobe'],
  fentry: ['fentry', 'fexit'],
  fexit: ['fexit'],
};

/** Every way of attaching, by the names that users give. */
export const BACKENDS = Object.keys(FORMS) as Backend[];

/**
 * Ways of attaching that a user named.
 * @throws VdiagError (status 2) for a name that is none, with the nearest that is one
 */
export function checkBackends(names: readonly string[]): Backend[] {
  const known: readonly string[] = BACKENDS;
  const problems = names
    .filter((name) => !known.includes(name))
    .map((name): Problem => ({
      message: `unknown backend "${name}"`,
      expected: `some of ${BACKENDS.join(', ')}`,
      hint: didYouMean(name, BACKENDS),
    }));
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return [...new Set(names)] as Backend[];
}

/** Whether a way of attaching is among those asked for. */
export function isAskedFor(backend: AttachBackend, wanted: readonly Backend[] | undefined): boolean {
  return wanted === undefined || wanted.some((name) => FORMS[name].includes(backend));
}

/**
 * Only the ways that were asked for, in the order in which they were. What gives the return value still comes before what
 * does not: that is what a point is for, not how it is attached.
 */
export function onlyBackends(steps: readonly Step[], wanted: readonly Backend[]): Step[] {
  const rank = ({ backend }: AttachRequest): number => wanted.findIndex((name) => FORMS[name].includes(backend));
  const requests = steps.flatMap((step) => ('request' in step && rank(step.request) >= 0 ? [step.request] : []));
  const causes = steps.filter((step): step is { cause: ProbeCause } => 'cause' in step);
  const refused = steps.some((step) => 'request' in step && rank(step.request) < 0);
  const sorted = requests.sort((a, b) => Number(b.wantReturn) - Number(a.wantReturn) || rank(a) - rank(b));
  const withReturn = sorted.filter(({ wantReturn }) => wantReturn);
  const without = sorted.filter(({ wantReturn }) => !wantReturn);
  return [
    ...(refused ? [{ cause: { code: 'not-asked-for', detail: wanted.join(', ') } as const }] : []),
    ...causes.filter(({ cause }) => cause.code !== 'return-lost'),
    ...withReturn.map((request) => ({ request })),
    ...(without.length > 0 ? causes.filter(({ cause }) => cause.code === 'return-lost') : []),
    ...without.map((request) => ({ request })),
  ];
}
