import type { CaptureLoss } from '../../capture/types.js';
import type { Language } from '../../knowledge/types.js';
import type { ReportLeftOut } from '../types.js';

/** The fixed words of the text report. */
export interface Words {
  error: string;
  warn: string;
  info: string;
  clean: string;
  established: string;
  likely: string;
  'not established': string;
  explains: string;
  why: string;
  not: string;
  withinBudget: string;
  do: string;
  check: string;
  undo: string;
  keep: string;
  read: string;
  risk: string;
  risks: Record<'none' | 'low' | 'medium' | 'high', string>;
  packets: string;
  roundTrips: string;
  /** A row of the table: the whole way there and back. */
  roundTrip: string;
  latency: string;
  share: string;
  budget: string;
  turnaround: string;
  /** Packets that entered a segment and never left it, though nobody was seen to drop them. */
  stuck: string;
  notAccounted: string;
  morePairs: string;
  findings: string;
  benign: string;
  paths: string;
  coverage: string;
  attached: (attached: number, planned: number, backends: string) => string;
  events: (events: string) => string;
  noneLost: string;
  lost: Record<keyof CaptureLoss, string>;
  /** Attached, but without what these probes return. */
  degraded: (probes: string[]) => string;
  cost: (ownPercent: number, kernelPercent: number | undefined) => string;
  leftOut: Record<keyof ReportLeftOut | 'title', string>;
  recorded: (file: string | undefined) => string;
  notRead: string;
  baseline: string;
  sched: string;
  ended: Record<'interrupted' | 'cut', string>;
  ends: Record<'freed' | 'dropped' | 'delivered' | 'merged' | 'open' | 'lost', string>;
  /** Of a drop's reason that the kernel did not give, and of a drop of which it is not known. */
  inferred: string;
  noReason: string;
  exit: (status: number) => string;
  caveat: string;
  /** Punctuation with the blanks that belong to it. */
  marks: Record<'colon' | 'comma' | 'semicolon' | 'end' | 'blank' | 'open' | 'close', string>;
}

const en: Words = {
  error: 'ERROR',
  warn: 'WARN',
  info: 'INFO',
  clean: 'OK',
  established: 'established',
  likely: 'likely',
  'not established': 'not established',
  explains: 'explains',
  why: 'why',
  not: 'not',
  withinBudget: 'all within budget',
  do: 'do',
  check: 'check',
  undo: 'undo',
  keep: 'keep',
  read: 'read',
  risk: 'risk',
  risks: { none: 'none', low: 'low', medium: 'medium', high: 'high' },
  packets: 'packets',
  roundTrips: 'round trips',
  roundTrip: 'round trip',
  latency: 'Latency by segment',
  share: 'share',
  budget: 'budget',
  turnaround: 'turnaround',
  stuck: 'never left',
  notAccounted: 'not accounted',
  morePairs: 'more pairs, not shown (--src/--dst narrows the run)',
  findings: 'Also found, without a cause established',
  benign: 'Seen and harmless',
  paths: 'Packets that show it',
  coverage: 'Coverage',
  attached: (attached, planned, backends) => `${attached} of ${planned} points attached (${backends}).`,
  events: (events) => `${events} events`,
  noneLost: 'none lost',
  lost: {
    ringFull: 'lost because the ring buffer was full (--ring-size makes it larger)',
    perfLost: 'lost because a perf buffer was full (--ring-size makes them larger)',
    noWorkSpace: 'not looked at, as hits came within hits',
    missedHits: 'missed, as the kernel did not run the program',
    missedReturns: 'return values missed',
    pathsForgotten: 'packets forgotten because too many were under way',
    copiesForgotten: 'packets whose copies count as others',
    parseFailures: 'packets whose headers could not be read',
    recordsUnreadable: 'records that could not be decoded',
    recordingCut: 'bytes at the end of the recording unreadable',
  },
  degraded: (probes) => `Seen without their results: ${some(probes, ', ', (n) => `and ${n} more`)}.`,
  cost: (own, kernel) =>
    `vdiag took ${own}% of a CPU${kernel === undefined ? '' : `, its programs in the kernel ${kernel}%`}`,
  leftOut: {
    title: 'Seen and left out for want of room',
    findings: 'findings',
    pairs: 'pairs',
    pathEvents: 'events of packets with too many of them',
    flows: 'conversations, whose later packets count as others',
    queueWaits: 'waits in queues',
    cpuWaits: 'waits for a CPU',
    threads: 'threads, of those that read taps or take packets in, whose waits for a CPU were not measured',
  },
  recorded: (file) => (file ? `Recorded: ${file}.` : 'Recorded: no (add --record FILE).'),
  notRead: 'Not read',
  baseline: 'Against the baseline',
  sched: 'Waiting for a CPU',
  ended: { interrupted: 'interrupted', cut: 'the recording ends early' },
  ends: {
    ...{ freed: 'done', dropped: 'dropped', delivered: 'delivered', merged: 'merged into another packet (GRO)' },
    ...{ open: 'still under way', lost: 'end not seen' },
  },
  exit: (status) =>
    `exit status ${status} (${['nothing at or above the --fail-on level', 'something at or above the --fail-on level was found'][status]})`,
  caveat: 'note',
  inferred: 'inferred from where it was freed',
  noReason: 'reason not known on this kernel,',
  marks: { colon: ': ', comma: ', ', semicolon: '; ', end: '.', blank: ' ', open: ' (', close: ')' },
};

