import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { packagePath } from '../../src/base/package-root.js';
import type { AttachBackend } from '../../src/bpf/types.js';
import { BACKENDS, checkBackends, onlyBackends, type Step } from '../../src/probes/backends.js';

const attach = (backend: AttachBackend, wantReturn = false): Step => ({
  request: { ...{ index: 0, program: 'skb', target: 'f', args: { skb: 0 }, nargs: 1 }, backend, wantReturn },
});

/** What is tried, in order; reasons in brackets. */
const order = (steps: readonly Step[]): string[] =>
  steps.map((step) => ('request' in step ? step.request.backend : `(${step.cause.code})`));

describe('backends that a user asks for', () => {
  it('may all stand in a recording', () => {
    const schema = JSON.parse(readFileSync(packagePath('docs', 'schema', 'recording-meta.schema.json'), 'utf8')) as {
      properties: { plan: { properties: { probes: { items: { properties: { backend: { enum: string[] } } } } } } };
    };
    const { backend } = schema.properties.plan.properties.probes.items.properties;
    expect(backend.enum).to.have.members(BACKENDS);
  });

  const all = [attach('raw-tracepoint'), attach('kprobe-multi'), attach('kprobe'), attach('fentry')];

  it('are tried in the order in which they were named, and no others', () => {
    expect(order(onlyBackends(all, ['fentry', 'kprobe-multi']))).to.deep.equal([
      '(not-asked-for)',
      'fentry',
      'kprobe-multi',
    ]);
    expect(order(onlyBackends(all, ['kprobe']))).to.deep.equal(['(not-asked-for)', 'kprobe']);
  });

  it('include their return forms, and give the return value before going without it', () => {
    const steps: Step[] = [
      attach('fexit', true),
      attach('kretprobe', true),
      { cause: { code: 'return-lost' } },
      attach('kprobe'),
    ];
    expect(order(onlyBackends(steps, ['kprobe']))).to.deep.equal([
      '(not-asked-for)',
      'kretprobe',
      '(return-lost)',
      'kprobe',
    ]);
  });

  it('leave nothing but the reasons of a point that has none of them', () => {
    const steps: Step[] = [{ cause: { code: 'no-kprobes' } }, attach('raw-tracepoint')];
    expect(order(onlyBackends(steps, ['kprobe']))).to.deep.equal(['(not-asked-for)', '(no-kprobes)']);
  });

  it('must exist', () => {
    expect(checkBackends(['kprobe', 'fentry', 'kprobe'])).to.deep.equal(['kprobe', 'fentry']);
    expect(() => checkBackends(['kprob', 'fentry', 'xdp']))
      .to.throw(VdiagError)
      .that.satisfies(
        ({ problems }: VdiagError) => problems.length === 2 && problems[0].hint === 'did you mean "kprobe"?',
      );
  });
});
