import { countAnswer, emptyOutcome, type ClientOutcome } from './outcome.js';
import type { TrafficPlan } from './plan.js';

/**
 * The command line of iputils' ping for a plan: as many requests as fit into its time. (Its own `-w` would end it at the
 * first error, and go on asking until the count has been answered.)
 */
export function pingCommand(plan: TrafficPlan): string[] {
  const interval = Math.max(10, plan.intervalMs);
  const waitSeconds = Math.max(1, Math.ceil(plan.timeoutMs / 1000));
  const fits = Math.floor((plan.maxMs - waitSeconds * 1000) / interval) + 1;
  const count = Math.max(1, Math.min(plan.count, fits));
  return [
    'ping',
    plan.family === 6 ? '-6' : '-4',
    '-n',
    ...['-c', String(count), '-i', String(interval / 1000), '-s', String(plan.size), '-W', String(waitSeconds)],
    plan.address,
  ];
}

/** Reads what ping printed. Errors that a router or the own host reported are failures under their own words. */
export function readPing(stdout: string, plan: TrafficPlan): ClientOutcome {
  const outcome = emptyOutcome();
  let reported = 0;
  for (const line of stdout.split('\n')) {
    const answer = /icmp_seq=\d+ .*time=([\d.]+) ms/.exec(line);
    const failure = /icmp_seq=\d+ ((?:Destination|Packet|Time|Frag|Redirect|Parameter)[a-zA-Z ]*)/.exec(line);
    const total = /^(\d+) packets transmitted, (\d+) received/.exec(line);
    if (answer && !line.includes('(DUP!)')) countAnswer(outcome, Number(answer[1]));
    else if (failure) {
      const name = failure[1].trim().toLowerCase();
      outcome.failures[name] = (outcome.failures[name] ?? 0) + 1;
      reported++;
    } else if (total) outcome.sent = Number(total[1]);
  }
  const silent = outcome.sent - outcome.answered - reported;
  if (silent > 0) outcome.failures.timeout = silent;
  outcome.bytesSent = outcome.sent * plan.size;
  outcome.bytesReceived = outcome.answered * plan.size;
  outcome.cutShort = outcome.sent < plan.count;
  return outcome;
}
