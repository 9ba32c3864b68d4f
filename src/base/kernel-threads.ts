/** A kernel thread, by its name, that takes packets in in place of an interrupt (kernel/softirq.c; net/core/dev.c, napi_kthread_create). */
export function isSoftirqThread(comm: string): boolean {
  return /^(ksoftirqd|napi)\//.test(comm);
}
