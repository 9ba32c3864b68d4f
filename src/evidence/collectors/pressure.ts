import { delta, known, numberParam, textOfAnswer, textParam, unknown } from '../facts.js';
import { parsePressure } from '../parsers/proc-cpu.js';
import type { EvidenceCollector } from '../types.js';

const RESOURCES = ['cpu', 'memory', 'io'];

/** How long tasks waited for a resource (kernel/sched/psi.c). */
export const pressure: EvidenceCollector = {
  name: 'pressure',
  describe: 'Pressure stall: how much of the time tasks waited for CPU, memory or I/O.',
  params: { resource: 'cpu (default), memory or io', seconds: 'length of the run' },
  members: {
    someAvg10: 'percent of the last 10 s in which some task waited',
    fullAvg10: 'percent in which all tasks waited; null when the kernel does not tell',
    someDeltaMs: 'ms of the run in which some task waited; null when not read before',
    someShare: 'the same as share of the run, 0..1; null when unknown',
  },

  async before(source) {
    await Promise.all(RESOURCES.map((resource) => source.read(`/proc/pressure/${resource}`, { phase: 'before' })));
  },

  async collect(source, params) {
    const resource = textParam(params, 'resource') ?? 'cpu';
    const path = `/proc/pressure/${RESOURCES.includes(resource) ? resource : 'cpu'}`;
    const [answer, beforeAnswer] = await Promise.all([
      source.read(path, { phase: 'after' }),
      source.read(path, { phase: 'before' }),
    ]);
    if (answer.status !== 'ok') {
      return unknown(
        answer.status === 'missing' ? 'this kernel does not measure pressure (CONFIG_PSI, psi=1)' : answer.why,
        `cat ${path}`,
      );
    }
    const { some, full } = parsePressure(answer.text);
    if (!some) return unknown('its answer could not be understood', `cat ${path}`);
    const grown = delta(parsePressure(textOfAnswer(beforeAnswer) ?? '').some?.total, some.total);
    const seconds = numberParam(params, 'seconds');
    const value = {
      someAvg10: some.avg10,
      fullAvg10: full?.avg10 ?? null,
      someDeltaMs: grown === null ? null : +(grown / 1000).toFixed(3),
      someShare: grown === null || !seconds ? null : +(grown / 1e6 / seconds).toFixed(4),
    };
    return known(value, `cat ${path}`, `tasks waited for ${path.slice(15)} ${some.avg10}% of the last 10 s`);
  },
};