const zh: Words = {
  error: '错误',
  warn: '警告',
  info: '信息',
  clean: '正常',
  established: '已确认',
  likely: '很可能',
  'not established': '未确认',
  explains: '可解释',
  why: '依据',
  not: '排除',
  withinBudget: '均在预算内',
  do: '处置',
  check: '验证',
  undo: '回退',
  keep: '固化',
  read: '详见',
  risk: '风险',
  risks: { none: '无', low: '低', medium: '中', high: '高' },
  packets: '个报文',
  roundTrips: '次往返',
  roundTrip: '往返合计',
  latency: '分段时延',
  share: '占比',
  budget: '预算',
  turnaround: '处理耗时',
  stuck: '未离开',
  notAccounted: '未归类',
  morePairs: '对通信未显示（可用 --src/--dst 缩小范围）',
  findings: '其他发现（原因未确认）',
  benign: '已观察到、无害',
  paths: '相关报文',
  coverage: '覆盖范围',
  attached: (attached, planned, backends) => `${planned} 个探测点中已挂载 ${attached} 个（${backends}）。`,
  events: (events) => `${events} 个事件`,
  noneLost: '无丢失',
  lost: {
    ringFull: '个事件因环形缓冲区满而丢失（可用 --ring-size 增大）',
    perfLost: '个事件因 perf 缓冲区满而丢失（可用 --ring-size 增大）',
    noWorkSpace: '次命中因嵌套而未能查看',
    missedHits: '次命中因内核未运行程序而遗漏',
    missedReturns: '个返回值未捕获',
    pathsForgotten: '个报文因在途数量过多而未能跟踪',
    copiesForgotten: '个报文的副本被当作其他报文',
    parseFailures: '个报文的头部无法读取',
    recordsUnreadable: '条记录无法解码',
    recordingCut: '字节的录制尾部无法读取',
  },
  degraded: (probes) => `以下探针没有返回值：${some(probes, '、', (n) => `以及另外 ${n} 个`)}。`,
  cost: (own, kernel) => `vdiag 占用单个 CPU 的 ${own}%${kernel === undefined ? '' : `，其内核程序占用 ${kernel}%`}`,
  leftOut: {
    title: '已看到但因容量所限未纳入',
    findings: '项发现',
    pairs: '对通信',
    pathEvents: '个事件（所属报文事件过多）',
    flows: '个会话（其后续报文被当作其他会话）',
    queueWaits: '次排队等待',
    cpuWaits: '次等待 CPU',
    threads: '个读取 tap 或接收报文的线程（未测量其等待 CPU 的时间）',
  },
  recorded: (file) => (file ? `录制文件：${file}。` : '未录制（可加 --record FILE）。'),
  notRead: '未能读取',
  baseline: '与基线对比',
  sched: '等待 CPU',
  ended: { interrupted: '被中断', cut: '录制文件不完整' },
  ends: {
    ...{ freed: '正常结束', dropped: '被丢弃', delivered: '已送达', merged: '被 GRO 合并到其他数据包' },
    ...{ open: '仍在途', lost: '结局未见' },
  },
  exit: (status) =>
    `退出状态 ${status}（${['没有达到 --fail-on 级别的问题', '存在达到 --fail-on 级别的问题'][status]}）`,
  caveat: '注意',
  inferred: '据释放位置推断',
  noReason: '此内核不给出原因，',
  marks: { colon: '：', comma: '，', semicolon: '；', end: '。', blank: '', open: '（', close: '）' },
};

/** The first few of a list, and how many more there are. */
function some(all: readonly string[], separator: string, more: (n: number) => string): string {
  const shown = all.length <= 5 ? all : all.slice(0, 4);
  return [...shown, ...(all.length > shown.length ? [more(all.length - shown.length)] : [])].join(separator);
}

/** The fixed words of a language. */
export function words(language: Language): Words {
  return language === 'zh' ? zh : en;
}
