import { expect } from 'chai';
import { execa } from 'execa';
import { startGuests, type Guests } from '../support/guests.js';

describe('two real guests on one bridge', () => {
  let guests: Guests;
  before(async () => (guests = await startGuests()));
  after(async () => {
    await guests.stop();
    expect((await execa('ip', ['netns', 'list'])).stdout).to.not.contain(guests.netns);
    for (const pid of guests.pids) expect(() => process.kill(pid, 0)).to.throw('ESRCH');
  });

  it('ping each other', async () => {
    const there = await guests.ping(0, 5, 100);
    const back = await guests.ping(1, 3, 100);
    expect(there).to.include({ sent: 5, answered: 5 });
    expect(there.roundTripsMs).to.have.length(5);
    expect(back).to.include({ sent: 3, answered: 3 });
  });

  it('send TCP, both ways and while they ping', async () => {
    const [stream, ping] = await Promise.all([guests.tcp(0, 500_000), guests.ping(0, 5, 200)]);
    expect(stream.received).to.equal(500_000);
    expect(ping.answered).to.equal(5);
    expect((await guests.tcp(1, 10_000)).received).to.equal(10_000);
  });

  it('wait for a guest that is stopped for a moment', async () => {
    const ping = guests.ping(0, 8, 200);
    await new Promise((resolve) => setTimeout(resolve, 500));
    guests.pause(1);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    guests.resume(1);
    const { sent, answered, roundTripsMs } = await ping;
    expect(answered).to.equal(sent);
    expect(Math.max(...roundTripsMs)).to.be.above(300);
  });

  it('feel a queue on the host’s tap', async () => {
    await guests.host(
      'tc',
      'qdisc',
      'add',
      'dev',
      guests.taps[1],
      'root',
      'tbf',
      'rate',
      '700kbit',
      'burst',
      '4kb',
      'limit',
      '100kb',
    );
    const [, ping] = await Promise.all([guests.tcp(0, 300_000, 15_000), guests.ping(0, 10, 200)]);
    expect(Math.max(...ping.roundTripsMs)).to.be.above(100);
    await guests.host('tc', 'qdisc', 'del', 'dev', guests.taps[1], 'root');
  });
});
