/** What a VM runs for the tests of packet identity: cases, one after the other, each under a trace of its own. */
export interface IdentityCase {
  name: string;
  /** Shell: makes namespaces and devices. */
  setup: string;
  filter: Record<string, unknown>;
  /** Shell: the traffic that is traced. */
  traffic: string;
  /** Points of the catalogue beside the tracepoints that every case has. */
  points?: string[];
}

/** Points that every case has: tracepoints, and how one skb comes of another. */
export const POINTS = [
  ...['netif_receive_skb', 'net_dev_queue', 'net_dev_start_xmit', 'net_dev_xmit', 'consume_skb', 'kfree_skb'],
  ...['skb_copy_datagram_iovec', 'skb_clone', 'skb_copy', '__pskb_copy_fclone', 'skb_copy_expand', 'skb_expand_head'],
  ...['pskb_expand_head', 'skb_gso_segment', 'skb_gro_receive', 'napi_gro_receive_entry'],
];

/** Runs in the VM on the built project; prints a line of JSON a case. */
export const IDENTITY_JOB = `
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { KernelBtf } from '/vdiag/dist/bpf/btf.js';
import { kernelSupport } from '/vdiag/dist/bpf/support.js';
import { openTrace } from '/vdiag/dist/bpf/trace-session.js';
import { RingReader } from '/vdiag/dist/bpf/ring.js';
import { capabilitiesOf } from '/vdiag/dist/probes/capabilities.js';
import { loadCatalogue } from '/vdiag/dist/probes/catalogue.js';
import { planProbes } from '/vdiag/dist/probes/plan.js';

const { cases, points } = JSON.parse(readFileSync('cases.json', 'utf8'));
const sh = (script) => execFileSync('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
// The kernel takes a namespace's devices down after the command has ended.
const tidy = () => sh('for n in $(ip netns list | cut -d" " -f1); do ip netns del $n; done; tries=0; while ip -br link show type veth | grep -q .; do tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 0.2; done');
// The message holds what a command said on its standard error.
const words = (error) => [error.message, error.stdout].filter(Boolean).join('\\n');
// Networks whose daemons have to start are tried again: what is tested comes after.
const setUp = (setup, tries = 3) => {
  tidy();
  try {
    sh('set -e; . ./network.sh; ' + setup);
  } catch (error) {
    console.error(words(error));
    if (tries === 1) throw error;
    setUp(setup, tries - 1);
  }
};
const capabilities = capabilitiesOf(kernelSupport());
for (const one of cases) {
  const outcome = { name: one.name, probes: [], failed: [], records: [] };
  try {
    setUp(one.setup);
    const { plan, requests } = planProbes(loadCatalogue(), { set: 'full', only: [...points, ...(one.points ?? [])] }, capabilities, KernelBtf.load());
    const session = openTrace({ requests, filter: one.filter, ringBytes: 8 << 20 });
    outcome.probes = plan.probes.map(({ point, backend }) => [point.name, backend ?? null]);
    outcome.failed = session.failed;
    sh('. ./network.sh; ' + one.traffic);
    session.detach();
    outcome.counters = session.counters();
    new RingReader(session.ring).drain(({ u8, u32, start, end }) => {
      for (let at = start; at < end; ) {
        const header = u32[at >> 2];
        const length = header & 0x3fffffff;
        if (!(header & 0x40000000)) outcome.records.push(Buffer.from(u8.slice(at + 8, at + 8 + length)).toString('base64'));
        at += (length + 15) & ~7;
      }
    });
    session.close();
  } catch (error) {
    outcome.error = words(error);
  }
  console.log(JSON.stringify(outcome));
}
`;

/** Shell functions of the cases: `pair` joins two namespaces, `routed` makes a — r — b. */
export const NETWORK = `
new() { for n in "$@"; do ip netns add $n; ip -n $n link set lo up; ip netns exec $n sh -c 'cd /proc/sys/net/ipv6/conf; echo 0 > all/accept_dad; echo 0 > default/accept_dad; echo 0 > default/router_solicitations'; done; }
# pair A DEV B DEV: a veth between two namespaces, both ends up
pair() { ip link add $2 netns $1 type veth peer name $4 netns $3; ip -n $1 link set $2 up; ip -n $3 link set $4 up; }
addr() { ip -n $1 addr add $3 dev $2 $4; }
# a (10.1.0.1, fd01::1) — b (10.1.0.2, fd01::2)
joined() { new a b; pair a eth0 b eth0; addr a eth0 10.1.0.1/24; addr b eth0 10.1.0.2/24; addr a eth0 fd01::1/64 nodad; addr b eth0 fd01::2/64 nodad; }
# tunnel TYPE OPTIONS-OF-A OPTIONS-OF-B: a's t0 (10.2.0.1, fd02::1) and b's
tunnel() {
  ip -n a link add t0 type $1 $2; ip -n b link add t0 type $1 $3
  for n in a b; do ip -n $n link set t0 up; done
  addr a t0 10.2.0.1/24; addr b t0 10.2.0.2/24; addr a t0 fd02::1/64 nodad; addr b t0 fd02::2/64 nodad
}
# tagged HOST: eth0.10.20, with an outer tag of 802.1ad
tagged() {
  ip -n $1 link add link eth0 name eth0.10 type vlan proto 802.1ad id 10; ip -n $1 link set eth0.10 up
  ip -n $1 link add link eth0.10 name eth0.10.20 type vlan id 20; ip -n $1 link set eth0.10.20 up
}
# sealed MODE A B: IPsec between a and b (10.1.0.1, 10.1.0.2) for what goes from A to B and back
sealed() {
  for n in a b; do
    ip -n $n xfrm state add src 10.1.0.1 dst 10.1.0.2 proto esp spi 0x101 mode $1 aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 128
    ip -n $n xfrm state add src 10.1.0.2 dst 10.1.0.1 proto esp spi 0x102 mode $1 aead 'rfc4106(gcm(aes))' 0x131211100f0e0d0c0b0a09080706050403020100 128
  done
  policy() { ip -n $1 xfrm policy add src $3 dst $4 dir $2 tmpl src $5 dst $6 proto esp mode $7; }
  policy a out $2 $3 10.1.0.1 10.1.0.2 $1; policy b in $2 $3 10.1.0.1 10.1.0.2 $1
  policy b out $3 $2 10.1.0.2 10.1.0.1 $1; policy a in $3 $2 10.1.0.2 10.1.0.1 $1
}
# a (10.1.0.1) — ra r rb — b (10.2.0.2)
routed() {
  new a r b; pair a eth0 r ra; pair r rb b eth0
  addr a eth0 10.1.0.1/24; addr r ra 10.1.0.254/24; addr r rb 10.2.0.254/24; addr b eth0 10.2.0.2/24
  ip -n a route add default via 10.1.0.254; ip -n b route add default via 10.2.0.254
  ip netns exec r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
}
in_() { n=$1; shift; ip netns exec $n "$@"; }
warm() { in_ a ping -q -c2 -i0.3 -W5 $1 >/dev/null; }
`;
