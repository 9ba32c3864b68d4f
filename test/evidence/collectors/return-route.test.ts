import { expect } from 'chai';
import { COLLECTORS } from '../../../src/evidence/index.js';
import type { EvidenceSource } from '../../../src/evidence/types.js';

/** A host with 10.78.2.2 on eth0, and without a route to 10.78.1.2. */
function hostWith(flags: string[]): EvidenceSource {
  const eth0 = { ...{ ifindex: 2, ifname: 'eth0', mtu: 1500, operstate: 'UP', link_type: 'ether' }, flags };
  const answers: Record<string, string> = {
    'ip -j route get 10.78.2.2': JSON.stringify([{ type: 'local', dst: '10.78.2.2', dev: 'lo' }]),
    'ip -j address show to 10.78.2.2': JSON.stringify([{ ifname: 'eth0' }]),
    'ip -j -s -d link show': JSON.stringify([eth0]),
  };
  const run: EvidenceSource['run'] = async (argv) => {
    const text = answers[argv.join(' ')];
    if (text !== undefined) return { status: 'ok', text };
    return argv[2] === 'route' && argv[3] === 'get'
      ? { status: 'failed', why: 'RTNETLINK answers: Network is unreachable' }
      : { status: 'ok', text: '[]' };
  };
  const nothing = async () => ({ status: 'missing', why: 'no such file' }) as const;
  return { run, read: nothing, list: nothing };
}

describe('evidence: return-route', () => {
  const params = { address: '10.78.2.2', peer: '10.78.1.2' };
  const asked = async (flags: string[]) => {
    const fact = await COLLECTORS.get('return-route')!.collect(hostWith(flags), params);
    return fact.known ? fact.value : fact.why;
  };

  it('tells that there is none, and whether the device with the address is down', async () => {
    expect(await asked(['UP', 'LOWER_UP'])).to.include({ local: true, type: 'none', down: false });
    expect(await asked([])).to.include({ local: true, type: 'none', down: true });
  });
});
