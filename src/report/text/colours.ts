import picocolors from 'picocolors';
import type { Level } from '../../rules/types.js';

type Paint = (text: string) => string;

/** The few colours a report uses; identity functions where colour is off. */
export interface Colours {
  bold: Paint;
  dim: Paint;
  warn: Paint;
  level: Record<Level | 'clean', Paint>;
}

/** Colours on or off; whether they are wanted (terminal, NO_COLOR) is for the caller to say. */
export function colours(enabled: boolean): Colours {
  const paint = picocolors.createColors(enabled);
  return {
    bold: paint.bold,
    dim: paint.dim,
    warn: paint.yellow,
    level: {
      error: (text) => paint.bold(paint.red(text)),
      warn: (text) => paint.bold(paint.yellow(text)),
      info: paint.cyan,
      clean: (text) => paint.bold(paint.green(text)),
    },
  };
}
