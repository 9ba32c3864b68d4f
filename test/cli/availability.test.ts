import { expect } from 'chai';
import stringWidth from 'string-width';
import { availabilitySummary, groupTable, pointTable } from '../../src/cli/availability-text.js';
import { checkTexts } from '../../src/cli/doctor-words.js';
import { availabilityOf } from '../../src/probes/availability.js';
import { capabilitiesOf } from '../../src/probes/capabilities.js';
import { examineHost } from '../../src/probes/doctor.js';
import type { PlannedProbe, ProbeCause, ProbeGroup, ProbePlan } from '../../src/probes/types.js';

function probe(
  name: string,
  group: ProbeGroup,
  how: Partial<PlannedProbe>,
  hides = `what ${name} shows`,
): PlannedProbe {
  const point = {
    name,
    group,
    set: 'basic',
    role: 'other',
    program: 'skb',
    function: name,
    hides,
    hidesZh: `${name} 的内容`,
  };
  return { index: 0, reasons: [], ...how, point: { ...point } as PlannedProbe['point'] };
}

const because = (...causes: ProbeCause[]): Pick<PlannedProbe, 'causes'> => ({ causes });

const plan: ProbePlan = {
  set: 'basic',
  probes: [
    probe('netif_rx', 'l2', { backend: 'raw-tracepoint', target: 'net:netif_rx' }),
    probe('br_forward', 'l2', {
      ...{ backend: 'kprobe', target: '__br_forward' },
      ...because({ code: 'no-fentry' }, { code: 'other-name', detail: '__br_forward' }),
    }),
    probe('ip_rcv', 'l3', because({ code: 'not-traceable', detail: 'ip_rcv' })),
    probe('nft_do_chain', 'netfilter', {
      ...{ backend: 'kprobe', target: 'nft_do_chain' },
      ...because({ code: 'no-kretprobes' }, { code: 'return-lost' }),
    }),
    probe('ip_vs_in', 'netfilter', because({ code: 'module-not-loaded', detail: 'ip_vs' })),
  ],
};

