import { expect } from 'chai';
import type { FieldName } from '../../src/events/field-names.js';
import { compileCondition, type FieldTable } from '../../src/rules/compile.js';
import type { EventRule } from '../../src/rules/types.js';
import { FIELD_SPECS } from '../../src/events/field-names.js';
import { LANGUAGES } from '../../src/knowledge/knowledge-base.js';
import { dropReasons, knowledge, macroFunctions, rules } from './content.js';

type Facts = Partial<Record<FieldName, string | number | boolean>>;

const fields = Object.fromEntries(
  (Object.keys(FIELD_SPECS) as FieldName[]).map((name) => [
    name,
    { type: FIELD_SPECS[name].type, read: (facts: Facts) => facts[name] },
  ]),
) as FieldTable<Facts>;

const dropRules = rules
  .filter(({ on }) => on.includes('kfree_skb'))
  .map((rule) => ({ rule, test: compileCondition(rule.when, fields) }));

function findings(facts: Facts): EventRule[] {
  return dropRules.filter(({ test }) => test({ 'event.probe': 'kfree_skb', ...facts })).map(({ rule }) => rule);
}

/** Packets that a drop may hit, each with what tells rules apart. */
const PACKETS: Record<string, Facts> = {
  'a TCP SYN': {
    'packet.proto': 'TCP',
    'packet.version': 4,
    'packet.syn': true,
    'packet.rst': false,
    'packet.ttl': 64,
    'packet.payload': 0,
    'packet.sport': 40000,
    'packet.multicast': false,
  },
  'TCP data': {
    'packet.proto': 'TCP',
    'packet.version': 6,
    'packet.syn': false,
    'packet.rst': false,
    'packet.ttl': 1,
    'packet.payload': 1400,
    'packet.sport': 443,
    'packet.multicast': false,
  },
  'a TCP reset': {
    'packet.proto': 'TCP',
    'packet.version': 4,
    'packet.syn': false,
    'packet.rst': true,
    'packet.ttl': 64,
    'packet.payload': 0,
    'packet.sport': 80,
    'packet.multicast': false,
  },
  'a UDP datagram': {
    'packet.proto': 'UDP',
    'packet.version': 4,
    'packet.syn': false,
    'packet.rst': false,
    'packet.ttl': 64,
    'packet.payload': 100,
    'packet.sport': 40000,
    'packet.multicast': false,
  },
  'a DNS answer': {
    'packet.proto': 'UDP',
    'packet.version': 4,
    'packet.syn': false,
    'packet.rst': false,
    'packet.ttl': 64,
    'packet.payload': 100,
    'packet.sport': 53,
    'packet.multicast': false,
  },
  'a ping': {
    'packet.proto': 'ICMP',
    'packet.version': 4,
    'packet.syn': false,
    'packet.rst': false,
    'packet.ttl': 64,
    'packet.payload': 56,
    'packet.multicast': false,
  },
  'an ARP answer': {
    'packet.proto': 'ARP',
    'packet.version': 0,
    'packet.syn': false,
    'packet.rst': false,
    'packet.payload': 0,
    'packet.multicast': false,
  },
  'a multicast': {
    'packet.proto': 'UDP',
    'packet.version': 6,
    'packet.syn': false,
    'packet.rst': false,
    'packet.ttl': 1,
    'packet.payload': 90,
    'packet.sport': 5353,
    'packet.multicast': true,
  },
  'a packet of unknown headers': {},
};

const LAST_ROLES = [undefined, 'receive', 'queue', 'enqueue', 'transmitted', 'deliver'];

function expectOne(facts: Facts, what: string): void {
  const found = findings(facts).map(({ id }) => id);
  expect(found, what).to.have.lengthOf(1);
}

