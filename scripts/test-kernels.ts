/**
 * `npm run test:kernels`: the tests of test/kernels in virtual machines, a process of mocha for each kernel, several at
 * the same time where processors and memory allow; at the end the table of what each kernel takes of the catalogue.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import cliTable from 'cli-table3';
import { packagePath } from '../src/base/package-root.js';
import { keptOutcomes, tableRows, writeDocument } from '../test/support/kernel-table.js';
import { baseImage, bootImage, moduleImage } from '../test/support/vm-base.js';
import {
  cachePath,
  fetchKernel,
  givenKernel,
  isKernelName,
  KERNELS,
  type Kernel,
  type KernelName,
  qemuPath,
} from '../test/support/vm-kernel.js';
import { virtualMachinesAtOnce } from '../test/support/vm-run.js';
import { projectImage } from '../test/support/vm-project.js';
import { mochaAgain } from './mocha-again.js';

const USAGE = `usage: npm run test:kernels -- [KERNEL ...] [options]
  KERNEL            ${KERNELS.join(', ')} (default: all)
  --kernel BZIMAGE  this image instead; with --btf FILE its types, with --modules DIR its modules
  --only WORD       only the files of test/kernels whose name holds WORD
  --write-table     bring docs/kernels.md up to date (the matrix only, on every kernel)
  --jobs N          kernels at the same time`;

/** Time after which a kernel's tests are ended, ms. */
const KERNEL_MS = 25 * 60_000;

/** Stands for the tests that choose their kernels themselves. */
const ALL = 'all';

interface Wanted {
  kernels: (KernelName | 'given')[];
  /** The image given by path. */
  given?: { image: string; btf?: string; modules?: string };
  only?: string;
  writeTable: boolean;
  jobs: number;
}

/** @throws Error with one clear message for arguments that make no sense. */
function wantedBy(argv: string[]): Wanted | 'help' {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      kernel: { type: 'string' },
      btf: { type: 'string' },
      modules: { type: 'string' },
      only: { type: 'string' },
      jobs: { type: 'string' },
      'write-table': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const unknown = positionals.find((name) => !isKernelName(name));
  if (unknown !== undefined)
    throw new Error(
      `there is no kernel "${unknown}"; expected ${KERNELS.join(', ')}, or --kernel with an image's path`,
    );
  if (values.kernel !== undefined && positionals.length > 0)
    throw new Error(`--kernel and the kernel "${positionals[0]}" exclude each other`);
  for (const option of ['btf', 'modules'] as const) {
    if (values[option] !== undefined && values.kernel === undefined)
      throw new Error(`--${option} belongs to an image given with --kernel`);
  }
  for (const option of ['kernel', 'btf', 'modules'] as const) {
    if (values[option] !== undefined && !existsSync(values[option]))
      throw new Error(`--${option}: there is no ${values[option]}`);
  }
  if (values.jobs !== undefined && !/^[1-9]\d?$/.test(values.jobs))
    throw new Error(`--jobs ${values.jobs}: expected a number of kernels, 1 to 99`);
  if (values['write-table'] && (values.kernel !== undefined || positionals.length > 0 || values.only !== undefined))
    throw new Error('--write-table takes every kernel: name none, and no --only');
  if (values.kernel !== undefined) givenKernel(values.kernel, values.modules);
  return {
    kernels:
      values.kernel !== undefined
        ? ['given']
        : positionals.length > 0
          ? positionals.filter(isKernelName)
          : [...KERNELS],
    ...(values.kernel !== undefined && {
      given: { image: values.kernel, btf: values.btf, modules: values.modules },
    }),
    only: values['write-table'] ? 'matrix' : values.only,
    writeTable: values['write-table'],
    jobs: values.jobs !== undefined ? Number(values.jobs) : virtualMachinesAtOnce(2),
  };
}

