import { expect } from 'chai';
import { endsOf, flowsMeet, isBetween, sameConnection } from '../../src/diagnosis/flows.js';
import type { FindingGroup } from '../../src/rules/types.js';
import { finding } from '../support/analysis.js';

const group = (...flows: string[]): FindingGroup => finding('x', { flows: flows.map((flow) => ({ flow, count: 1 })) });

describe('flows of findings', () => {
  it('have two ends, of either version, with or without ports', () => {
    expect(endsOf('TCP 10.0.0.1:80 → 10.0.0.2:4711')).to.deep.equal(['10.0.0.1', '10.0.0.2']);
    expect(endsOf('UDP [fd00::1]:53 → [fd00::2]:4711')).to.deep.equal(['fd00::1', 'fd00::2']);
    expect(endsOf('ICMPv6 fd00::1 → fd00::2')).to.deep.equal(['fd00::1', 'fd00::2']);
  });

  it('are between two addresses in both directions, and not between others that begin alike', () => {
    const ping = group('ICMP 10.0.0.1 → 10.0.0.2');
    expect(isBetween(ping, ['10.0.0.2', '10.0.0.1'])).to.equal(true);
    expect(isBetween(ping, ['10.0.0.12', '10.0.0.1'])).to.equal(false);
  });

  it('are of one connection when both addresses and both ports are the same', () => {
    const one = group('TCP 10.0.0.1:4711 → 10.0.0.2:80', 'TCP 10.0.0.1:4712 → 10.0.0.2:80');
    expect(sameConnection(one, group('TCP 10.0.0.2:80 → 10.0.0.1:4712'))).to.equal(true);
    expect(sameConnection(one, group('TCP 10.0.0.2:80 → 10.0.0.1:4713'))).to.equal(false);
    expect(sameConnection(one, group('UDP 10.0.0.1:4711 → 10.0.0.2:80'))).to.equal(false);
  });

  it('meet when another client suffers from what hits the same service, whichever way it is written', () => {
    const dropped = group('TCP 10.0.0.1:4711 → 10.0.0.2:80');
    expect(flowsMeet(dropped, group('TCP 10.0.0.1:4999 → 10.0.0.2:80'))).to.equal(true);
    expect(flowsMeet(dropped, group('TCP 10.0.0.2:80 → 10.0.0.1:4999'))).to.equal(true);
  });

  it('do not meet when the same hosts suffer on another port, or in another protocol', () => {
    const dropped = group('TCP 10.0.0.1:4711 → 10.0.0.2:80');
    expect(flowsMeet(dropped, group('TCP 10.0.0.1:4712 → 10.0.0.2:443'))).to.equal(false);
    expect(flowsMeet(dropped, group('UDP 10.0.0.1:4712 → 10.0.0.2:80'))).to.equal(false);
    expect(flowsMeet(dropped, group('TCP 10.0.0.3:4711 → 10.0.0.2:80'))).to.equal(false);
  });

  it('meet by their addresses alone where no port is known, or not all flows are', () => {
    const many = [1, 2, 3, 4, 5].map((n) => `TCP 10.0.0.1:4711 → 10.0.0.2:${n}`);
    const other = group('TCP 10.0.0.1:4712 → 10.0.0.2:443');
    expect(flowsMeet(group(...many), other)).to.equal(true);
    expect(flowsMeet(group(...many.slice(1)), other)).to.equal(false);
    expect(flowsMeet(group('ICMP 10.0.0.1 → 10.0.0.2'), other)).to.equal(true);
  });
});
