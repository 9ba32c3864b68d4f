import { schemaProblems } from '../../base/documents.js';
import { VdiagError, formatProblem } from '../../base/errors.js';
import type { CaptureLoss, RunEnd, RunMeta } from '../types.js';

/** Counters as they stood when a checkpoint was recorded. */
export interface Checkpoint {
  loss: CaptureLoss;
  hits: Record<string, number>;
  lostBy?: Record<string, number>;
}

/** @throws VdiagError (status 2) if the head of a recording is not one. */
export function checkedMeta(value: unknown, path: string): RunMeta {
  return checked<RunMeta>(value, 'recording-meta', path);
}

/** @throws VdiagError (status 2) if the end of a recording is not one. */
export function checkedEnd(value: unknown, path: string): RunEnd {
  return checked<RunEnd>(value, 'recording-end', path);
}

/** @throws VdiagError (status 2) if a recorded checkpoint is not one. */
export function checkedCheckpoint(value: unknown, path: string): Checkpoint {
  return checked<Checkpoint>(value, 'recording-checkpoint', path);
}

/**
 * Joins the recorded pieces of the symbol table: address → symbol.
 * @throws VdiagError (status 2) if one is not an object of strings by decimal address.
 */
export function checkedSymbols(pieces: readonly unknown[], path: string): Map<number, string> {
  const symbols = new Map<number, string>();
  for (const piece of pieces) {
    if (piece === null || typeof piece !== 'object') throw damaged(path, 'its symbols are not a table');
    for (const [address, symbol] of Object.entries(piece)) {
      if (!Number.isSafeInteger(Number(address)) || typeof symbol !== 'string') {
        throw damaged(path, `its symbol table has "${address}"`);
      }
      symbols.set(Number(address), symbol);
    }
  }
  return symbols;
}

/** The error for a chunk whose checksum holds but which vdiag never wrote. */
export function damaged(path: string, what: string): VdiagError {
  return new VdiagError(
    { message: `${path} cannot be replayed: ${what}`, expected: 'a file written by vdiag run --record' },
    2,
  );
}

function checked<T>(value: unknown, schema: string, path: string): T {
  const document = { file: path, value, positionOf: () => ({ file: path, line: 1, column: 1 }) };
  const [problem] = schemaProblems(document, schema);
  if (problem) throw damaged(path, formatProblem({ ...problem, at: undefined }));
  return value as T;
}
