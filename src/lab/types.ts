import type { Behaviour } from './traffic/behaviour.js';
import type { FrameSpec } from './traffic/frame-types.js';

/** One end of a veth pair, or of a cable. */
export interface LinkEnd {
  /** Namespace, by its short name. */
  in: string;
  /** Device name there. */
  name: string;
  /** Bridge of the same namespace that it is a port of. */
  master?: string;
  /** With prefix length: `10.77.0.1/24`, `fd77::1/64`. */
  addresses?: string[];
  mac?: string;
  mtu?: number;
}

/** A set of network namespaces, wired up: `fixtures/topologies/*.yaml`. */
export interface Topology {
  id: string;
  title: string;
  titleZh: string;
  description: string;
  /** The namespace that plays the host: a fault's commands run there unless they say otherwise. */
  host: string;
  namespaces: string[];
  /** Kernel features without which it cannot be made, see `needs.ts`. */
  needs?: string[];
  sysctls?: { in: string; name: string; value: string | number }[];
  bridges?: { in: string; name: string; addresses?: string[] }[];
  /**
   * Datapaths of Open vSwitch's kernel module, without its daemon. Between two ports it has flows that join them; a port's
   * number is its place in the list, from 1 on.
   */
  switches?: { in: string; name: string; ports: string[] }[];
  /** Veth pairs; with `cards` the two network cards on one cable that a machine of the lab's own has (cards.ts). */
  links: { ends: [LinkEnd, LinkEnd]; cards?: boolean }[];
  /** Taps, each with a small guest that holds it open and answers for its addresses (helpers/guest.ts). */
  taps?: {
    in: string;
    name: string;
    master?: string;
    addresses?: string[];
    guest: { mac: string; addresses: string[] };
  }[];
  /**
   * Two tap devices joined by a process, which may lose, hold or change what crosses: what this host does not see into.
   * The first end lies on the side of the first endpoint.
   */
  wire?: { ends: [LinkEnd, LinkEnd] };
  vxlans?: {
    in: string;
    name: string;
    vni: number;
    local: string;
    remote: string;
    port?: number;
    master?: string;
    mtu?: number;
  }[];
  routes?: { in: string; to: string; via?: string; device?: string }[];
  qdiscs?: { in: string; device: string; arguments: string[] }[];
  /** The machines that traffic runs between. */
  endpoints: Record<string, { in: string; device: string }>;
  file: string;
}

/** A machine of a lab that traffic runs from or to, with the host's device in front of it. */
export interface Endpoint {
  name: string;
  /** Namespace, by its short name. */
  namespace: string;
  device: string;
  /** Without prefix length; empty when the device has none of that family. */
  address: string;
  address6: string;
  /** It is behind a tap, answers by itself, and runs no server. */
  guest?: boolean;
  /** The other end of its veth pair (of a guest: its tap), and the namespace that is in. */
  port: string;
  portNamespace: string;
}

export interface CommandOutput {
  stdout: string;
  stderr: string;
  /** Undefined when it was killed or could not be started. */
  exitCode: number | undefined;
}

/** A topology that is up. */
export interface Lab {
  id: string;
  topology: Topology;
  /** By short name: the name for `ip netns`, and the inode that events carry. */
  namespaces: Record<string, { name: string; inode: number }>;
  endpoints: Record<string, Endpoint>;
  /**
   * Runs a command in a namespace (short name), never through a shell; its status is in the result.
   * @throws VdiagError (status 3) when it cannot be started or takes longer than `timeoutMs` (default 30,000).
   */
  exec(namespace: string, argv: readonly string[], options?: { timeoutMs?: number }): Promise<CommandOutput>;
}

/** One command of a fault: a template that is split into words before its variables are filled in. */
export interface FaultCommand {
  /** Namespace, by its short name or a template of one. Default: the topology's host. */
  in?: string;
  run: string;
}

export type TrafficKind =
  | 'ping'
  | 'tcp-stream'
  | 'tcp-request-response'
  | 'tcp-connect'
  | 'udp-request-response'
  | 'http'
  | 'frames'
  | 'wire'
  | 'containers';

