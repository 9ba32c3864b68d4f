import { expect } from 'chai';
import { firewallCommands } from '../../../src/evidence/firewall/commands.js';
import type { PacketFacts } from '../../../src/evidence/firewall/model.js';
import { findSuspects } from '../../../src/evidence/firewall/search.js';
import { COLLECTORS } from '../../../src/evidence/index.js';
import { parseIptablesSave } from '../../../src/evidence/parsers/iptables-save.js';
import type { EvidenceParams } from '../../../src/evidence/types.js';
import { sampleSource } from '../samples.js';

async function rule(params: EvidenceParams): Promise<Record<string, unknown>> {
  const fact = await COLLECTORS.get('firewall-rule')!.collect(sampleSource(), { netns: 2, hook: 'INPUT', ...params });
  if (!fact.known) throw new Error(fact.why);
  return fact.value;
}

const flow = { src: '10.92.0.1', dst: '10.92.0.2', proto: 'UDP' };

describe('commands about a firewall rule', () => {
  it('quotes what a rule carries, so that nothing of it is run when it is pasted in a shell', () => {
    const text = `*filter\n:INPUT ACCEPT [0:0]\n[5:300] -A INPUT -p udp -m comment --comment "drop $(it) 'now'" -j DROP\nCOMMIT`;
    const origin = { backend: 'iptables-legacy', tool: 'iptables-legacy', family: 'ip' } as const;
    const packet = { src: '10.92.0.1', dst: '10.92.0.2', proto: 17 };
    const [suspect] = findSuspects(parseIptablesSave(text, origin), undefined, { packet });
    const quoted = String.raw`-p udp -m comment --comment 'drop $(it) '\''now'\''' -j DROP`;
    const { deleteCommand, restoreCommand } = firewallCommands(suspect, packet);
    expect(deleteCommand).to.equal(`iptables-legacy -t filter -D INPUT ${quoted}`);
    expect(restoreCommand).to.equal(`iptables-legacy -t filter -I INPUT 1 ${quoted}`);
  });

  it('leaves a chain alone that drops all that comes, and names the rule that sends there', async () => {
    const value = await rule({ ...flow, dport: 5353 });
    expect(value.chain).to.equal('LOGDROP');
    expect(value.sentBy).to.match(/^rule 2 of INPUT \(-A INPUT .*--dport 5353 -j LOGDROP\)$/);
    expect(value.deleteCommand).to.equal(
      'ip netns exec gcb iptables-legacy -t filter -D INPUT -s 10.92.0.1/32 -p udp -m udp --dport 5353 -j LOGDROP',
    );
  });

  it('takes an element out of the set that a rule asks', async () => {
    const value = await rule({ ...flow, dport: 5357 });
    expect(value).to.include({ set: 'blocked', map: '' });
    expect(value.releaseCommand).to.equal(
      `ip netns exec gcb nft 'delete element inet guard blocked { ${String(value.element)} }'`,
    );
    expect(value.blockCommand).to.equal(String(value.releaseCommand).replace('delete', 'add'));
  });

  it('lets one flow through in front of the rule, and takes that back', async () => {
    const value = await rule({ ...flow, dport: 5354 });
    const accept = '-s 10.92.0.1 -d 10.92.0.2 -p udp --dport 5354 -j ACCEPT';
    expect(value.insertAcceptCommand).to.equal(`ip netns exec gcb iptables-nft -t filter -I INPUT 1 ${accept}`);
    expect(value.removeAcceptCommand).to.equal(`ip netns exec gcb iptables-nft -t filter -D INPUT ${accept}`);
  });

  it('lets an answer through by the port of the service, and of a policy the answers as well, each in its namespace', () => {
    const origin = { backend: 'iptables-legacy', tool: 'iptables-legacy', family: 'ip' } as const;
    const commands = (text: string, packet: PacketFacts) => {
      const [suspect] = findSuspects(parseIptablesSave(`*filter\n${text}\nCOMMIT`, origin), undefined, { packet });
      return firewallCommands(suspect, packet, 'ip netns exec r ');
    };
    const request = { src: '10.0.0.1', dst: '10.0.0.2', proto: 6, sport: 40_000, dport: 443 };
    const answer = { src: '10.0.0.2', dst: '10.0.0.1', proto: 6, sport: 443, dport: 40_000 };
    const tool = 'ip netns exec r iptables-legacy -t filter';
    const back = '-s 10.0.0.2 -d 10.0.0.1 -p tcp --sport 443 -j ACCEPT';
    const rule = commands(':FORWARD ACCEPT [0:0]\n[5:300] -A FORWARD -i rb -j DROP', { ...answer, iif: 'rb' });
    expect(rule.insertAcceptCommand).to.equal(`${tool} -I FORWARD 1 ${back}`);
    const policy = commands(':FORWARD DROP [5:300]', request);
    const forth = '-s 10.0.0.1 -d 10.0.0.2 -p tcp --dport 443 -j ACCEPT';
    expect(policy.insertAcceptCommand).to.equal(`${tool} -I FORWARD 1 ${forth} && ${tool} -I FORWARD 2 ${back}`);
    expect(policy.removeAcceptCommand).to.equal(`${tool} -D FORWARD ${forth} && ${tool} -D FORWARD ${back}`);
    expect(policy.deleteCommand).to.equal(`${tool} -P FORWARD ACCEPT`);
  });

  it('names nft rules by their handle and restores them at their place', async () => {
    const value = await rule({ ...flow, dport: 5357 });
    expect(value).to.include({ number: 5, handle: 10, verdict: 'REJECT', counter: true, counterDelta: 20 });
    expect(value.deleteCommand).to.equal('ip netns exec gcb nft delete rule inet guard input handle 10');
    expect(value.restoreCommand).to.equal(
      "ip netns exec gcb nft 'insert rule inet guard input index 4 ip saddr @blocked udp dport 5357 counter reject with icmp port-unreachable'",
    );
    expect(value.insertAcceptCommand).to.equal('');
    expect(value.acceptCommand).to.equal(
      'ip netns exec gcb nft insert rule inet guard input position 10 ip saddr 10.92.0.1 ip daddr 10.92.0.2 udp dport 5357 accept',
    );
  });

  it('says that a rule without a counter was found by what it asks for', async () => {
    expect(await rule({ ...flow, dport: 5356 })).to.include({
      counter: false,
      counterDelta: null,
      fit: 'yes',
      found: true,
    });
  });

  it('answers "not found" in the same form', async () => {
    expect(await rule({ ...flow, dport: 5777 })).to.include({ found: false, deleteCommand: '', counterDelta: null });
  });
});
