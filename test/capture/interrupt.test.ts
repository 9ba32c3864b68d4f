import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';

const PROGRAM = `
  import { onInterrupt } from './src/capture/interrupt.js';
  const { signal, release } = onInterrupt();
  const alive = setInterval(() => {}, 1000);
  signal.addEventListener('abort', () => {
    console.log('interrupted');
    if (process.env.ENDS) { clearInterval(alive); release(); }
  });
  console.log('ready');`;

function start(environment: Record<string, string>): ChildProcess {
  const args = ['--import', 'tsx', '--input-type=module', '-e', PROGRAM];
  return spawn(process.execPath, args, { cwd: packagePath(), env: { ...process.env, ...environment } });
}

async function said(child: ChildProcess, word: string): Promise<void> {
  for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes(word)) return;
  }
  throw new Error(`ended without saying "${word}"`);
}

describe('interruption', () => {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    it(`by ${name} ends the run, not the process`, async () => {
      const child = start({ ENDS: '1' });
      await said(child, 'ready');
      child.kill(name);
      await said(child, 'interrupted');
      expect(await once(child, 'exit')).to.deep.equal([0, null]);
    });
  }

  it('by a second Ctrl-C ends the process', async () => {
    const child = start({});
    await said(child, 'ready');
    child.kill('SIGINT');
    await said(child, 'interrupted');
    child.kill('SIGINT');
    expect(await once(child, 'exit')).to.deep.equal([null, 'SIGINT']);
  });
});