describe('the rules about drops', () => {
  it("are many, and cover the kernel's reasons", () => {
    expect(rules).to.have.lengthOf.at.least(60);
    expect(dropReasons).to.have.lengthOf.at.least(140);
  });

  for (const [what, packet] of Object.entries(PACKETS)) {
    it(`make one finding of each drop of ${what}, whatever the reason`, () => {
      for (const reason of [...dropReasons, 'A_REASON_OF_TOMORROW', 'OPENVSWITCH_3', 'reason 93']) {
        expectOne({ ...packet, 'event.reason': reason, 'event.function': 'some_function' }, `${what}, ${reason}`);
      }
    });

    it(`make one finding of each drop of ${what} without a reason, wherever it is freed`, () => {
      const places = [
        ...[...macroFunctions().values()].flat(),
        'kfree_skb_list_reason',
        'tcp_prune_ofo_queue',
        'unheard_of',
        undefined,
      ];
      for (const place of places) {
        for (const role of LAST_ROLES) {
          for (const reason of [undefined, 'NOT_SPECIFIED']) {
            const facts: Facts = { ...packet, 'event.function': place, 'path.lastRole': role, 'event.reason': reason };
            expectOne(
              Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)),
              `${what}, ${place}, after ${role}`,
            );
          }
        }
      }
    });
  }

  it('know every reason by name: none falls to the rule for unknown ones', () => {
    for (const reason of dropReasons) {
      const [rule] = findings({ ...PACKETS['TCP data'], 'event.reason': reason });
      expect(rule.id, reason).to.not.equal('lifecycle.unknown-reason');
    }
    expect(findings({ ...PACKETS['TCP data'], 'event.reason': 'NEW_ONE' })[0].id).to.equal('lifecycle.unknown-reason');
  });

  for (const language of LANGUAGES) {
    it(`lead to an article that names the reason, whatever the packet (${language})`, () => {
      for (const reason of dropReasons) {
        const articles = new Set(
          Object.entries(PACKETS)
            // What a group did not want is said to be that: the reason may be any.
            .filter(([what]) => what !== 'a multicast')
            .flatMap(([, packet]) => findings({ ...packet, 'event.reason': reason }).map(({ article }) => article)),
        );
        expect(articles, reason).to.not.have.lengthOf(0);
        for (const id of articles) {
          const { title, symptoms, causes, body } = knowledge.article(id, language)!;
          const text = [title, ...symptoms, ...causes, body].join('\n');
          expect(text, `${reason} in ${language}/${id}`).to.match(new RegExp(`(?<![A-Z_])${reason}(?![A-Z_])`));
        }
      }
    });
  }

  it('call Wi-Fi information, by the reasons of its subsystem or by their number', () => {
    for (const reason of ['RX_DROP_U_MIC_FAIL', 'MAC80211_UNUSABLE_7']) {
      const [rule] = findings({ ...PACKETS['TCP data'], 'event.reason': reason });
      expect([rule.id, rule.level]).to.deep.equal(['lifecycle.wireless', 'info']);
    }
  });

  it('share no function between two places', () => {
    const places = [...macroFunctions()].flatMap(([name, functions]) => functions.map((prefix) => ({ name, prefix })));
    for (const x of places) {
      const others = places.filter((y) => y.name !== x.name && y.prefix.startsWith(x.prefix));
      expect(others, `${x.prefix} of ${x.name}`).to.deep.equal([]);
    }
  });

  const levels: [what: string, facts: Facts, level: string, id: string][] = [
    ['old data', { ...PACKETS['TCP data'], 'event.reason': 'TCP_OLD_DATA' }, 'info', 'lifecycle.tcp-old'],
    ['an old acknowledgement', { ...PACKETS['TCP data'], 'event.reason': 'TCP_OLD_ACK' }, 'info', 'lifecycle.tcp-old'],
    [
      'a straggler of a connection that has ended',
      { ...PACKETS['TCP data'], 'event.reason': 'TCP_RFC7323_TW_PAWS' },
      'info',
      'lifecycle.tcp-old',
    ],
    [
      'a new connection that one before stands in the way of',
      { ...PACKETS['a TCP SYN'], 'event.reason': 'TCP_RFC7323_TW_PAWS' },
      'warn',
      'lifecycle.tcp-timestamp',
    ],
    ['fast open', { ...PACKETS['a TCP SYN'], 'event.reason': 'TCP_FASTOPEN' }, 'info', 'lifecycle.tcp-old'],
    [
      'the reset that ends a connection',
      { ...PACKETS['a TCP reset'], 'event.reason': 'TCP_RESET' },
      'info',
      'lifecycle.tcp-old',
    ],
    [
      'a keepalive',
      { ...PACKETS['TCP data'], 'packet.payload': 1, 'event.reason': 'TCP_INVALID_SEQUENCE' },
      'info',
      'lifecycle.tcp-probe',
    ],
    ['data after close', { ...PACKETS['TCP data'], 'event.reason': 'TCP_CLOSE' }, 'info', 'lifecycle.socket-close'],
    [
      'unread UDP at close',
      { ...PACKETS['a UDP datagram'], 'event.reason': 'SOCKET_CLOSE' },
      'info',
      'lifecycle.socket-close',
    ],
    [
      'unread UDP at close, old kernel',
      { ...PACKETS['a UDP datagram'], 'event.function': '__skb_queue_purge' },
      'info',
      'lifecycle.queue-purge',
    ],
    [
      "ping's answer to the ping socket",
      { ...PACKETS['a ping'], 'event.reason': 'NO_SOCKET' },
      'info',
      'lifecycle.no-socket-late',
    ],
    [
      'a late DNS answer',
      { ...PACKETS['a DNS answer'], 'event.reason': 'NO_SOCKET' },
      'info',
      'lifecycle.no-socket-late',
    ],
    [
      'a segment of a gone connection',
      { ...PACKETS['TCP data'], 'event.reason': 'NO_SOCKET' },
      'info',
      'lifecycle.no-socket-late',
    ],
    ["another host's frame", { ...PACKETS['TCP data'], 'event.reason': 'OTHERHOST' }, 'info', 'lifecycle.other-host'],
    [
      'a copy that tcpdump missed',
      { ...PACKETS['TCP data'], 'event.reason': 'PACKET_SOCK_ERROR' },
      'info',
      'lifecycle.packet-socket',
    ],
    [
      'a router solicitation without IPv6',
      { ...PACKETS['a multicast'], 'event.reason': 'IPV6DISABLED' },
      'info',
      'lifecycle.multicast-drop',
    ],
    [
      'mDNS that nobody wants',
      { ...PACKETS['a multicast'], 'event.reason': 'NO_SOCKET' },
      'info',
      'lifecycle.multicast-drop',
    ],
    [
      'multicast that the firewall drops',
      { ...PACKETS['a multicast'], 'event.reason': 'NETFILTER_DROP' },
      'info',
      'lifecycle.multicast-drop',
    ],
    [
      'the parts of a GRO packet, old kernel',
      { ...PACKETS['TCP data'], 'event.function': 'kfree_skb_list', 'path.lastRole': 'deliver' },
      'info',
      'lifecycle.fragment-list',
    ],
    [
      'a sent packet freed by its driver',
      { ...PACKETS['TCP data'], 'event.function': 'e1000_clean', 'path.lastRole': 'transmitted' },
      'info',
      'lifecycle.freed-after-transmit',
    ],
    [
      'the filter of another ping',
      { ...PACKETS['a ping'], 'event.reason': 'SOCKET_FILTER' },
      'info',
      'lifecycle.socket-filter-raw',
    ],
    ['a closed port', { ...PACKETS['a TCP SYN'], 'event.reason': 'NO_SOCKET' }, 'error', 'lifecycle.no-socket'],
    [
      'a closed port, old kernel',
      { ...PACKETS['a TCP SYN'], 'event.function': 'tcp_v4_rcv' },
      'error',
      'lifecycle.no-socket',
    ],
    [
      'an unbound UDP port',
      { ...PACKETS['a UDP datagram'], 'event.reason': 'NO_SOCKET' },
      'warn',
      'lifecycle.no-udp-socket',
    ],
    ['the firewall', { ...PACKETS['TCP data'], 'event.reason': 'NETFILTER_DROP' }, 'error', 'lifecycle.netfilter-drop'],
    [
      'the firewall, old kernel',
      { ...PACKETS['TCP data'], 'event.function': 'nf_hook_slow' },
      'error',
      'lifecycle.netfilter-drop',
    ],
    [
      'a reset that the firewall drops',
      { ...PACKETS['a TCP reset'], 'event.reason': 'NETFILTER_DROP' },
      'info',
      'lifecycle.netfilter-drop-reset',
    ],
    ['a full queue', { ...PACKETS['TCP data'], 'event.reason': 'QDISC_DROP' }, 'error', 'lifecycle.qdisc-drop'],
    [
      'a full queue, old kernel',
      { ...PACKETS['TCP data'], 'event.function': 'kfree_skb_list', 'path.lastRole': 'queue' },
      'error',
      'lifecycle.qdisc-drop',
    ],
    [
      'a queue that drops what waited too long, without a reason',
      { ...PACKETS['TCP data'], 'event.reason': 'NOT_SPECIFIED', 'event.function': '__fq_codel_dequeue' },
      'error',
      'lifecycle.qdisc-drop',
    ],
    ['a full tap ring', { ...PACKETS['TCP data'], 'event.reason': 'FULL_RING' }, 'error', 'lifecycle.ring-full'],
    [
      'a full tap ring, multicast',
      { ...PACKETS['a multicast'], 'event.reason': 'FULL_RING' },
      'error',
      'lifecycle.ring-full',
    ],
    [
      'a full tap ring, old kernel',
      { ...PACKETS['TCP data'], 'event.function': 'tun_net_xmit' },
      'error',
      'lifecycle.ring-full',
    ],
    [
      'a full receive buffer',
      { ...PACKETS['a UDP datagram'], 'event.reason': 'SOCKET_RCVBUFF' },
      'error',
      'lifecycle.socket-rcvbuf',
    ],
    ['an expired TTL', { ...PACKETS['TCP data'], 'event.reason': 'IP_INHDR' }, 'warn', 'lifecycle.ttl-expired'],
    ['a broken header', { ...PACKETS['a TCP SYN'], 'event.reason': 'IP_INHDR' }, 'error', 'lifecycle.ip-header'],
    [
      'the reverse path filter',
      { ...PACKETS['TCP data'], 'event.reason': 'IP_RPFILTER' },
      'error',
      'lifecycle.rp-filter',
    ],
    [
      'no reason and no known place',
      { ...PACKETS['TCP data'], 'event.function': 'mystery' },
      'warn',
      'lifecycle.unspecified',
    ],
  ];
  for (const [what, facts, level, id] of levels) {
    it(`call ${what} ${level} (${id})`, () => {
      expect(findings(facts).map((rule) => [rule.id, rule.level])).to.deep.equal([[id, level]]);
    });
  }

  it('give every drop a message in both languages and the tag by which scenarios choose', () => {
    for (const { rule } of dropRules) {
      expect(rule.tags, rule.id).to.include('drop');
      expect(rule.messageZh, rule.id).to.match(/\p{Script=Han}/u);
      // What is information only is said to be harmless, or is a reason that may have a harmless cause.
      if (rule.tags.includes('benign')) expect(rule.level, rule.id).to.equal('info');
    }
  });
});
