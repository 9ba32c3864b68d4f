import { VdiagError } from '../base/errors.js';
import type { Planned } from './attacher.js';
import { KernelBtf } from './btf.js';
import { type LoadedObject, loadObject, type ObjectOptions } from './object.js';
import { planProgram } from './programs.js';
import { hasAttachCookies, sessionIsReturn } from './support.js';
import { coreAccesses } from './synthesis/core-accesses.js';
import { lackingPrograms } from './synthesis/layout.js';
import { type AttachRequest, type FailedProbe, type Flavour, MAX_PROBES } from './types.js';

/** Needed even when no request has a program: the object must have something to load. */
const DEFAULT_TEMPLATE = 'packet_raw_1';

/** The templates that requests need. */
export function templatesOf(planned: readonly Planned[]): string[] {
  return planned.flatMap(({ plan }) => (plan.returnTemplate ? [plan.template, plan.returnTemplate] : [plan.template]));
}

/** Every template at once; when the kernel refuses one of them, what it does not refuse. */
export function loadTemplates(
  templates: readonly string[],
  options: Omit<ObjectOptions, 'templates'>,
): { object: LoadedObject; refused: ReadonlyMap<string, string> } {
  try {
    const object = loadObject({ ...options, templates: new Set([DEFAULT_TEMPLATE, ...templates]) });
    return { object, refused: new Map() };
  } catch (error) {
    if (!(error instanceof VdiagError) || !error.problems[0]!.message.startsWith('the kernel refuses')) throw error;
    const object = loadObject({ ...options, templates: new Set([DEFAULT_TEMPLATE]) });
    return { object, refused: object.more(templates) };
  }
}

/** Requests whose templates the kernel took; the others are failures. */
export function withoutRefused(
  planned: readonly Planned[],
  refused: ReadonlyMap<string, string>,
  failed: FailedProbe[],
): readonly Planned[] {
  if (refused.size === 0) return planned;
  return planned.filter(({ request, plan }) => {
    const why = refused.get(plan.template) ?? refused.get(plan.returnTemplate ?? '');
    if (why !== undefined) failed.push({ index: request.index, why });
    return why === undefined;
  });
}

/** Template and constants of each request; those that have none are failures. */
export function planAll(requests: readonly AttachRequest[], flavour: Flavour, failed: FailedProbe[]): Planned[] {
  // The legacy object has none of the programs that ask for their cookie.
  const cookies = flavour === 'modern' && hasAttachCookies();
  const isReturn = requests.some(({ backend }) => backend === 'kprobe-session') ? sessionIsReturn() : undefined;
  return requests.flatMap((request) => {
    const { index } = request;
    if (!Number.isInteger(index) || index < 0 || index >= MAX_PROBES) {
      failed.push({ index, why: `a session has at most ${MAX_PROBES} probes` });
      return [];
    }
    if (flavour === 'legacy' && /^kprobe-(multi|session)$/.test(request.backend)) {
      failed.push({ index, why: 'the legacy flavour has no programs for kprobe.multi' });
      return [];
    }
    const plan = planProgram(request, { cookies, isReturn });
    if (!('why' in plan)) return [{ request, plan }];
    failed.push({ index, why: plan.why });
    return [];
  });
}

/** Types that do not come from the kernel may not do for every program; one too many and the whole object is refused. */
export function withTypesFor(
  planned: Planned[],
  { btfFile, file }: { btfFile?: string; file: string },
  failed: FailedProbe[],
): Planned[] {
  if (btfFile === undefined) return planned;
  const types = KernelBtf.load(btfFile).kernel;
  const lacking = lackingPrograms(types, coreAccesses(file));
  return planned.filter(({ request, plan }) => {
    const why = lacking.get(plan.template) ?? lacking.get(plan.returnTemplate ?? '');
    if (why) failed.push({ index: request.index, why: `the given BTF does not do for it: ${why.join(', ')}` });
    return !why;
  });
}
