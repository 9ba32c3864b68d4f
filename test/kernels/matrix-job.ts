import type { Backend, CauseCode, ProbeGroup } from '../../src/probes/types.js';

/** How one point came out of attaching a whole set. */
export interface MatrixPoint {
  name: string;
  group: ProbeGroup;
  /** What kind of place it is: what every packet passes, errors, or shortcuts. */
  tier?: string;
  backend?: Backend;
  target?: string;
  reasons: string[];
  causes: CauseCode[];
}

/** One set of probes, attached and detached. */
export interface SetRun {
  planned: number;
  attached: number;
  /** Asking the kernel for its functions and types, and planning, ms. */
  planMs: number;
  /** Loading into the kernel (the verifier) and attaching, as the session accounts them, ms; and the whole of it by the clock. */
  loadMs: number;
  attachMs: number;
  openMs: number;
  detachMs: number;
  /** Of the programs as loaded, the largest. */
  instructions: number;
  /** What the verifier looked at: of the worst program, and of all together; absent where the kernel does not tell (5.16+). */
  verifiedMost?: number;
  verifiedAll?: number;
  programs: number;
}

/** What the job prints. */
export interface MatrixOutcome {
  release: string;
  /** Modules that points name and that this kernel could not load. */
  lackedModules: string[];
  lacks: { capability: string; why: string }[];
  /** What was said of a point whose module was not loaded yet, and what such points hide. */
  unloaded: { point: string; reasons: string[]; notSeen: string[] };
  sets: Record<'standard' | 'full', SetRun>;
  /** The basic set and as many functions that take a packet as discovery offers when nothing else is asked. */
  discovery?: Pick<SetRun, 'planned' | 'attached' | 'openMs' | 'detachMs'>;
  points: MatrixPoint[];
}

/** Runs in the VM, on the built project: loads the modules that points live in, attaches the standard and the full set. */
export const MATRIX_JOB = `
import { existsSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { release } from 'node:os';
import { loadCatalogue } from '/vdiag/dist/probes/catalogue.js';
import { coverageOf } from '/vdiag/dist/probes/coverage.js';
import { planProbes } from '/vdiag/dist/probes/plan.js';
import { attachProbes, examineKernel } from '/vdiag/dist/scenarios/kernel.js';

const catalogue = loadCatalogue();
const modules = [...new Set(catalogue.points.flatMap(({ module }) => module ?? []))];
const before = examineKernel(existsSync('given.btf') ? 'given.btf' : undefined);
const firewall = planProbes(catalogue, { set: 'basic', only: ['nft_do_chain'] }, before.capabilities, before.types).plan;
const lackedModules = modules.filter((name) => spawnSync('modprobe', [name], { stdio: 'ignore' }).status !== 0);
const kernel = examineKernel(existsSync('given.btf') ? 'given.btf' : undefined);

function run(set, more = {}) {
  const started = performance.now();
  let attaching;
  const { session, plan } = attachProbes(kernel, catalogue, { set, ...more }, {
    filter: {}, ringBytes: 1 << 20, paused: true,
    onProgress: () => (attaching ??= performance.now()),
  });
  const opened = performance.now();
  const costs = session.costs();
  session.detach();
  const detached = performance.now();
  console.error(set, Object.keys(more).join(), ((detached - started) / 1000).toFixed(1), 's');
  session.close();
  const sum = (of) => costs.reduce((all, cost) => all + of(cost), 0);
  const verified = costs.flatMap(({ verifiedInstructions }) => verifiedInstructions || []);
  return { plan, outcome: {
    planned: plan.probes.length, attached: session.attached.length, planMs: attaching - started,
    loadMs: sum(({ loadMs }) => loadMs), attachMs: sum(({ attachMs }) => attachMs), openMs: opened - started, detachMs: detached - opened,
    instructions: Math.max(0, ...costs.map(({ instructions }) => instructions)),
    programs: costs.filter(({ instructions }) => instructions > 0).length,
    ...(verified.length > 0 && { verifiedMost: Math.max(...verified), verifiedAll: verified.reduce((a, b) => a + b) }),
  } };
}
const standard = run('standard');
const full = run('full');
// Needs the kernel's own types, so that a kernel without them cannot.
const discovery = existsSync('/sys/kernel/btf/vmlinux') ? run('basic', { discover: { pattern: '.' } }).outcome : undefined;
console.log(JSON.stringify({
  release: release(), lackedModules, lacks: kernel.capabilities.lacks.map(({ capability, why }) => ({ capability, why })),
  unloaded: { point: 'nft_do_chain', reasons: firewall.probes[0].reasons, notSeen: coverageOf(firewall).notSeen },
  sets: { standard: standard.outcome, full: full.outcome }, discovery,
  points: full.plan.probes.map(({ point, backend, target, reasons, causes }) => ({
    name: point.name, group: point.group, tier: point.tier, backend, target, reasons, causes: (causes ?? []).map(({ code }) => code),
  })),
}));
`;
