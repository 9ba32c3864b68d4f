import { expect } from 'chai';
import { flowsOf } from '../../src/diagnosis/flow-subjects.js';
import type { PacketView, SkbEvent } from '../../src/events/types.js';
import type { PairStats } from '../../src/paths/types.js';
import type { FindingGroup } from '../../src/rules/types.js';

const group = (flows: [string, number][], packets: Partial<PacketView>[] = []): FindingGroup =>
  ({
    flows: flows.map(([flow, count]) => ({ flow, count })),
    samples: packets.map((packet) => ({ packet }) as SkbEvent),
  }) as FindingGroup;

describe('flows of a group of findings', () => {
  it('takes the connections of one client to one service for one flow, each service for another', () => {
    const flows = flowsOf(
      group([
        ['TCP 10.0.0.1:40001 → 10.0.0.2:80', 3],
        ['TCP 10.0.0.1:40002 → 10.0.0.2:80', 2],
        ['UDP [fd00::1]:40003 → [fd00::2]:53', 1],
      ]),
      [],
    );
    expect(flows.map(({ proto, dst, dport, count }) => [proto, dst, dport, count])).to.deep.equal([
      ['TCP', '10.0.0.2', 80, 5],
      ['UDP', 'fd00::2', 53, 1],
    ]);
  });

  it('tells requests from replies by flags, by the kind of echo, by ports and by who spoke first', () => {
    const packet = (flags: string, sport: number, dport: number): Partial<PacketView> => ({
      proto: 'TCP',
      src: '10.0.0.2',
      dst: '10.0.0.1',
      sport,
      dport,
      flags,
    });
    const direction = (flow: string, sample?: Partial<PacketView>, a = '10.0.0.1'): string =>
      flowsOf(group([[flow, 1]], sample ? [sample] : []), [
        { a, b: a === '10.0.0.1' ? '10.0.0.2' : '10.0.0.1' } as PairStats,
      ])[0].direction;
    expect(direction('TCP 10.0.0.2:80 → 10.0.0.1:5000', packet('S.', 80, 5000))).to.equal('reply');
    expect(direction('TCP 10.0.0.2:80 → 10.0.0.1:5000', packet('S', 80, 5000))).to.equal('request');
    const echo = { proto: 'ICMP', src: '10.0.0.2', dst: '10.0.0.1', sport: 0, dport: 0, flags: '', icmpType: 0 };
    expect(direction('ICMP 10.0.0.2 → 10.0.0.1', echo)).to.equal('reply');
    expect(direction('UDP 10.0.0.2:53 → 10.0.0.1:40000')).to.equal('reply');
    expect(direction('UDP 10.0.0.2:40000 → 10.0.0.1:53')).to.equal('request');
    expect(direction('UDP 10.0.0.2:5000 → 10.0.0.1:5001')).to.equal('reply');
    expect(direction('UDP 10.0.0.2:5000 → 10.0.0.1:5001', undefined, '10.0.0.2')).to.equal('request');
  });
});
