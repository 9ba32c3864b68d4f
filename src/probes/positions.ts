import type { ProbePoint } from './types.js';

/**
 * Where the catalogue says that a function's arguments are, for one of the point's names on one kernel; undefined when it
 * says nothing, and without any when they are not to be had there.
 * @param release as `uname -r` tells it
 */
export function positionsOf(point: ProbePoint, name: string, release: string): Record<string, number> | undefined {
  const other = point.args?.otherwise?.find(
    (entry) =>
      (entry.name === undefined || entry.name === name) &&
      (entry.before === undefined || isBefore(release, entry.before)),
  );
  return other ? other.args : point.args?.function;
}

/** Whether a release (`5.10.0-32-cloud-amd64`) is older than a version (`5.16`). */
export function isBefore(release: string, version: string): boolean {
  const [major, minor] = numbers(release);
  const [thanMajor, thanMinor] = numbers(version);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
}

function numbers(release: string): [number, number] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}
