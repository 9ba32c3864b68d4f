import { VdiagError } from '../base/errors.js';

/** Every namespace of every lab begins so; `lab down --all` removes what does. */
export const PREFIX = 'vdiag-';

const LAB_ID = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const NAMESPACE = /^[a-z][a-z0-9]{0,14}$/;

/** @throws VdiagError (status 2) unless the id can be part of a namespace's name. */
export function checkLabId(id: string): void {
  if (!LAB_ID.test(id) || id.length > 40) {
    throw new VdiagError(
      {
        message: `"${id}" cannot be a lab's name`,
        expected: 'at most 40 small letters and digits, in groups joined by "-"',
      },
      2,
    );
  }
}

/** The name of a lab's namespace for `ip netns`. */
export function namespaceName(labId: string, short: string): string {
  return `${PREFIX}${labId}-${short}`;
}

/** The lab and short name of a namespace, or undefined for one that is not a lab's. Short names have no dash. */
export function parseNamespaceName(name: string): { labId: string; short: string } | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  const dash = name.lastIndexOf('-');
  const labId = name.slice(PREFIX.length, dash);
  const short = name.slice(dash + 1);
  return dash >= PREFIX.length && LAB_ID.test(labId) && NAMESPACE.test(short) ? { labId, short } : undefined;
}
