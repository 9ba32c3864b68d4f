/**
 * Lets at most `limit` tasks run at once; the others wait their turn. Evidence must not fork dozens of tools at the
 * same moment on a host that is already in trouble.
 */
export function createLimiter(limit: number): <T>(task: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      // The place is handed on, not given back, so that a newcomer cannot overtake.
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