/** Traffic between two endpoints, always bounded in time and amount. Durations are `200ms` or `2s`, sizes `64KB` or `2MB`. */
export interface Traffic {
  /** Endpoint, or `peer-of-port` / `port-owner` in a fault. */
  from: string;
  to: string;
  kind: TrafficKind;
  /** Requests, connections or echo requests. Default 10. */
  count?: number;
  /** Between the starts of two requests. Default 100 ms. */
  interval?: string;
  /** udp-request-response: so many requests at once, each interval. Default 1. */
  burst?: number;
  /** tcp-stream: how much is sent. Default 1 MB. */
  bytes?: string | number;
  /** Size of a request and its reply (ping: of the payload). Default 64. */
  size?: string | number;
  /** An end to it, whatever comes of it. Default 20 s, at most 120 s. */
  max?: string;
  /** How long one request or connection may take. Default 2 s. */
  timeout?: string;
  /** Server's port. Default 5201. */
  port?: number | string;
  /** Start a server? Default true; tcp-connect: false. */
  server?: boolean;
  /** IP version. Default 4. */
  family?: 4 | 6;
  /** Address instead of the endpoint's own: for one that nobody has. */
  address?: string;
  /** Waits so long before it starts. Default 0. */
  delay?: string;
  /** tcp-stream: the server accepts and does not read. */
  stalledReader?: boolean;
  /** tcp-request-response: pieces that a request is written in. Default 1. */
  parts?: number;
  /** Between two such pieces. Default 0. */
  pause?: string;
  /** tcp-request-response: the client leaves Nagle's algorithm on, as sockets do that set no TCP_NODELAY. */
  nagle?: boolean;
  /** tcp-request-response: false: the server only reads, and the client waits for no reply. Default true. */
  replies?: boolean;
  /** What the server does that a good one does not. */
  behaviour?: Behaviour;
  /** tcp-connect: how the client ends a connection, `fin` (default) or, as some do on purpose, `reset` (SO_LINGER 0). */
  closes?: 'fin' | 'reset';
  /** The client keeps its connections open when it has ended, until the servers are stopped. TCP. */
  keep?: boolean;
  /** frames: raw frames that `from` sends, one after the other, `count` times; no server, no answer. */
  frames?: FrameSpec[];
  /**
   * wire: of the segments (default `tcp`: any) that go this way, the wire does this to `every` so many (default 1), once
   * `after` so many have passed (default 0) and `most` so often (default: without end).
   */
  of?: 'data' | 'acks' | 'opening' | 'tcp';
  /** wire: `hold` keeps it for {@link hold}; `old-timestamps` writes TCP timestamps of a day before; `skip-checksums` takes both taps' checksums over and computes none. Default `lose`. */
  does?: 'lose' | 'duplicate' | 'hold' | 'old-timestamps' | 'skip-checksums';
  every?: number | string;
  after?: number | string;
  most?: number | string;
  hold?: string;
}

/** What came of one piece of traffic. Times in ms. */
export interface TrafficResult {
  kind: TrafficKind;
  from: string;
  to: string;
  address: string;
  /** Requests, connections, echo requests or (tcp-stream) 1. */
  sent: number;
  /** How many of them were answered. */
  answered: number;
  /** Why others were not: `refused: 3`, `timeout: 1`. Keys are error codes in small letters (`econnrefused` is `refused`). */
  failures: Record<string, number>;
  /** Round trips or connection times, in the order of the requests that were answered. */
  roundTripsMs: number[];
  bytesSent: number;
  bytesReceived: number;
  elapsedMs: number;
  /** True when `max` ended it. */
  cutShort: boolean;
}

/** The families of faults, in the order of the accuracy table. */
export const FAULT_FAMILIES = [
  'firewall',
  'routing',
  'neighbour',
  'mtu',
  'sockets',
  'tcp',
  'queueing',
  'integrity',
  'virtualisation',
  'controls',
] as const;
export type FaultFamily = (typeof FAULT_FAMILIES)[number];

/** A diagnosis that must be made, and the facts that it must name. */
export interface ExpectedDiagnosis {
  diagnosis: string;
  names?: Record<string, string | number>;
}

/** What must be diagnosed. */
export interface Expectation extends Partial<ExpectedDiagnosis> {
  'dominant-segment'?: string;
  /** Of other faults that are in the lab at the same time. */
  also?: ExpectedDiagnosis[];
  /** Diagnoses that may stand beside it. */
  accepts?: string[];
  /** Diagnoses of the right area: half right. */
  partial?: string[];
}

/** What is set up, what flows and what must be found: `fixtures/faults/*.yaml`. */
export interface Fault {
  id: string;
  title: string;
  titleZh: string;
  family: FaultFamily;
  /** The question that is asked about it; may be a template over the variant. Default `packet-drop`. */
  scenario: string;
  /** May be a template over the variant. */
  topology: string;
  /** Kernel features it needs beyond the topology's. */
  needs?: string[];
  /**
   * Values that make it another fault: the bench runs every combination. `direction` (`to-a`, `to-b`) chooses the endpoint
   * that the fault is put before, `family` (4, 6) the IP version.
   */
  variants: Record<string, (string | number)[]>;
  /** Combinations that do not go together. */
  except: Variant[];
  /** Values that make no difference in kind, of which a seed chooses one: ports, rates, sizes. */
  choose: Record<string, (string | number)[] | { from: number; to: number }>;
  inject: FaultCommand[];
  traffic: Traffic[];
  /** Without a diagnosis it is a healthy control, which must give none. */
  expect: Expectation;
  /** Diagnoses that would be wrong. */
  never: string[];
  /** The article's remedy takes the fault away. */
  'remedy-works': boolean;
  file: string;
}

/** One value for each variable of a fault: its variants and what is chosen. */
export type Variant = Record<string, string | number>;

/** A fault with its variant chosen and its variables filled in. */
export interface FaultInstance {
  fault: Fault;
  variant: Variant;
  scenario: string;
  inject: { namespace: string; argv: string[] }[];
  traffic: Traffic[];
  expect: Fault['expect'];
}
