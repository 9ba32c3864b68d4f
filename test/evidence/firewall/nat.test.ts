import { expect } from 'chai';
import { isTo } from '../../../src/evidence/firewall/translations.js';
import { COLLECTORS } from '../../../src/evidence/index.js';
import type { EvidenceParams, EvidenceSource, RawEvidence } from '../../../src/evidence/types.js';

const ok = (text: string): RawEvidence => ({ status: 'ok', text });
const missing: RawEvidence = { status: 'missing', why: 'not there' };

/** A host with one legacy nat table, and the given answers of conntrack by the address they are asked for. */
function host(
  counts: { before: number; after: number },
  connections: (argv: readonly string[]) => string,
): EvidenceSource {
  const save = (packets: number): string =>
    [
      '*nat',
      ':PREROUTING ACCEPT [0:0]',
      ':POSTROUTING ACCEPT [0:0]',
      `[${packets}:60] -A PREROUTING -d 10.0.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.9.2:8443`,
      '[0:0] -A POSTROUTING -s 10.5.0.0/16 -o eth1 -j MASQUERADE',
      'COMMIT',
    ].join('\n');
  return {
    run: async (argv, { phase }) => {
      if (argv[0] === 'nft') return ok('{"nftables": []}');
      if (argv[0] === 'iptables-legacy-save') return ok(save(counts[phase]));
      return argv[0] === 'conntrack' ? ok(connections(argv)) : missing;
    },
    read: async (path) => (path === '/proc/net/ip_tables_names' ? ok('nat\n') : missing),
    list: async () => missing,
  };
}

async function ask(
  collector: string,
  source: EvidenceSource,
  params: EvidenceParams,
): Promise<Record<string, unknown>> {
  const fact = await COLLECTORS.get(collector)!.collect(source, params);
  if (!fact.known) throw new Error(fact.why);
  return fact.value;
}

const translated = { kind: 'dnat', dst: '10.0.9.2', dport: 8443, proto: 'TCP' };
const entry = (state: string, mark = ''): string =>
  `tcp      6 110 ${state} src=10.5.0.7 dst=10.0.0.1 sport=4000 dport=443 ${mark}src=10.0.9.2 dst=10.5.0.7 sport=8443 dport=4000`;

describe('the rule that sends packets to another destination', () => {
  it('is named with what clients ask for; its backend is dead when no connection has an answer', async () => {
    const value = await ask(
      'nat',
      host({ before: 0, after: 3 }, () => entry('SYN_SENT', '[UNREPLIED] ')),
      translated,
    );
    expect(value).to.include({ found: true, table: 'nat', chain: 'PREROUTING', number: 1, counterDelta: 3 });
    expect(value).to.include({ service: '10.0.0.1:443', connections: 1, unanswered: 1, refused: false, dead: true });
    expect(value.deleteCommand).to.match(/^iptables-legacy -t nat -D PREROUTING -d 10\.0\.0\.1\/32 /);
  });

  it('refused them all when it counted and none is left, and lives when one was answered', async () => {
    const refused = await ask(
      'nat',
      host({ before: 0, after: 3 }, () => ''),
      translated,
    );
    expect(refused).to.include({ refused: true, dead: true, service: '10.0.0.1:443' });
    const alive = await ask(
      'nat',
      host({ before: 0, after: 3 }, () => entry('ESTABLISHED')),
      translated,
    );
    expect(alive).to.include({ refused: false, dead: false });
  });

  it('is not one that counted nothing, or leads elsewhere', async () => {
    expect(
      await ask(
        'nat',
        host({ before: 3, after: 3 }, () => ''),
        translated,
      ),
    ).to.include({ found: false });
    const elsewhere = { ...translated, dport: 8444 };
    expect(
      await ask(
        'nat',
        host({ before: 0, after: 3 }, () => ''),
        elsewhere,
      ),
    ).to.include({ found: false });
  });

  it('reads every form of a destination', () => {
    expect(isTo('10.0.0.9', '10.0.0.9', 80)).to.equal(true);
    expect(isTo('10.0.0.9:8080', '10.0.0.9', 80)).to.equal(false);
    expect(isTo('10.0.0.9:8080-8090', '10.0.0.9', 8085)).to.equal(true);
    expect(isTo('10.0.0.9-10.0.0.12', '10.0.0.11', 80)).to.equal(true);
    expect(isTo('[fd00::9]:80', 'fd00::9', 80)).to.equal(true);
    expect(isTo('fd00::9', 'fd00::9', 80)).to.equal(true);
    expect(isTo(':8080', '192.0.2.1', 8080)).to.equal(true);
    expect(isTo('10.0.0.9', '10.0.0.10', 80)).to.equal(false);
  });
});

describe('the rule that gives packets another source', () => {
  const source = host({ before: 0, after: 0 }, () => '');

  it('is missing when there are such rules and none is for the packet', async () => {
    const value = await ask('nat', source, { kind: 'snat', src: '10.6.0.7', dst: '10.0.9.2', oif: 'eth1' });
    expect(value).to.include({ missing: true, rules: 1, nearestPlace: 'rule 1 of nat/POSTROUTING (iptables-legacy)' });
    expect(value.addCommand).to.equal('iptables-legacy -t nat -A POSTROUTING -s 10.6.0.7 -o eth1 -j MASQUERADE');
  });

  it('is not missing when one fits, nor certain to be when one may', async () => {
    const fits = { kind: 'snat', src: '10.5.0.7', dst: '10.0.9.2', oif: 'eth1' };
    expect(await ask('nat', source, fits)).to.include({ missing: false });
    expect(await ask('nat', source, { kind: 'snat', src: '10.5.0.7', dst: '10.0.9.2' })).to.include({ missing: null });
  });
});

describe('what connection tracking has seen of a flow', () => {
  const flow = { src: '10.0.0.1', dst: '10.0.0.2', proto: 'TCP', sport: 4000, dport: 80 };
  const line = (mark: string): string =>
    `tcp      6 110 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=80 ${mark}src=10.0.0.2 dst=10.0.0.1 sport=80 dport=4000`;
  const seen = (text: string, params: EvidenceParams = flow): Promise<Record<string, unknown>> =>
    ask(
      'conntrack-flow',
      host({ before: 0, after: 0 }, (argv) =>
        argv.includes('10.0.0.1') && argv[argv.indexOf('-s') + 1] === '10.0.0.1' ? text : '',
      ),
      params,
    );

  it('is one way while nothing was answered, and both ways after', async () => {
    expect(await seen(line('[UNREPLIED] '))).to.include({ oneWay: true, seen: 'requests only', entries: 1 });
    expect(await seen(line(''))).to.include({ oneWay: false, seen: '' });
  });

  it('is an answer without a question when there is no connection, and not known of anything else', async () => {
    expect(await seen('', { ...flow, flags: 'S.' })).to.include({ oneWay: true, seen: 'replies only' });
    expect(await seen('', flow)).to.include({ oneWay: null, entries: 0 });
  });

  it('leaves out other connections of the two', async () => {
    expect(await seen(line('[UNREPLIED] ').replaceAll('4000', '4001'))).to.include({ oneWay: null, entries: 0 });
  });
});