/** Everything that several processes would otherwise make at the same time. */
async function prepare({ kernels, given }: Wanted): Promise<void> {
  await qemuPath();
  await projectImage();
  await baseImage();
  for (const name of kernels) {
    const kernel: Kernel = name === 'given' ? givenKernel(given!.image, given!.modules) : await fetchKernel(name);
    await moduleImage(kernel);
    await bootImage(kernel);
  }
}

/** The files of test/kernels: those whose tests are the same on each kernel, and those that choose their kernels themselves. */
function testFiles(only: string | undefined): { ofEach: string[]; once: string[] } {
  const files = readdirSync(packagePath('test', 'kernels'))
    .filter((name) => name.endsWith('.test.ts') && name.includes(only ?? ''))
    .map((name) => `test/kernels/${name}`);
  const isOfEach = (file: string): boolean =>
    /\b(forKernels|kernelsUnderTest)\(/.test(readFileSync(packagePath(file), 'utf8'));
  return { ofEach: files.filter(isOfEach), once: files.filter((file) => !isOfEach(file)) };
}

/** The tests of one kernel. @returns whether all passed, and what they printed unless that went straight to the terminal. */
function testKernel(
  name: string,
  files: readonly string[],
  { given, writeTable }: Wanted,
  direct: boolean,
): Promise<{ ok: boolean; output: string }> {
  return mochaAgain({
    args: ['--timeout', '600000', ...files],
    label: `kernel ${name}: `,
    direct,
    timeoutMs: KERNEL_MS,
    env: {
      ...(given
        ? {
            VDIAG_TEST_KERNEL_IMAGE: given.image,
            ...(given.modules !== undefined && { VDIAG_TEST_KERNEL_MODULES: given.modules }),
            ...(given.btf !== undefined && { VDIAG_TEST_KERNEL_BTF: given.btf }),
          }
        : name !== ALL && { VDIAG_TEST_KERNELS: name }),
      ...(writeTable && { VDIAG_WRITE_TABLE: '1' }),
    },
  });
}

async function main(): Promise<number> {
  let wanted: Wanted | 'help';
  try {
    wanted = wantedBy(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`test:kernels: ${(error as Error).message}\n`);
    return 2;
  }
  if (wanted === 'help') {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  rmSync(cachePath('matrix'), { recursive: true, force: true });
  await prepare(wanted);
  const { kernels, jobs, writeTable } = wanted;
  const { ofEach, once } = testFiles(wanted.only);
  if (ofEach.length + once.length === 0) {
    process.stderr.write(`test:kernels: no file of test/kernels has "${wanted.only}" in its name\n`);
    return 2;
  }
  const waiting: { name: string; files: string[] }[] = [];
  if (ofEach.length > 0) waiting.push(...kernels.map((name) => ({ name, files: ofEach })));
  if (once.length > 0 && kernels.length === KERNELS.length) waiting.push({ name: ALL, files: once });
  const failed: string[] = [];
  const took: string[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { name, files } = next;
      const started = performance.now();
      const direct = jobs === 1 || kernels.length === 1;
      process.stdout.write(`== kernel ${name}\n`);
      const { ok, output } = await testKernel(name, files, wanted, direct);
      const seconds = Math.round((performance.now() - started) / 1000);
      if (!ok) failed.push(name);
      took.push(`${name} ${seconds} s`);
      process.stdout.write(
        `${direct ? '' : `-- kernel ${name}\n`}${output}-- kernel ${name}: ${ok ? 'passed' : 'FAILED'}, ${seconds} s\n`,
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, kernels.length) }, work));
  const rows = keptOutcomes();
  if (rows.length > 0) {
    const [head, ...body] = tableRows(rows);
    const table = new cliTable({ head, style: { head: [], border: [] } });
    table.push(...body);
    process.stdout.write(`${table.toString()}\n`);
  }
  process.stdout.write(`kernels: ${took.join(', ')}\n`);
  if (writeTable && rows.length === KERNELS.length) writeDocument(rows);
  if (failed.length > 0) process.stderr.write(`test:kernels: failed on ${failed.join(', ')}\n`);
  return failed.length > 0 ? 1 : 0;
}

process.exitCode = await main();
