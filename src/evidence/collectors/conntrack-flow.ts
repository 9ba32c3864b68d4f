import { commandPrefix, known, numberParam, textParam, unknown, where, whyNot } from '../facts.js';
import { parseAddress } from '../firewall/address-match.js';
import { protocolNumber } from '../firewall/model.js';
import type { EvidenceCollector, EvidenceParams } from '../types.js';

const NAMES: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' };

/** What connection tracking knows of one flow (ctnetlink, by conntrack-tools). */
export const conntrackFlow: EvidenceCollector = {
  name: 'conntrack-flow',
  describe: 'What connection tracking knows of a flow: whether it has seen both directions of it.',
  params: {
    src: 'source address of the packet',
    dst: 'destination address',
    proto: 'TCP, UDP, ICMP … or its number',
    sport: 'source port',
    dport: 'destination port',
    flags: 'TCP flags of the packet, as tcpdump writes them',
    icmpType: 'ICMP type of the packet',
  },
  members: {
    entries: 'connections between the two addresses (and on the port, where it has one)',
    oneWay: 'it has seen one direction only; null when that cannot be told',
    seen: '`requests only` or `replies only`; empty when both, or not known',
    state: 'TCP state of the connection; empty without',
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const [src, dst] = [textParam(params, 'src') ?? '', textParam(params, 'dst') ?? ''];
    const proto = NAMES[protocolNumber(textParam(params, 'proto')) ?? 0];
    const command = `${prefix}conntrack -L`;
    if (!parseAddress(src) || !parseAddress(dst) || proto === undefined)
      return unknown("the packet's addresses or protocol are not known", command);
    const family = src.includes(':') ? 'ipv6' : 'ipv4';
    const list = (from: string, to: string): string[] => [
      'conntrack',
      '-L',
      '-f',
      family,
      '-p',
      proto,
      '-s',
      from,
      '-d',
      to,
    ];
    const at = where(params, 'after');
    const [ahead, back] = await Promise.all([source.run(list(src, dst), at), source.run(list(dst, src), at)]);
    if (ahead.status !== 'ok') return unknown(whyNot(ahead), command);
    if (back.status !== 'ok') return unknown(whyNot(back), command);
    const lines = [...linesOf(ahead.text, params), ...linesOf(back.text, params)];
    const unanswered = lines.filter((line) => line.includes('[UNREPLIED]'));
    const answered = lines.length - unanswered.length;
    const seen = seenOf(unanswered.length, answered, params);
    const value = {
      entries: lines.length,
      oneWay: answered > 0 ? false : seen === '' ? null : true,
      seen,
      state: /^\S+\s+\d+\s+\d+\s+([A-Z_]+)/.exec(lines[0] ?? '')?.[1] ?? '',
    };
    const shown = `${prefix}${list(src, dst).join(' ')}`;
    const text = answered > 0 ? `connection tracking has seen both directions of it` : TEXTS[seen];
    return known(value, shown, text ?? 'connection tracking has no connection between the two');
  },
};

const TEXTS: Record<string, string> = {
  'requests only': 'connection tracking has seen requests between the two and no answer: the answers take another way',
  'replies only': 'connection tracking has no connection that this answer belongs to: its request took another way',
};

/** Entries of the asked port; without ports all of them. */
function linesOf(text: string, params: EvidenceParams): string[] {
  const [sport, dport] = [numberParam(params, 'sport') ?? 0, numberParam(params, 'dport') ?? 0];
  return text.split('\n').filter((line) => {
    const ports = /sport=(\d+) dport=(\d+)/.exec(line);
    if (!/\bsrc=/.test(line)) return false;
    if (!ports || (sport === 0 && dport === 0)) return true;
    const [a, b] = [Number(ports[1]), Number(ports[2])];
    return (a === sport && b === dport) || (a === dport && b === sport);
  });
}

function seenOf(unanswered: number, answered: number, params: EvidenceParams): string {
  if (answered > 0) return '';
  if (unanswered > 0) return 'requests only';
  const icmpType = numberParam(params, 'icmpType');
  const isReply = (textParam(params, 'flags') ?? '').includes('S.') || icmpType === 0 || icmpType === 129;
  return isReply ? 'replies only' : '';
}
