import type { Analysis } from '../analysis/types.js';
import { ms } from '../base/units.js';
import type { PairStats, StreamStats, Where } from '../paths/types.js';
import type { Subject } from './subjects.js';

type Data = Subject['data'];

/** Each direction of TCP between a pair that had any trouble. */
export function streamSubjects({ pairs }: Analysis): Subject[] {
  return pairs.flatMap((pair) =>
    (pair.streams ?? []).map((stream): Subject => ({ pair, stream, data: streamData(stream, pair) })),
  );
}

/** The members of a direction of TCP as conditions and templates name them. */
export function streamData(stream: StreamStats, pair: PairStats): Data {
  const forward = stream.direction === 'forward';
  const [src, dst] = forward ? [pair.a, pair.b] : [pair.b, pair.a];
  const { first, last, sport, dport } = stream;
  const opening = stream.openLost.count >= stream.acceptLost.count ? stream.openLost : stream.acceptLost;
  const worst = [stream.lost, stream.acksLost, stream.reordered, stream.duplicated, opening].reduce((x, y) =>
    y.count > x.count ? y : x,
  );
  return {
    src,
    dst,
    sport,
    dport,
    flow: `TCP ${ended(src, sport)} → ${ended(dst, dport)}`,
    device: worst.count > 0 ? worst.after || worst.before : first.device,
    netns: first.netns,
    peerNetns: last.netns,
    // Ends that live in a stack of this host, whose settings can be read; empty for others.
    localSrc: first.out ? src : '',
    localDst: last.out ? '' : dst,
    segments: stream.segments,
    bytes: stream.bytes,
    again: stream.again,
    againPercent: stream.segments > 0 ? Math.round((1000 * stream.again) / stream.segments) / 10 : 0,
    needless: stream.needless,
    arrivedBefore: stream.arrivedBefore,
    againUnaccounted: Math.max(0, stream.again - stream.arrivedBefore - stream.reordered.count),
    repeats: stream.mostRepeats,
    longestWaitMs: Math.round(stream.longestWaitMs),
    longestWait: ms(stream.longestWaitMs),
    ...whereData('lost', stream.lost),
    ...whereData('acksLost', stream.acksLost),
    ...whereData('reordered', stream.reordered),
    longestReorderMs: stream.longestReorderMs,
    longestReorder: ms(stream.longestReorderMs),
    ...whereData('duplicated', stream.duplicated),
    opens: stream.opens,
    accepted: stream.accepted,
    client: opening === stream.openLost ? src : dst,
    server: opening === stream.openLost ? dst : src,
    serverPort: opening === stream.openLost ? stream.openDport : stream.openSport,
    opening: opening.count === 0 ? '' : opening === stream.openLost ? 'SYN' : 'SYN-ACK',
    ...whereData('openingLost', opening),
    small: stream.small,
    stalls: stream.stalls,
    stallPercent: stream.small > 0 ? Math.round((100 * stream.stalls) / stream.small) : 0,
    stallMs: Math.round(stream.stallMs),
    stall: ms(stream.stallMs),
  };
}

/** The same had every lost event spoken against it: one that is missing at one place makes a segment seem lost there. */
export function streamAtWorst(data: Data, lost: number): Data {
  const less = [
    'lost',
    'acksLost',
    'reordered',
    'duplicated',
    'openingLost',
    'again',
    'needless',
    'arrivedBefore',
    'stalls',
  ];
  return {
    ...data,
    ...Object.fromEntries(less.map((name) => [name, Math.max(0, Number(data[name]) - lost)])),
  };
}

function whereData(name: string, { count, percent, after, before, netns, outside }: Where): Data {
  const en =
    after !== '' && before !== ''
      ? `between ${after} and ${before}`
      : after !== ''
        ? `beyond ${after}`
        : `before ${before}`;
  const zh =
    after !== '' && before !== ''
      ? `${after} 与 ${before} 之间`
      : after !== ''
        ? `${after} 之外`
        : `到达 ${before} 之前`;
  return {
    [name]: count,
    [`${name}Percent`]: percent,
    [`${name}After`]: after,
    [`${name}Before`]: before,
    [`${name}Netns`]: netns,
    [`${name}Outside`]: outside,
    [`${name}Where`]: count > 0 ? en : '',
    [`${name}WhereZh`]: count > 0 ? zh : '',
  };
}

const ended = (address: string, port: number): string =>
  port === 0 ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
