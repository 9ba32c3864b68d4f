import { namesOf } from '../../src/analysis/recorded-names.js';
import { StopSignal } from '../../src/capture/live.js';
import { Recording } from '../../src/capture/recording/reader.js';
import { captureReplay } from '../../src/capture/replay.js';
import { EventCursor } from '../../src/events/cursor.js';
import { DropInference } from '../../src/events/drop-inference.js';
import { functionOf } from '../../src/events/fields.js';
import { PathTracker } from '../../src/paths/tracker.js';
import type { DropRule } from '../../src/probes/drop-rules.js';

/** A drop of a recording: what the kernel said of it, what is inferred without that, and where it was. */
export interface RecordedDrop {
  given: string | undefined;
  inferred: string | undefined;
  place: string;
  proto: string;
  src: string;
  dst: string;
}

/** Every drop of a recording, each as if the kernel had given no reason. */
export function dropsOf(file: string, rules: readonly DropRule[]): RecordedDrop[] {
  const recording = Recording.open(file);
  try {
    const { plan, wire, dropReasons } = recording.meta;
    const names = namesOf((address) => recording.symbols.get(address), dropReasons);
    const inference = new DropInference(rules, plan);
    const context = { wire, plan, names, inference };
    const cursor = new EventCursor(context);
    const tracker = new PathTracker(cursor, context, { segments: [], roundTrips: false });
    const drops: RecordedDrop[] = [];
    captureReplay(recording.events, new StopSignal(), {
      batch(batch) {
        cursor.load(batch);
        while (cursor.next()) {
          inference.note(cursor);
          tracker.next(cursor);
          if (!cursor.dropped) continue;
          const { packet } = cursor;
          drops.push({
            given: cursor.ret === 0 ? undefined : names.dropReason(cursor.ret),
            inferred: inference.infer(cursor),
            place: functionOf(names.symbol(cursor.aux)) ?? '',
            ...(packet.present
              ? { proto: packet.proto, src: packet.src, dst: packet.dst }
              : { proto: '', src: '', dst: '' }),
          });
        }
      },
      tick: () => undefined,
    });
    return drops;
  } finally {
    recording.close();
  }
}

/** `nf_hook_slow: NETFILTER_DROP, inferred NETFILTER_DROP` of those that contradict each other. */
export function contradictions(drops: readonly RecordedDrop[]): string[] {
  return drops
    .filter(({ given, inferred }) => given && given !== 'NOT_SPECIFIED' && inferred && inferred !== given)
    .map(({ place, given, inferred, proto }) => `${place} (${proto}): ${given}, inferred ${inferred}`);
}
