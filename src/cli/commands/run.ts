import { Command, Option } from 'commander';
import { MAX_PROBES } from '../../bpf/types.js';
import { EXIT, VdiagError } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import type { TraceFilter } from '../../capture/types.js';
import type { Language } from '../../knowledge/types.js';
import { PROBE_GROUPS, PROBE_SETS } from '../../probes/catalogue.js';
import { BACKENDS } from '../../probes/backends.js';
import type { Backend, ProbeGroup, ProbeSet } from '../../probes/types.js';
import { renderJson } from '../../report/json.js';
import { renderText } from '../../report/text/render.js';
import type { Report } from '../../report/types.js';
import type { Level } from '../../rules/types.js';
import { answerLive, type LiveRequest } from '../../scenarios/live.js';
import { loadLibrary } from '../../scenarios/library.js';
import {
  collect,
  collectNames,
  parseBackends,
  parseDuration,
  parseInteger,
  parseMark,
  parseModules,
  parseProto,
  parseRingSize,
  terminalWidth,
  wantsColour,
} from '../options.js';
import { interruptSignal, progressLine } from '../progress.js';
import { failsOn, readBaseline } from '../verdict.js';

/** The flags of `vdiag run`, as commander parses them. */
export interface RunFlags {
  scenario?: string;
  src?: string;
  dst?: string;
  port?: number;
  proto?: TraceFilter['proto'];
  dev?: string[];
  netns?: string;
  mark?: { value: number; mask: number };
  pid?: number;
  inner?: boolean;
  duration?: number;
  budgetFactor?: number;
  set?: ProbeSet;
  group?: ProbeGroup[];
  require?: string[];
  backend?: Backend[];
  probeDiscover?: string;
  probeModules?: string[] | 'all';
  probeLimit?: number;
  btf?: string;
  measureCost: boolean;
  flavour: 'auto' | 'modern' | 'legacy';
  ringSize: number;
  record?: string;
  force: boolean;
  replay?: string;
  lab?: string;
  labSet: string[];
  rules: string[];
  baseline?: string;
  format: 'text' | 'json';
  lang: Language;
  failOn: Level | 'never';
  progress: boolean;
}

const DEFAULT_SCENARIO = 'vm-to-vm-latency';

/** `vdiag run`: traces (or replays), diagnoses, reports. */
export function runCommand(version: string): Command {
  return new Command('run')
    .description('trace (or replay), diagnose, report')
    .option(
      '--scenario <id>',
      `the question asked (vdiag scenarios list; default: ${DEFAULT_SCENARIO}, or the recording's)`,
    )
    .optionsGroup('What to trace:')
    .option('--src <end>', 'one end: an address, a prefix, a device or a libvirt domain')
    .option('--dst <end>', 'the other end; both directions are traced')
    .option('--port <port>', 'TCP or UDP port of either end', parseInteger(1, 65535))
    .option('--proto <protocol>', 'tcp, udp, icmp, icmp6, arp or a number', parseProto)
    .option('--dev <device>', 'only packets on this device (repeatable)', collect, [])
    .option('--netns <name>', 'only this network namespace: a name (ip netns), a path or a pid')
    .option('--mark <value[/mask]>', 'only packets with this mark', parseMark)
    .option(
      '--inner',
      'the ends, port and protocol are those inside a tunnel (VXLAN, Geneve, GRE, IPIP); without it, either header may match',
    )
    .option('--pid <pid>', 'only packets sent by this process', parseInteger(1, 4194304))
    .option('--duration <time>', 'how long (30s, 2m)', parseDuration)
    .option(
      '--budget-factor <n>',
      "latencies may be so many times the scenario's budgets: for slow or emulated hosts",
      parseInteger(1, 1000),
    )
    .optionsGroup('How to trace:')
    .addOption(new Option('--set <set>', "how much is attached (default: the scenario's)").choices([...PROBE_SETS]))
    .addOption(new Option('--group <groups...>', 'only these probe groups').choices([...PROBE_GROUPS]))
    .option('--backend <names>', `only these ways of attaching, in this order: ${BACKENDS.join(', ')}`, parseBackends)
    .option(
      '--probe-discover <regex>',
      'watch also every kernel function of such a name that takes a packet (struct sk_buff *)',
    )
    .option(
      '--probe-modules <names>',
      'discover in these modules only: names with commas, vmlinux for the kernel itself, or all modules',
      parseModules,
    )
    .option('--probe-limit <number>', 'discover at most so many functions', parseInteger(1, MAX_PROBES))
    .option('--require <points...>', 'end with status 3 if any of these probe points cannot be attached', collectNames)
    .option('--btf <file>', 'types of a kernel without BTF: BTF, vmlinux, offsets table or the name of a shipped one')
    .addOption(
      new Option(
        '--flavour <flavour>',
        'kernel side: modern (5.8 and later), legacy (4.19 and later), or auto: ask the kernel',
      )
        .choices(['auto', 'modern', 'legacy'])
        .default('auto'),
    )
    .option(
      '--ring-size <size>',
      'size of the ring buffer (legacy: of all CPUs together): 256K to 1G',
      parseRingSize,
      64 << 20,
    )
    .option('--measure-cost', 'have the kernel count what the probes cost; it does so for all BPF of the host', false)
    .option('--rules <dir>', 'a folder (or file) of your own rules (repeatable)', collect, [])
    .optionsGroup('Recording:')
    .option('--record <file>', 'record events and evidence, to be replayed anywhere')
    .option('--force', 'replace the recording if it exists', false)
    .addOption(
      new Option('--replay <file>', 'diagnose a recording instead of this host').conflicts([
        ...[
          'src',
          'dst',
          'port',
          'proto',
          'netns',
          'mark',
          'inner',
          'pid',
          'duration',
          'budgetFactor',
          'set',
          'group',
          'btf',
          'flavour',
          'measureCost',
          'backend',
          'probeDiscover',
          'probeModules',
          'probeLimit',
          'record',
          'lab',
        ],
      ]),
    )
    .addOption(
      new Option('--lab <name>', 'bring a lab up, trace its traffic, tear it down (vdiag lab list)').conflicts([
        'src',
        'dst',
        'netns',
      ]),
    )
    .option('--lab-set <name=value>', "choose a value of the lab's fault (repeatable)", collect, [])
    .optionsGroup('Report:')
    .option('--baseline <report.json>', 'compare latencies with an earlier JSON report')
    .addOption(new Option('--format <format>', 'text or json, on stdout').choices(['text', 'json']).default('text'))
    .addOption(new Option('--lang <language>', 'language of the text report').choices(['en', 'zh']).default('en'))
    .addOption(
      new Option('--fail-on <level>', 'exit with 1 from this level on')
        .choices(['info', 'warn', 'error', 'never'])
        .default('error'),
    )
    .option('--no-progress', 'no progress line on stderr')
    .addHelpText(
      'after',
      `
Examples:
  vdiag run --scenario vm-to-vm-latency
  vdiag run --scenario vm-to-vm-latency --src web-1 --dst 10.0.0.6 --duration 30s
  vdiag run --scenario packet-drop --dev tap1 --record drops.vdiag
  vdiag run --scenario connect-failure --dst 10.0.0.6 --port 443 --format json
  vdiag run --scenario packet-drop --probe-discover '^(ip|tcp)_' --backend kprobe
  vdiag run --replay drops.vdiag --lang zh
  vdiag run --lab slow-bridge-port --lab-set rate=300kbit`,
    )
    .action(async (flags: RunFlags) => {
      process.exitCode = await run(flags, version);
    });
}

