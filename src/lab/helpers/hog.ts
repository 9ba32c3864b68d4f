import { Worker } from 'node:worker_threads';
import { runAs } from './libc.js';
import type { HelperWords } from './words.js';

const DEFAULT_SECONDS = 20;
const MOST_SECONDS = 60;
const WORK = `
  const { workerData } = require('node:worker_threads');
  const end = Date.now() + workerData * 1000;
  let sum = 0;
  while (Date.now() < end) for (let i = 0; i < 1e6; i++) sum += i;
  process.exit(sum < 0 ? 1 : 0);`;

/** A process that takes all the CPU it is given, for at most a minute: what another guest or a batch job would be. */
export function takeCpu(told: HelperWords, ready: () => void): void {
  runAs(told);
  process.title = 'lab-hog';
  const seconds = Math.min(MOST_SECONDS, Number(told.seconds ?? DEFAULT_SECONDS));
  for (let i = 0; i < Number(told.threads ?? 1); i++) new Worker(WORK, { eval: true, workerData: seconds });
  ready();
}
