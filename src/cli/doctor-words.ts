import type { Language } from '../knowledge/types.js';
import type { Check } from '../probes/doctor.js';

/** What the doctor prints around its checks. */
export interface DoctorWords {
  kernel: string;
  hides: string;
  cure: string;
  badges: Record<'ok' | 'spare' | 'warn' | 'fail', string>;
  canTrace: string;
  cannotTrace: string;
  tools: (found: number, of: number) => string;
  more: string;
}

const en: DoctorWords = {
  kernel: 'kernel',
  hides: 'hides: ',
  cure: 'cure:  ',
  badges: { ok: 'ok  ', spare: '-   ', warn: 'lack', fail: 'FAIL' },
  canTrace: 'Live tracing works here.',
  cannotTrace: 'Live tracing does not work here; recordings can be replayed (vdiag run --replay).',
  tools: (found, of) => (found === of ? `all ${of} tools for evidence` : `${found} of ${of} tools for evidence`),
  more: '--all lists every tool and every probe point, with its backend and why not a better one.',
};

const zh: DoctorWords = {
  kernel: '内核',
  hides: '看不到：',
  cure: '办法：',
  badges: { ok: '正常', spare: '-   ', warn: '缺少', fail: '失败' },
  canTrace: '本机可以实时跟踪。',
  cannotTrace: '本机无法实时跟踪；可以回放录制文件（vdiag run --replay）。',
  tools: (found, of) => (found === of ? `取证工具齐全（${of} 个）` : `取证工具 ${of} 个中有 ${found} 个`),
  more: '--all 列出每个工具和每个探测点、其挂载方式，以及为何没有更好的方式。',
};

export function doctorWords(language: Language): DoctorWords {
  return language === 'zh' ? zh : en;
}

/** What a check is about, in Chinese, and what its lack hides. What the kernel or a library said stays as it was said. */
const CHINESE: Record<string, { what: string; hides: string }> = {
  privileges: { what: '权限', hides: '全部或部分：实时跟踪及读取其他网络命名空间需要 root（回放不需要）' },
  libbpf: { what: 'libbpf', hides: '全部：程序通过 libbpf.so.1 加载' },
  btf: { what: '本内核的类型信息（BTF）', hides: '全部，除非用 --btf 给出本内核的 BTF：程序无法适配内核' },
  ringBuffer: { what: '环形缓冲区', hides: '无；事件改由每个 CPU 各自的缓冲区传递，开销略高' },
  rawTracepoint: { what: 'raw tracepoint', hides: '设备、队列、丢包、套接字状态：所有通过跟踪点看到的内容' },
  kprobe: { what: 'kprobe', hides: '跟踪点之间的内核内部：IP、网桥、防火墙、各协议' },
  kretprobe: { what: 'kretprobe', hides: '函数返回值：由哪个防火墙表或链作出裁决（除非可以使用 fexit）' },
  kprobeMulti: { what: 'kprobe-multi', hides: '无；挂载大量探针更慢（每个约 20 毫秒）' },
  kprobeSession: { what: 'kprobe session', hides: '无；函数返回由第二个程序跟踪' },
  fentry: { what: 'fentry 与 fexit', hides: '在可用 kretprobe 时无：获取返回值的开销略高' },
  tracepoint: { what: '经典跟踪点', hides: '无；只有试过才知道哪些函数可以跟踪' },
  dropReasons: { what: '丢包原因', hides: '报文为何被丢弃：只知道在哪个函数' },
  'drop-reason-names': { what: '丢包原因的名称', hides: '报文为何被丢弃：只知道在哪里' },
  symbols: { what: '函数地址（/proc/kallsyms）', hides: '报文在哪个函数被丢弃' },
  tracefs: { what: 'tracefs', hides: '无' },
  'tool:ip': { what: 'ip', hides: '链路、地址、路由、邻居' },
  'tool:tc': { what: 'tc', hides: '排队规则及其速率、丢包与积压' },
  'tool:ss': { what: 'ss', hides: '套接字、其队列与所有者' },
  'tool:bridge': { what: 'bridge', hides: '网桥端口状态与转发表' },
  'tool:nft': { what: 'nft', hides: 'nftables 规则及其计数器' },
  'tool:iptables-save': { what: 'iptables-save', hides: 'iptables 规则及其计数器' },
  'tool:ethtool': { what: 'ethtool', hides: '驱动计数器、卸载特性、环大小' },
  'tool:conntrack': { what: 'conntrack', hides: '连接跟踪的条目与丢失' },
};

/** A check's texts in a language; one that has no words in it yet is told as it is. */
export function checkTexts(check: Check, language: Language): Pick<Check, 'found' | 'hides'> {
  const chinese = CHINESE[check.id];
  if (language === 'en' || !chinese) return check;
  const { what, hides } = chinese;
  const lacking = check.state !== 'ok' || (check.hides !== undefined && check.found.startsWith('no '));
  // Behind the colon stands why: what the kernel, the library or the file said.
  const why = /: (.*)$/s.exec(check.found)?.[1];
  const tool = check.id.startsWith('tool:');
  const gap = /^\w/.test(what) ? ' ' : '';
  const found = lacking
    ? `没有${tool ? `安装${gap}` : gap}${what}${why === undefined || tool ? '' : `：${why}`}`
    : tool
      ? check.found
      : `${what}：${present(check)}`;
  return { found, ...(check.hides !== undefined && { hides }) };
}

function present({ id, found }: Check): string {
  if (id === 'privileges' || id === 'libbpf') return found;
  return id === 'tracefs' && found.includes('not mounted') ? '未挂载；只有试过才知道哪些函数可以跟踪' : '可用';
}
