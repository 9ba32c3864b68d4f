/** Parses `ethtool -k`: name → on. Names with a tab before them are parts of the one above; they are listed too. */
export function parseFeatures(text: string): Map<string, { on: boolean; fixed: boolean }> {
  const features = new Map<string, { on: boolean; fixed: boolean }>();
  for (const match of text.matchAll(/^\t?([\w-]+): (on|off)( \[fixed\])?/gm)) {
    features.set(match[1], { on: match[2] === 'on', fixed: match[3] !== undefined });
  }
  return features;
}

/** Parses lines of `name: value` (`ethtool -i`, `-S`, `-c`): the values that are numbers, and the others as text. */
export function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const match of text.matchAll(/^\s*([\w.\-/ ]+?):[ \t]*(.*?)[ \t]*$/gm)) fields.set(match[1], match[2]);
  return fields;
}

/** Parses `ethtool -g`: the rings' sizes as set and at most. */
export function parseRings(text: string): { rx?: number; tx?: number; rxMax?: number; txMax?: number } {
  const [maximums = '', current = ''] = text.split('Current hardware settings:');
  const size = (part: string, name: string): number | undefined => {
    const match = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(part);
    return match ? Number(match[1]) : undefined;
  };
  return { rx: size(current, 'RX'), tx: size(current, 'TX'), rxMax: size(maximums, 'RX'), txMax: size(maximums, 'TX') };
}

/** Statistics of `ethtool -S` that count lost packets, by the words that drivers use for it. */
export function lossCounters(fields: ReadonlyMap<string, string>): Map<string, number> {
  const losses = new Map<string, number>();
  for (const [name, value] of fields) {
    if (/drop|miss|no_?buf|discard|err|fifo|over|timeout|full/i.test(name) && /^\d+$/.test(value))
      losses.set(name, Number(value));
  }
  return losses;
}
