import { commandPrefix, known, textParam, unknown, unnamed } from '../facts.js';
import type { Socket } from '../parsers/sockets.js';
import { NOBODY, OWNER_MEMBERS, ownerOf, ownerText } from '../socket-owner.js';
import { askSockets, hostOf, isLocalAddress, nameOf, takes } from '../socket-queries.js';
import { parseAddress } from '../firewall/address-match.js';
import type { EvidenceCollector } from '../types.js';

/** Owners that are asked for their state, at most. */
const MOST_OWNERS = 50;

/** Sockets with something in their queue whose process is stopped: it will neither accept nor read. */
export const stoppedOwner: EvidenceCollector = {
  name: 'stopped-owner',
  describe: 'A socket of an address in which connections or data wait for a process that is stopped.',
  params: {
    address: 'own address',
    peer: "the other end's address, for connections",
  },
  members: {
    found: 'there is one',
    local: 'the address belongs to this namespace; null when that is not known',
    bound: 'address and port of the socket; empty without one',
    protocol: 'TCP or UDP; empty without one',
    port: 'its port; 0 without one',
    ...OWNER_MEMBERS,
    waiting: 'connections (a listening socket) or bytes that wait for it',
    what: '`connections` or `bytes`',
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const address = textParam(params, 'address') ?? '';
    const peer = textParam(params, 'peer') ?? '';
    const command = `${prefix}ss -n -t -u -a -p src ${hostOf(address)}`;
    if (!parseAddress(address)) return unnamed('no address was named', command);
    const local = await isLocalAddress(source, params, address);
    if (local === false) return known({ ...NONE, local }, command, `${address} is not an address of this namespace`);
    const questions = await Promise.all([
      askSockets(source, params, ['-l', '-t', '-p', '-m']),
      askSockets(source, params, ['-a', '-u', '-p', '-m']),
      ...(parseAddress(peer)
        ? [askSockets(source, params, ['-t', '-p', '-m', '-i'], 'src', hostOf(address), 'dst', hostOf(peer))]
        : []),
    ]);
    const failed = questions.find((answer) => !answer.known);
    if (failed && !failed.known) return unknown(failed.why, command);
    const [tcp = [], udp = [], connections = []] = questions.map((answer) => (answer.known ? answer.value : []));
    const waiting = [
      ...tcp.filter((one) => takes(one, address)),
      ...udp.filter((one) => takes(one, address)),
      ...connections,
    ]
      .filter((one) => one.recvQ > 0 && one.users.length > 0)
      .sort((x, y) => y.recvQ - x.recvQ);
    const seen = new Set<number>();
    for (const socket of waiting) {
      const { pid } = socket.users[0];
      if (seen.has(pid) || seen.size >= MOST_OWNERS) continue;
      seen.add(pid);
      const owner = await ownerOf(source, socket);
      if (!owner.stopped) continue;
      const what = socket.state === 'LISTEN' ? 'connections' : 'bytes';
      const value = {
        ...NONE,
        found: true,
        local: local ?? null,
        bound: nameOf(socket),
        protocol: udp.includes(socket) ? 'UDP' : 'TCP',
        port: socket.port,
        ...owner,
        waiting: socket.recvQ,
        what,
      };
      return known(
        value,
        `${prefix}ss -n -t -u -a -p sport = :${socket.port}`,
        `${value.bound} of ${ownerText(owner)}, which is ${owner.stateText}: ${socket.recvQ} ${waits(socket)}`,
      );
    }
    return known({ ...NONE, local: local ?? null }, command, 'no process with waiting data or connections is stopped');
  },
};

const waits = (socket: Socket): string =>
  socket.state === 'LISTEN' ? 'connections wait for accept' : 'bytes are unread';

const NONE = {
  found: false,
  local: null,
  bound: '',
  protocol: '',
  port: 0,
  ...NOBODY,
  waiting: 0,
  what: '',
};
