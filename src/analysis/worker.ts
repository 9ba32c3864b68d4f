import { parentPort, workerData } from 'node:worker_threads';
import { VdiagError } from '../base/errors.js';
import { analyse } from './analyse.js';
import type { AnalysisJob, WorkerMessage } from './job.js';

/** Entry of the thread that drains, decodes, classifies and assembles; worker-client.ts starts it. */
function post(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

try {
  const analysis = analyse(workerData as AnalysisJob, (progress) => post({ type: 'progress', progress }));
  post({ type: 'done', analysis });
} catch (error) {
  if (!(error instanceof VdiagError)) throw error;
  post({ type: 'failed', problems: error.problems, exitStatus: error.exitStatus });
}
