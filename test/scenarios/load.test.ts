import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VdiagError } from '../../src/base/errors.js';
import { loadScenario, loadScenarios, withBudgets } from '../../src/scenarios/load.js';
import type { Scenario } from '../../src/scenarios/types.js';

const GOOD = `apiVersion: vdiag/v1
kind: Scenario
id: own
title: Own
titleZh: 自有
description: A question of one's own.
probes: { set: basic, require: [kfree_skb] }
defaults: { durationSeconds: 3 }
endpoints: any
segments:
  - id: wait
    kind: qdisc
    from: { role: queue }
    to: { role: transmit, device: same }
    label: '{{to.device}} queue'
    labelZh: '{{to.device}} 队列'
before: [qdisc]
`;

function inFolder(files: Record<string, string>, test: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-scenarios-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).to.be.instanceOf(VdiagError);
    expect((error as VdiagError).exitStatus).to.equal(2);
    return (error as VdiagError).message;
  }
  throw new Error('nothing was refused');
}

describe('scenarios', () => {
  it('that ship are whole, in both languages, with budgets where time is measured', () => {
    const all = loadScenarios();
    expect(all.map(({ id }) => id)).to.include.members(['connect-failure', 'packet-drop', 'vm-to-vm-latency']);
    for (const scenario of all) {
      expect(scenario.examples, scenario.id).to.not.be.empty;
      for (const segment of scenario.segments) {
        expect(segment.budgetMs, `${scenario.id} ${segment.id}`).to.be.greaterThan(0);
        expect(segment.labelZh).to.match(/\p{Script=Han}|→/u);
      }
    }
    const kinds = loadScenario('vm-to-vm-latency').segments.map(({ kind }) => kind);
    expect(kinds).to.include.members(['forwarding', 'qdisc', 'driver', 'ring', 'peer']);
  });

  it('of the user add to the shipped ones and replace those of the same id', () => {
    inFolder({ 'own.yaml': GOOD, 'drop.yaml': GOOD.replace('id: own', 'id: packet-drop') }, (folder) => {
      const shipped = loadScenarios();
      const all = loadScenarios([join(import.meta.dirname, '../../rules/scenarios'), folder]);
      expect(all).to.have.length(shipped.length + 1);
      expect(all.find(({ id }) => id === 'packet-drop')?.title).to.equal('Own');
      expect(loadScenario('own', [folder])).to.deep.include({ roundTrips: false, examples: [], before: ['qdisc'] });
    });
  });

  it('allow each segment so many times its budget on a slow host', () => {
    const scenario = loadScenario('vm-to-vm-latency');
    const budgets = (of: Scenario): (number | undefined)[] => of.segments.map(({ budgetMs }) => budgetMs);
    expect(budgets(withBudgets(scenario, 10))).to.deep.equal(scenario.segments.map(({ budgetMs }) => budgetMs! * 10));
    expect(withBudgets(scenario, 1)).to.equal(scenario);
  });

  it('that do not exist are answered with those that do', () => {
    const message = messageOf(() => loadScenario('vm-to-vm-latancy'));
    expect(message).to.contain('there is no scenario "vm-to-vm-latancy"');
    expect(message).to.contain('did you mean "vm-to-vm-latency"?');
  });

  for (const [what, from, to, expected] of [
    [
      'a probe that is not in the catalogue',
      'kfree_skb',
      'kfree_sbk',
      /own\.yaml:7:\d+: there is no probe "kfree_sbk"; did you mean "kfree_skb"\?/,
    ],
    ['an unknown role', 'role: queue', 'role: queu', /own\.yaml:13:\d+: .*"queu".*did you mean "queue"/],
    ['an unknown kind', 'kind: qdisc', 'kind: qdisk', /own\.yaml:12:\d+: .*did you mean "qdisc"/],
    [
      'a variable that labels have not',
      '{{to.device}} queue',
      '{{to.devise}} queue',
      /own\.yaml:15:\d+: there is no variable "to.devise"; did you mean "to.device"/,
    ],
    [
      'a section in a label',
      '{{to.device}} queue',
      '{{#to}}x{{/to}}',
      /own\.yaml:15:\d+: .*only \{\{variable\}\} is allowed/,
    ],
    [
      'a role and a probe together',
      'role: queue',
      'role: queue, probe: net_dev_queue',
      /own\.yaml:13:\d+: "from" of segment "wait" names both/,
    ],
    [
      'evidence that is not collected',
      'before: [qdisc]',
      'before: [qdics]',
      /own\.yaml:17:\d+: there is no evidence "qdics"; did you mean "qdisc"/,
    ],
    [
      'an unknown field',
      'endpoints: any',
      'endpoints: any\nendpoint: any',
      /own\.yaml:10:\d+: unknown field "endpoint"/,
    ],
    ['a missing field', 'titleZh: 自有\n', '', /lacks the field "titleZh"/],
  ] as const) {
    it(`are refused with ${what}, where it stands`, () => {
      inFolder({ 'own.yaml': GOOD.replace(from, to) }, (folder) => {
        expect(messageOf(() => loadScenarios([folder]))).to.match(expected);
      });
    });
  }

  it('are refused twice in one folder', () => {
    inFolder({ 'a.yaml': GOOD, 'b.yaml': GOOD }, (folder) => {
      expect(messageOf(() => loadScenarios([folder]))).to.match(/b\.yaml:3:1: scenario "own" stands in .*a\.yaml too/);
    });
  });
});
