/**
 * Runs in a VM, with the names of cases as arguments: in a lab each, something that makes the kernel drop packets, traced
 * with the scenario packet-drop. Leaves NAME.vdiag and NAME.json in /out/artefacts; prints the diagnoses as JSON.
 */
export const REASON_LABS = `
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { allVariants, topologyOf, injectFault, labDown, labUp, listLabs, loadFault, loadTopology, runTraffic } from '/vdiag/dist/lab/index.js';
import { renderJson } from '/vdiag/dist/report/json.js';
import { loadLibrary } from '/vdiag/dist/scenarios/library.js';
import { answerLive } from '/vdiag/dist/scenarios/live.js';

/** Sends datagrams: address, port, bytes, count, ms between two tens. */
const SEND = \`
  const [address, port, bytes, count, every] = process.argv.slice(1);
  const socket = require('dgram').createSocket('udp4');
  let sent = 0;
  socket.on('error', () => {});
  socket.connect(Number(port), address, () => {
    const timer = setInterval(() => {
      for (let i = 0; i < 10; i++) socket.send(Buffer.alloc(Number(bytes)), () => {});
      if ((sent += 10) < Number(count)) return;
      clearInterval(timer);
      setTimeout(() => socket.close(), 200);
    }, Number(every));
  });\`;
/** Binds a UDP port and does not read for some seconds. */
const HOLD = \`
  const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 4096 });
  socket.bind(5001, () => { const end = Date.now() + 8000; while (Date.now() < end); socket.close(); });\`;
const CONNECT = \`
  const socket = require('net').connect(5001, process.argv[1]);
  socket.on('error', () => {});
  setTimeout(() => process.exit(), 3500);\`;
const send = (bytes, count, every) => (lab) => lab.exec('a', ['node', '-e', SEND, '10.78.2.2', '5001', bytes, count, every].map(String));
const ping = (lab) => lab.exec('a', ['ping', '-c', '8', '-i', '0.2', '-W', '1', '10.78.2.2']);
/** Puts a wrong number in the place of a checksum, with the card's help for checksums off. */
const damage = (match, bits) => [
  ['a', 'ethtool', '-K', 'eth0', 'tx', 'off'],
  ['router', 'nft', 'add', 'table', 'ip', 'x'],
  ['router', 'nft', 'add chain ip x f { type filter hook forward priority 0 ; }'],
  ['router', 'nft', 'add rule ip x f ' + match + ' @th,' + bits + ' set 0xdead'],
];
const CASES = {
  'rp-filter': {
    inject: [
      ['a', 'ip', 'neigh', 'replace', '10.78.1.1', 'lladdr', '02:78:01:00:00:01', 'dev', 'eth0'],
      ['router', 'sysctl', '-q', '-w', 'net.ipv4.conf.ra.rp_filter=1'],
      ['router', 'ip', 'route', 'add', '10.78.1.2/32', 'dev', 'rb'],
    ],
    traffic: ping,
  },
  ttl: { inject: [['a', 'sysctl', '-q', '-w', 'net.ipv4.ip_default_ttl=1']], traffic: ping },
  'udp-closed': { inject: [], traffic: send(64, 50, 100) },
  qdisc: {
    inject: [['router', 'tc', 'qdisc', 'add', 'dev', 'rb', 'root', 'tbf', 'rate', '100kbit', 'burst', '2kb', 'limit', '3kb']],
    traffic: send(1000, 200, 20),
  },
  'udp-checksum': { inject: damage('ip protocol udp', '48,16'), traffic: send(64, 50, 100) },
  'tcp-checksum': {
    inject: damage('ip protocol tcp ip saddr 10.78.1.2', '128,16'),
    traffic: (lab) => lab.exec('a', ['node', '-e', CONNECT, '10.78.2.2']),
  },
  rcvbuf: {
    inject: [],
    traffic: async (lab) => {
      const held = lab.exec('b', ['node', '-e', HOLD]);
      await delay(3000);
      await send(1000, 200, 20)(lab);
      await held;
    },
  },
};

async function bringUp(name) {
  const own = CASES[name];
  if (!own) {
    const fault = loadFault(name);
    const lab = await labUp(loadTopology(topologyOf(fault, allVariants(fault)[0])), { id: 'reason-' + name });
    const { traffic } = await injectFault(lab, fault, allVariants(fault)[0]);
    return { lab, traffic: () => runTraffic(lab, traffic) };
  }
  const lab = await labUp(loadTopology('two-behind-a-router'), { id: 'reason-' + name });
  for (const [namespace, ...argv] of own.inject) {
    const { exitCode, stderr } = await lab.exec(namespace, argv);
    if (exitCode !== 0) throw new Error(argv.join(' ') + ': ' + stderr);
  }
  return { lab, traffic: () => own.traffic(lab) };
}

const library = loadLibrary();
const outcome = {};
for (const name of process.argv.slice(2)) {
  const { lab, traffic } = await bringUp(name);
  try {
    const report = await answerLive({
      library, version: 'test', scenario: 'packet-drop', ends: {}, filter: {}, devices: [], probes: {},
      ringBytes: 16 << 20, durationSeconds: 40, netnsList: Object.values(lab.namespaces).map(({ inode }) => inode),
      record: { file: '/out/artefacts/' + name + '.vdiag', force: true },
      during: async () => void (await traffic()),
    });
    writeFileSync('/out/artefacts/' + name + '.json', renderJson(report));
    outcome[name] = report.diagnoses.map(({ id, confidence }) => ({ id, confidence }));
  } finally {
    await labDown(lab.id);
  }
}
console.log(JSON.stringify({ outcome, left: await listLabs() }));
`;
