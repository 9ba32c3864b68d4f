import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { objectFile } from '../../src/bpf/flavour.js';
import {
  hasLoop,
  helpersOf,
  type Instruction,
  isJump,
  programsOf,
  readBpfObject,
  stackDepth,
  withSubprograms,
} from '../support/bpf-object.js';

/** BPF_MAXINSNS of kernels before 5.2, MAX_BPF_STACK, MAX_CALL_FRAMES. */
const MOST_INSTRUCTIONS = 4096;
const MOST_STACK = 512;

/**
 * Helpers that kernel/trace/bpf_trace.c of 4.19 gives to kprobes, tracepoints and raw tracepoints alike, of those that we
 * could use; and two newer ones that libbpf replaces by their elders (4 and 45) where the kernel lacks them.
 */
const HELPERS = new Map([
  [1, 'map_lookup_elem'],
  [2, 'map_update_elem'],
  [3, 'map_delete_elem'],
  [4, 'probe_read'],
  [5, 'ktime_get_ns'],
  [7, 'get_prandom_u32'],
  [8, 'get_smp_processor_id'],
  [14, 'get_current_pid_tgid'],
  [15, 'get_current_uid_gid'],
  [16, 'get_current_comm'],
  [25, 'perf_event_output'],
  [27, 'get_stackid'],
  [35, 'get_current_task'],
  [42, 'get_numa_node_id'],
  [45, 'probe_read_str'],
  [80, 'get_current_cgroup_id'],
  [113, 'probe_read_kernel'],
  [115, 'probe_read_kernel_str'],
]);

/** enum bpf_map_type of 4.19, of those that tracing programs may use. */
const MAPS = new Map([
  [1, 'HASH'],
  [2, 'ARRAY'],
  [4, 'PERF_EVENT_ARRAY'],
  [5, 'PERCPU_HASH'],
  [6, 'PERCPU_ARRAY'],
  [7, 'STACK_TRACE'],
  [9, 'LRU_HASH'],
  [10, 'LRU_PERCPU_HASH'],
  [11, 'LPM_TRIE'],
]);

describe('the legacy object', () => {
  const object = readBpfObject(objectFile('legacy'));
  const programs = programsOf(object);
  const documented = readFileSync(packagePath('docs', 'internals', 'legacy.md'), 'utf8');

  it('has the programs of the modern one, but for those of kprobe.multi', () => {
    const modern = programsOf(readBpfObject(objectFile('modern'))).map(({ name }) => name);
    expect(programs.map(({ name }) => name).sort()).to.deep.equal(
      modern.filter((name) => !name.endsWith('_multi')).sort(),
    );
  });

  it('is made of kinds of programs that 4.19 has', () => {
    expect(new Set(programs.map(({ section }) => section))).to.deep.equal(new Set(['raw_tp', 'tracepoint', 'kprobe']));
  });

  for (const program of programs) {
    it(`${program.name} has no more than ${MOST_INSTRUCTIONS} instructions, and no more stack than there is`, () => {
      const parts = withSubprograms(object, program);
      const total = parts.reduce((sum, { instructions }) => sum + instructions.length, 0);
      expect(total, 'instructions with subprograms').to.be.at.most(MOST_INSTRUCTIONS);
      expect(stackDepth(object, program), 'bytes of stack').to.be.at.most(MOST_STACK);
    });
  }

  it('calls only helpers that 4.19 has, and that the documentation lists', () => {
    const used = new Set([...object.functions.values()].flatMap(helpersOf));
    expect([...used].filter((id) => !HELPERS.has(id))).to.deep.equal([]);
    expect([...used].map((id) => HELPERS.get(id)!).filter((name) => !documented.includes(`\`${name}\``))).to.deep.equal([]);
  });

  it('has only kinds of maps that 4.19 has, and that the documentation lists', () => {
    const used = new Set(object.maps.values());
    expect(object.maps.get('events')).to.equal(4);
    expect([...object.maps].filter(([, type]) => !MAPS.has(type))).to.deep.equal([]);
    expect([...used].map((type) => MAPS.get(type)!).filter((name) => !documented.includes(`\`${name}\``))).to.deep.equal([]);
  });

  it('has no loops', () => {
    expect([...object.functions.values()].filter(hasLoop).map(({ name }) => name)).to.deep.equal([]);
  });

  it('has no global data', () => {
    const sections = [...object.sections].filter(([name, size]) => /^\.(data|bss|rodata|kconfig)/.test(name) && size > 0);
    expect(sections).to.deep.equal([]);
  });

  it('uses the instruction set v2: no jumps on halves of registers, no atomics but additions', () => {
    const JUMP32 = 6;
    const ATOMIC_STORE = 0xc3;
    const isNewer = ({ code, immediate }: Instruction): boolean =>
      (code & 7) === JUMP32 || ((code & 0xe7) === ATOMIC_STORE && immediate !== 0);
    const newer = [...object.functions.values()].filter(({ instructions }) => instructions.some(isNewer));
    expect(newer.map(({ name }) => name)).to.deep.equal([]);
  });
});

describe('reading a compiled object', () => {
  it('sees the loop in a program that has one', () => {
    const jump = (code: number, offset: number): Instruction => ({ code, offset, target: 0, source: 0, immediate: 0 });
    const exit = jump(0x95, 0);
    const loop = [jump(0xb7, 0), jump(0x15, -2), exit];
    const backwards = [jump(0x05, 1), exit, jump(0x15, -2), exit];
    const as = (instructions: Instruction[]) => ({ name: 'x', section: 'kprobe', instructions, calls: new Set<string>() });
    expect(hasLoop(as(loop))).to.equal(true);
    expect(hasLoop(as(backwards)), 'a jump back to code that does not come again').to.equal(false);
    expect(backwards.filter(isJump)).to.have.length(2);
  });

  it('finds the ring buffer and the newer instructions of the modern object', () => {
    const modern = readBpfObject(objectFile('modern'));
    expect(modern.maps.get('events')).to.equal(27);
    const instructions = [...modern.functions.values()].flatMap((one) => one.instructions);
    expect(instructions.some(({ code }) => (code & 7) === 6)).to.equal(true);
  });
});
