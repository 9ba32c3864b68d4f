import { commandPrefix, known, numberParam, textParam, unknown, unnamed } from '../facts.js';
import { parseAddress } from '../firewall/address-match.js';
import { askSockets, hostOf, settingOf } from '../socket-queries.js';
import type { EvidenceCollector } from '../types.js';

/** What a host may use at most: below are the ports of services, above there are none. */
const WIDEST = '1024 65535';

/** The ports that are left for connections to a service (__inet_hash_connect, net/ipv4/inet_hashtables.c). */
export const localPorts: EvidenceCollector = {
  name: 'local-ports',
  describe: 'How many of the local ports for outgoing connections are in use towards an address and port, and by what.',
  params: {
    address: 'address that is connected to',
    port: 'port there',
  },
  members: {
    range: 'net.ipv4.ip_local_port_range: `32768 60999`',
    size: 'ports in it',
    used: 'of these, in use for connections to that address and port',
    timeWait: 'of these, held by connections that are closed (TIME-WAIT, 60 s)',
    open: 'of these, held by connections that are open',
    holder: 'what holds most of them: `TIME-WAIT`, or the name of a process',
    pid: 'that process; 0 without',
    exhausted: 'none is left',
    setting: 'the setting that limits them',
    needed: 'the widest range there can be: `1024 65535`',
    reuse: 'net.ipv4.tcp_tw_reuse: 0 off, 1 on, 2 on the loopback alone; null when unknown',
    raiseCommand: 'widens the range to that',
    restoreCommand: 'undoes that',
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const address = textParam(params, 'address');
    const port = numberParam(params, 'port');
    const peer = `${hostOf(address ?? '?')}:${port ?? '?'}`;
    const command = `${prefix}ss -n -t -a -p dst ${peer}`;
    if (address === undefined || !parseAddress(address) || port === undefined)
      return unnamed('no address and port were named', command);
    const setting = 'net.ipv4.ip_local_port_range';
    const [low, high] = await settingOf(source, params, setting);
    if (low === undefined || high === undefined) return unknown(`${setting} cannot be read`, command);
    const answer = await askSockets(source, params, ['-t', '-a', '-p'], 'dst', peer);
    if (!answer.known) return unknown(answer.why, command);
    const taken = answer.value.filter((one) => one.port >= low && one.port <= high);
    const used = new Set(taken.map((one) => one.port)).size;
    const timeWait = taken.filter((one) => one.state === 'TIME-WAIT').length;
    const open = taken.length - timeWait;
    const [busiest] = countUsers(taken.flatMap((one) => one.users));
    const byProcess = open > timeWait && busiest !== undefined;
    const [reuse = null] = await settingOf(source, params, 'net.ipv4.tcp_tw_reuse');
    const size = high - low + 1;
    const value = {
      range: `${low} ${high}`,
      size,
      used,
      timeWait,
      open,
      holder: byProcess ? busiest.process : timeWait > 0 ? 'TIME-WAIT' : '',
      pid: byProcess ? busiest.pid : 0,
      exhausted: used >= size,
      setting,
      needed: WIDEST,
      reuse,
      raiseCommand: `${prefix}sysctl -w "${setting}=${WIDEST}"`,
      restoreCommand: `${prefix}sysctl -w "${setting}=${low} ${high}"`,
    };
    return known(
      value,
      command,
      `${used} of ${size} local ports (${setting} = ${low} ${high}) are in use for ${peer}: ${timeWait} in TIME-WAIT, ${open} open`,
    );
  },
};

function countUsers(users: { process: string; pid: number }[]): { process: string; pid: number; count: number }[] {
  const byPid = new Map<number, { process: string; pid: number; count: number }>();
  for (const { process, pid } of users) {
    const known = byPid.get(pid);
    if (known) known.count++;
    else byPid.set(pid, { process, pid, count: 1 });
  }
  return [...byPid.values()].sort((x, y) => y.count - x.count);
}
