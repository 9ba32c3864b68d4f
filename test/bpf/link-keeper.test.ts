import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { LinkKeeper } from '../../src/bpf/link-keeper.js';

/** A pipe stands for a link: its reader learns when the last descriptor of the writing end is closed. */
describe('the keeper of links', () => {
  let folder: string;
  let reader: number;
  let writers: number[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-keeper-'));
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    writers = Array.from({ length: 40 }, () => openSync(pipe, constants.O_WRONLY));
  });

  afterEach(() => {
    closeSync(reader);
    rmSync(folder, { recursive: true });
  });

  function isOpen(): boolean {
    try {
      return readSync(reader, Buffer.alloc(1)) !== 0;
    } catch (error) {
      expect(error).to.have.property('code', 'EAGAIN');
      return true;
    }
  }

  async function closes(): Promise<boolean> {
    for (let i = 0; i < 200 && isOpen(); i++) await delay(50);
    return !isOpen();
  }

  it('holds them when this process has closed its own, until it is told to let go', async function () {
    this.timeout(20_000);
    const keeper = new LinkKeeper();
    keeper.keep(writers);
    for (const fd of writers) closeSync(fd);
    await delay(300);
    expect(isOpen()).to.equal(true);
    keeper.release();
    expect(await closes()).to.equal(true);
  });

  it('keeps nothing when there are none', async () => {
    const keeper = new LinkKeeper();
    keeper.keep([]);
    for (const fd of writers) closeSync(fd);
    keeper.release();
    expect(await closes()).to.equal(true);
  });
});