describe('what of the catalogue this kernel has', () => {
  const found = availabilityOf(plan);

  it('is told for each point: how, by which name, why not better, what its lack hides', () => {
    expect(found.points).to.deep.equal([
      {
        ...{ probe: 'netif_rx', group: 'l2', set: 'basic', backend: 'raw-tracepoint', target: 'net:netif_rx' },
        ...{ state: 'attached', why: [], whyZh: [] },
      },
      {
        ...{ probe: 'br_forward', group: 'l2', set: 'basic', backend: 'kprobe', target: '__br_forward' },
        ...{ alias: '__br_forward', state: 'attached' },
        ...{ why: ['this kernel allows no fentry programs'], whyZh: ['本内核不允许 fentry 程序'] },
      },
      {
        ...{ probe: 'ip_rcv', group: 'l3', set: 'basic', state: 'missing' },
        ...{ why: ['the kernel does not let function ip_rcv be traced'], whyZh: ['内核不允许跟踪函数 ip_rcv'] },
        ...{ hides: 'what ip_rcv shows', hidesZh: 'ip_rcv 的内容' },
      },
      {
        ...{ probe: 'nft_do_chain', group: 'netfilter', set: 'basic', backend: 'kprobe', target: 'nft_do_chain' },
        state: 'degraded',
        why: ['this kernel has no kretprobes', 'attached without its return value'],
        whyZh: ['本内核不支持 kretprobe', '已附加，但得不到返回值'],
        ...{ hides: 'what it returns', hidesZh: '其返回值' },
      },
      {
        ...{ probe: 'ip_vs_in', group: 'netfilter', set: 'basic', state: 'unneeded' },
        why: ['module ip_vs is not loaded, so no packet passes there'],
        whyZh: ['模块 ip_vs 未加载，因此没有数据包经过那里'],
      },
    ]);
  });

  it('is told in sum, by group', () => {
    expect(found).to.deep.include({ planned: 5, attached: 3, degraded: 1, unneeded: 1 });
    expect(groupTable(found, 'en')).to.deep.equal([
      'group       points  attached  by',
      'l2               2         2  1 raw-tracepoint, 1 kprobe',
      'l3               1         0',
      'netfilter        2         1  1 kprobe',
    ]);
    expect(availabilitySummary(found, 'en', 200)).to.deep.equal([
      '3 of 5 points of the set basic can be attached here (1 raw-tracepoint, 2 kprobe). 1 of them cannot tell what they return. 1 are in modules that are not loaded or not there: no packet passes them.',
      'Not seen because the kernel does not let their functions be traced: what ip_rcv shows.',
    ]);
    expect(availabilitySummary(found, 'zh', 200).at(-1)).to.equal(
      '内核不允许跟踪所需的函数，因此看不到：ip_rcv 的内容。',
    );
  });

  it('names the first of many things that are not seen, and counts the others', () => {
    const missing = Array.from({ length: 12 }, (_, i) => probe(`f${i}`, 'l4', because({ code: 'no-kprobes' })));
    const text = availabilitySummary(availabilityOf({ set: 'full', probes: missing }), 'en', 1000).at(-1);
    expect(text).to.include('what f7 shows; and 4 more.').and.not.include('f8');
  });

  it('fits the width it is given, in both languages, however long names are', () => {
    const long = probe(`a_function_whose_name_is_longer_than_its_column`, 'l2', {
      ...because({ code: 'attach-refused', detail: 'the kernel said a lot about it '.repeat(6) }),
    });
    const of = availabilityOf({ set: 'full', probes: [...plan.probes, long] });
    for (const language of ['en', 'zh'] as const) {
      for (const line of pointTable(of, language, 100)) expect(stringWidth(line), line).to.be.at.most(100);
    }
    const lines = pointTable(of, 'en', 100);
    expect(lines.some((line) => /^br_forward {22}kprobe {10}as __br_forward; this kernel/.test(line))).to.equal(true);
    expect(lines).to.include('a_function_whose_name_is_longer_than_its_column');
  });
});

describe("the doctor's checks in Chinese", () => {
  const no = { ok: false, why: 'because' };
  const capabilities = capabilitiesOf({
    ...{ release: '1', arch: 'x64', btf: no, ringBuffer: no, rawTracepoint: no, tracepoint: no },
    ...{ kprobe: no, kretprobe: no, kprobeMulti: no, kprobeSession: no, fentry: no, dropReasons: no },
  });
  const nowhere = { status: '/nowhere', kallsyms: '/nowhere', tracefs: [], tools: { folders: [], osRelease: '' } };

  it('have words for every check, lacking or not, and keep what the kernel said', () => {
    const { checks } = examineHost({ capabilities, types: undefined, libbpf: new Error('none') }, nowhere);
    for (const check of checks) {
      const { found, hides } = checkTexts(check, 'zh');
      expect(found, check.id).to.match(/[\u4e00-\u9fff]/);
      if (check.hides !== undefined) expect(hides, check.id).to.match(/[\u4e00-\u9fff]/);
    }
    const kprobe = checks.find(({ id }) => id === 'kprobe')!;
    expect(checkTexts(kprobe, 'zh').found).to.equal('没有 kprobe：because');
    expect(checkTexts(kprobe, 'en').found).to.equal('no kprobes: because');
  });

  it('say of what is there that it is', () => {
    const check = { id: 'kprobe', state: 'ok', found: 'kprobes' } as const;
    expect(checkTexts(check, 'zh').found).to.equal('kprobe：可用');
    expect(checkTexts({ id: 'tool:tc', state: 'ok', found: '/sbin/tc' }, 'zh').found).to.equal('/sbin/tc');
    expect(checkTexts({ id: 'tool:tc', state: 'warn', found: 'tc is not installed', hides: 'x' }, 'zh')).to.deep.equal({
      found: '没有安装 tc',
      hides: '排队规则及其速率、丢包与积压',
    });
  });
});
