import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';
import { quoteWord, remediesFor, sampleRemedies } from '../../src/knowledge/remedies.js';
import { articleWith } from './samples.js';

const shape = articleWith([
  {
    do: '{{ns}}tc qdisc change dev {{device}} root {{configured}}',
    effect: 'changes {{device}}',
    risk: 'low',
    verify: '{{ns}}tc -s qdisc show dev {{device}}',
    undo: '{{restoreCommand}}',
  },
]);

describe('remedies filled from a diagnosis', () => {
  it('puts plain values in as they are, and a prefix that was built elsewhere', () => {
    const [remedy] = remediesFor(shape, {
      ns: 'ip netns exec vm1 ',
      device: 'tap1',
      configured: 'tbf rate 700kbit burst 4kb',
      restoreCommand: "nft 'add rule inet filter input drop'",
    });
    expect(remedy).to.deep.equal({
      do: 'ip netns exec vm1 tc qdisc change dev tap1 root tbf rate 700kbit burst 4kb',
      effect: 'changes tap1',
      risk: 'low',
      verify: 'ip netns exec vm1 tc -s qdisc show dev tap1',
      undo: "nft 'add rule inet filter input drop'",
    });
  });

  it('finds nested values, and numbers', () => {
    const article = articleWith([{ do: 'set {{suggested.rate}} {{pid}}', effect: 'x', risk: 'none' }]);
    expect(remediesFor(article, { suggested: { rate: '20mbit' }, pid: 4711 })[0].do).to.equal('set 20mbit 4711');
  });

  it('quotes what could be read as more than a word', () => {
    const [remedy] = remediesFor(shape, { device: 'a;reboot', configured: 'tbf $(reboot) `id`' });
    expect(remedy.do).to.equal("tc qdisc change dev 'a;reboot' root tbf '$(reboot)' '`id`'");
  });

  it('shows a missing value, an option in its place and one with control characters by its name', () => {
    for (const device of [undefined, null, '', '-x', '--help', 'a\nreboot', 'a\u001b[2J', 'a\u202eb', {}]) {
      expect(remediesFor(shape, { device })[0].do, String(device)).to.equal(
        'tc qdisc change dev DEVICE root CONFIGURED',
      );
    }
    const nested = articleWith([{ do: 'rate {{suggested.rate}} {{maxBacklog}}', effect: 'x', risk: 'none' }]);
    expect(remediesFor(nested, {})[0].do).to.equal('rate SUGGESTED_RATE MAX_BACKLOG');
  });

  it('leaves out what needs a command that is not to be had', () => {
    expect(remediesFor(shape, { device: 'tap1' })[0]).to.not.have.property('undo');
    expect(remediesFor(shape, { device: 'tap1', restoreCommand: 'a\nb' })[0]).to.not.have.property('undo');
    const article = articleWith([{ do: '{{deleteCommand}}', effect: 'x', risk: 'high' }]);
    expect(remediesFor(article, { deleteCommand: '' })).to.deep.equal([]);
    expect(remediesFor(article, { deleteCommand: 'iptables -D INPUT 1' })).to.have.lengthOf(1);
  });

  it('gives a command once, and how to keep it', () => {
    const article = articleWith([
      { do: '{{fixCommand}}', effect: 'one', risk: 'medium' },
      { do: 'ip link set dev {{device}} up', effect: 'two', risk: 'low', persist: 'in netplan' },
      { do: 'ip -d link show dev {{device}}', effect: 'three', risk: 'none' },
    ]);
    expect(remediesFor(article, { device: 'tap1', fixCommand: 'ip link set dev tap1 up' })).to.deep.equal([
      { do: 'ip link set dev tap1 up', effect: 'one', risk: 'medium', persist: 'in netplan' },
      { do: 'ip -d link show dev tap1', effect: 'three', risk: 'none' },
    ]);
    expect(remediesFor(article, { device: 'tap1', fixCommand: 'reboot' })).to.have.lengthOf(3);
  });

  it('shows sample commands where no diagnosis fills them', () => {
    const remedy = {
      do: '{{changeCommand}}',
      effect: 'for {{device}}',
      risk: 'low',
      undo: '{{restoreCommand}}',
    } as const;
    expect(sampleRemedies(articleWith([remedy]))[0]).to.deep.equal({
      do: 'tc qdisc change dev DEVICE root KIND rate RATE burst BURST latency 50ms',
      effect: 'for DEVICE',
      risk: 'low',
      undo: 'tc qdisc replace dev DEVICE root CONFIGURED',
    });
  });

  it('does not take inherited members for values', () => {
    const article = articleWith([{ do: 'x {{device}}', effect: 'x', risk: 'none' }]);
    expect(remediesFor(article, Object.create({ device: 'inherited' }) as Record<string, unknown>)[0].do).to.equal(
      'x DEVICE',
    );
  });

  it('gives a shell any word back unchanged, and nothing else', () => {
    const hostile = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom("'", '"', '\\', '$', '`', ';', ' ', '(', 'a') }),
    );
    const words = fc.sample(
      hostile.filter((word) => word !== '' && !/[\u0000-\u001f\u007f]/.test(word)),
      300,
    );
    const script = `printf '%s\\n' ${words.map(quoteWord).join(' ')}`;
    const output = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
    expect(output.split('\n').slice(0, -1)).to.deep.equal(words);
  });
});
