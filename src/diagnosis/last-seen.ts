import { ms } from '../base/units.js';
import type { Json } from '../base/json.js';
import type { SkbEvent } from '../events/types.js';
import type { PathView } from '../paths/types.js';
import type { EvidenceLine } from './types.js';

/** What a packet did at a point of a role, in words that a device's name follows. */
const DID: Record<string, [en: string, zh: string]> = {
  receive: ['received on', '被接收于'],
  forward: ['being forwarded, from', '正在转发，来自'],
  'local-in': ['on its way to a local socket, from', '正在送往本机套接字，来自'],
  'local-out': ['being sent by this host, on', '正由本机发送，位于'],
  queue: ['given to the queue of', '交给发送队列'],
  enqueue: ['in the queue of', '处于队列'],
  dequeue: ['taken from the queue of', '取出自队列'],
  transmit: ['given to the driver of', '交给驱动'],
  transmitted: ['sent by the driver of', '已由驱动发出'],
  deliver: ['read by a process from', '被进程读取自'],
  verdict: ['before netfilter, on', '经过 netfilter，位于'],
  free: ['freed as used up, on', '作为已处理而释放，位于'],
};

/** What comes next on the way, by the role of the last point; what was not seen. */
const NEXT: Record<string, [en: string, zh: string]> = {
  receive: [
    'it was not seen to be forwarded, queued on another device or given to a socket',
    '未见其被转发、进入其他设备的队列或交给套接字',
  ],
  forward: ['it was not seen in the queue of another device', '未见其进入其他设备的队列'],
  'local-in': ['it was not seen to be read by a process', '未见其被进程读取'],
  'local-out': ['it was not seen in the queue of a device', '未见其进入设备队列'],
  queue: ['it was not seen to reach the driver', '未见其到达驱动'],
  enqueue: ['it was not seen to leave the queue', '未见其离开队列'],
  dequeue: ['it was not seen to reach the driver', '未见其到达驱动'],
  transmit: ['the driver was not seen to accept it', '未见驱动接收'],
  transmitted: ['it was not seen to be received or read at the other end', '未见对端接收或读取'],
  deliver: ['no answer of that process was seen', '未见该进程的应答'],
  free: ['nothing was seen of it or of an answer', '再未见到它或其应答'],
};

/** The last point of a packet's path before it was dropped, or of all: bookkeeping points (clones, states) are no place. */
export function lastSeen(path: PathView | undefined): { event: SkbEvent; waitedMs: number } | undefined {
  if (!path) return undefined;
  const end = path.events.findLastIndex(({ role }) => role === 'drop');
  const before = end < 0 ? path.events : path.events.slice(0, end);
  const event = before.findLast(({ role, device }) => role in DID && device !== '');
  return event && { event, waitedMs: end < 0 ? 0 : Math.max(0, path.events[end].ts - event.ts) / 1e6 };
}

/** The lines that say so: where it was last seen, and what was not seen of it after. */
export function lastSeenLines(path: PathView | undefined): EvidenceLine[] {
  const last = lastSeen(path);
  if (!last) return [];
  const { probe, role, device } = last.event;
  const [did, didZh] = DID[role];
  const waited = path!.end === 'dropped' ? `, ${ms(last.waitedMs)} before it was freed` : '';
  const waitedZh = path!.end === 'dropped' ? `，释放前 ${ms(last.waitedMs)}` : '';
  const next = path!.end === 'dropped' ? undefined : NEXT[role];
  return [
    said(
      `last seen ${did} ${device} (${probe})${waited}: ${path!.summary}`,
      `最后一次出现：${didZh} ${device}（${probe}）${waitedZh}：${path!.summary}`,
    ),
    ...(next ? [said(`after that ${next[0]}`, `此后${next[1]}`)] : []),
  ];
}

/** What this kernel does not let vdiag see, and which would have told more. */
export function blindLines(run: Record<string, Json>, reasonGiven: boolean): EvidenceLine[] {
  const lines: EvidenceLine[] = [];
  if (!reasonGiven) {
    lines.push(
      unknown(
        'not known: this kernel gives no reason for the drop; only the function that freed the packet is certain',
        '未知：此内核未给出丢弃原因，能确定的只有释放报文的函数',
      ),
    );
  }
  if (run.tracepointsOnly === true) {
    lines.push(
      unknown(
        'not known: this kernel offers tracepoints only, so that no hook, table or route decision could be watched',
        '未知：此内核仅提供跟踪点，无法观察具体的钩子、规则表与路由决策',
      ),
    );
  }
  return lines;
}

function said(text: string, textZh: string): EvidenceLine {
  return { text, textZh, source: '', says: 'supports' };
}

function unknown(text: string, textZh: string): EvidenceLine {
  return { text, textZh, source: '', says: 'unknown' };
}