async function run(flags: RunFlags, version: string): Promise<number> {
  const baseline = flags.baseline === undefined ? undefined : readBaseline(flags.baseline);
  const interrupt = interruptSignal();
  const progress = progressLine(flags.progress);
  let report: Report;
  try {
    const library = loadLibrary({ rules: flags.rules });
    const common = { library, baseline, signal: interrupt.signal, onProgress: progress.show, onWarning: warn };
    if (flags.replay !== undefined) {
      const { answerReplay } = await import('../../scenarios/replay.js');
      report = await answerReplay({ ...common, file: flags.replay, scenario: flags.scenario });
    } else {
      const request: LiveRequest = {
        ...common,
        ...liveRequest(flags),
        version,
        scenario: flags.scenario ?? DEFAULT_SCENARIO,
      };
      if (flags.lab === undefined) report = await answerLive(request);
      else {
        const { labRun } = await import('../lab-run.js');
        report = await labRun({ name: flags.lab, choices: flags.labSet }, request, flags.duration);
      }
    }
  } finally {
    progress.end();
    interrupt.end();
  }
  const status = failsOn(report, flags.failOn) ? EXIT.found : EXIT.clean;
  const text =
    flags.format === 'json'
      ? renderJson(report)
      : renderText(report, {
          language: flags.lang,
          colour: wantsColour(),
          width: terminalWidth(),
          status,
        });
  // Before the text: a reader that goes away ends the process at once.
  process.exitCode = status;
  process.stdout.write(text);
  return status;
}

function liveRequest(flags: RunFlags) {
  const {
    src,
    dst,
    port,
    proto,
    inner,
    dev,
    netns,
    mark,
    pid,
    duration,
    budgetFactor,
    set,
    group,
    require: required,
    ringSize,
  } = flags;
  if (src !== undefined && src === dst) {
    throw new VdiagError({ message: `--src and --dst are both ${src}`, expected: 'two different ends' }, 2);
  }
  return {
    ends: { src, dst },
    filter: { port, proto, mark, pid, inner },
    devices: dev ?? [],
    netns,
    btf: flags.btf,
    ...(flags.flavour !== 'auto' && { flavour: flags.flavour }),
    durationSeconds: duration,
    budgetFactor,
    probes: {
      ...{ set, groups: group, require: required, backends: flags.backend },
      ...((flags.probeDiscover ?? flags.probeModules) !== undefined && {
        discover: { pattern: flags.probeDiscover, modules: flags.probeModules, most: flags.probeLimit },
      }),
    },
    ringBytes: ringSize,
    measureCost: flags.measureCost,
    record: flags.record === undefined ? undefined : { file: flags.record, force: flags.force },
  };
}

function warn(text: string): void {
  process.stderr.write(`vdiag: warning: ${printable(text)}\n`);
}
