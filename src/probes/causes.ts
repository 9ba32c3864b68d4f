import type { CauseCode, ProbeCause } from './types.js';

/** Languages of reports. */
export type Language = 'en' | 'zh';

/** Causes that lie in the kernel as a whole, not in one probe point: the coverage section joins probes by them. */
const KERNEL_WIDE: ReadonlySet<CauseCode> = new Set([
  'no-raw-tracepoints',
  'no-tracepoints',
  'no-kprobes',
  'no-kretprobes',
  'no-fentry',
  'no-btf',
]);

/** Causes that cost the probe nothing that a report would show. */
const HARMLESS: ReadonlySet<CauseCode> = new Set(['module-not-loaded', 'module-absent']);

const WORDS: Record<CauseCode, { en: string; zh: string }> = {
  'no-raw-tracepoints': { en: 'this kernel has no raw tracepoints', zh: '本内核不支持 raw tracepoint' },
  'no-tracepoints': { en: 'classic tracepoints cannot be used: {}', zh: '无法使用经典跟踪点：{}' },
  'no-kprobes': { en: 'this kernel has no kprobes', zh: '本内核不支持 kprobe' },
  'no-kretprobes': { en: 'this kernel has no kretprobes', zh: '本内核不支持 kretprobe' },
  'no-fentry': { en: 'this kernel allows no fentry programs', zh: '本内核不允许 fentry 程序' },
  'no-btf': { en: 'there is no BTF for this kernel', zh: '本内核没有 BTF' },
  'not-asked-for': { en: 'it cannot be attached by {}, which was asked for', zh: '无法用所要求的 {} 方式附加' },
  'no-tracepoint': { en: 'this kernel has no tracepoint {}', zh: '本内核没有跟踪点 {}' },
  'no-record': {
    en: 'the record of the classic tracepoint {} lacks what is needed',
    zh: '经典跟踪点 {} 的记录缺少所需的内容',
  },
  'no-function': { en: 'this kernel has no function {}', zh: '本内核没有函数 {}' },
  'nearest-function': { en: 'the nearest name that it has is {}', zh: '最接近的函数名是 {}' },
  'module-not-loaded': {
    en: 'module {} is not loaded, so no packet passes there',
    zh: '模块 {} 未加载，因此没有数据包经过那里',
  },
  'module-absent': {
    en: 'this kernel has no module {}, so no packet passes there',
    zh: '本内核没有模块 {}，因此没有数据包经过那里',
  },
  'compiler-changed': {
    en: 'the compiler turned it into {}, whose arguments are not known',
    zh: '编译器把它变成了 {}，其参数未知',
  },
  'not-traceable': {
    en: 'the kernel does not let function {} be traced',
    zh: '内核不允许跟踪函数 {}',
  },
  ambiguous: { en: 'several functions are called {}', zh: '有多个名为 {} 的函数' },
  'no-prototype': { en: 'BTF does not tell the arguments of {}', zh: 'BTF 中没有 {} 的参数信息' },
  'prototype-changed': { en: 'its arguments changed: {}', zh: '其参数已改变：{}' },
  'by-reference': {
    en: '{} takes the packet by reference (struct sk_buff **)',
    zh: '{} 以引用方式（struct sk_buff **）接收数据包',
  },
  'argument-in-memory': { en: 'an argument of {} is not in a register', zh: '{} 的参数不在寄存器中' },
  'return-lost': { en: 'attached without its return value', zh: '已附加，但得不到返回值' },
  'other-name': { en: 'found as {}', zh: '以 {} 之名找到' },
  'attach-refused': { en: 'the kernel refused it: {}', zh: '内核拒绝附加：{}' },
};

/** One cause in plain words, without a capital or a full stop, so that it can stand inside a sentence. */
export function explainCause(cause: ProbeCause, language: Language = 'en'): string {
  return WORDS[cause.code][language].replace('{}', () => cause.detail ?? '?');
}

/** Whether a cause lies in the kernel as a whole. */
export function isKernelWide(cause: ProbeCause): boolean {
  return KERNEL_WIDE.has(cause.code);
}

/** Whether nothing is lost by it: no packet can pass code that is not there. */
export function isHarmless(cause: ProbeCause): boolean {
  return HARMLESS.has(cause.code);
}

/** The one cause that best says why a probe was left out: what is wrong with the point itself before what the kernel lacks. */
export function decisiveCause(causes: readonly ProbeCause[]): ProbeCause | undefined {
  return (
    causes.find(isHarmless) ??
    causes.find((cause) => cause.code === 'attach-refused') ??
    causes.find((cause) => isKernelWide(cause) && cause.code !== 'no-fentry') ??
    causes.find(isKernelWide) ??
    causes[0]
  );
}
