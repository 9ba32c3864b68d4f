import { didYouMean } from '../base/suggest.js';
import { isFactReference } from './engine.js';
import { isMapping, quote, type Place, type Problems } from './problems.js';
import type { Condition } from './types.js';

interface Definition {
  value: unknown;
  at: Place;
  /** Number of the folder it came from: a later folder may define it anew. */
  tier: number;
}

/** Items that one value may come to when its lists are written out. */
const MAX_ITEMS = 10_000;

/** The macros and lists of all files. Those of a later folder replace those of the same name of an earlier one. */
export class Definitions {
  readonly macros = new Map<string, Definition>();
  readonly lists = new Map<string, Definition>();
  /** Lists already written out: each is done once, however often lists of lists name it. */
  private readonly writtenOut = new Map<string, unknown[]>();

  /** Takes in what a file defines under `macros:` or `lists:`. */
  define(kind: 'macros' | 'lists', values: unknown, at: Place, tier: number, problems: Problems): void {
    if (!isMapping(values)) return;
    for (const [name, value] of Object.entries(values)) {
      const earlier = this[kind].get(name);
      if (earlier && earlier.tier === tier) {
        const { file, line } = earlier.at.position;
        problems.add(at.to(name), `the ${kind.slice(0, -1)} ${quote(name)} is already defined at ${file}:${line}`, {
          expected: 'another name',
        });
      } else this[kind].set(name, { value, at: at.to(name), tier });
    }
  }

  /**
   * A comparison's value with every `{ list: name }` in it, at any depth, written out in place. Problems (unknown lists,
   * lists within themselves) are added at the place where they stand.
   */
  resolveLists(value: unknown, at: Place, problems: Problems): unknown {
    if (isListReference(value)) return this.items(value, at, [], problems);
    if (Array.isArray(value)) return this.flatten(value, at, [], problems);
    return value;
  }

  private items(reference: { list: unknown }, at: Place, within: readonly string[], problems: Problems): unknown[] {
    const { list: name } = reference;
    const list = typeof name === 'string' ? this.lists.get(name) : undefined;
    if (!list || typeof name !== 'string') {
      problems.add(at, `unknown list ${quote(name)}`, {
        expected: 'a name under lists:',
        hint: didYouMean(String(name), this.lists.keys()),
      });
      return [];
    }
    if (within.includes(name)) {
      problems.add(
        list.at,
        `the list ${quote(name)} contains itself: ${[...within.slice(within.indexOf(name)), name].join(' → ')}`,
      );
      return [];
    }
    if (!Array.isArray(list.value)) {
      problems.add(list.at, `the list ${quote(name)} is ${quote(list.value)}`, { expected: 'a list of values' });
      return [];
    }
    const known = this.writtenOut.get(name);
    if (known) return known;
    const items = this.flatten(list.value, list.at, [...within, name], problems);
    this.writtenOut.set(name, items);
    return items;
  }

  private flatten(values: unknown[], at: Place, within: readonly string[], problems: Problems): unknown[] {
    const result: unknown[] = [];
    for (const [i, item] of values.entries()) {
      if (isListReference(item)) {
        for (const inner of this.items(item, at.to(i), within, problems)) result.push(inner);
      } else result.push(item);
      if (result.length > MAX_ITEMS) {
        problems.add(at, `with its lists written out, the value has more than ${MAX_ITEMS} items`, {
          expected: 'fewer',
        });
        return [];
      }
    }
    return result;
  }

  /** A checked condition with its macros and lists written out. */
  resolve(condition: Condition, problems: Problems, at: Place): Condition {
    if ('all' in condition) return { all: condition.all.map((part) => this.resolve(part, problems, at)) };
    if ('any' in condition) return { any: condition.any.map((part) => this.resolve(part, problems, at)) };
    if ('not' in condition) return { not: this.resolve(condition.not, problems, at) };
    if ('macro' in condition) return this.resolve(this.macros.get(condition.macro)!.value as Condition, problems, at);
    if (isFactReference(condition.value)) return condition;
    return { ...condition, value: this.resolveLists(condition.value, at, problems) };
  }
}

function isListReference(value: unknown): value is { list: unknown } {
  return isMapping(value) && Object.hasOwn(value, 'list') && !Object.hasOwn(value, 'fact');
}
