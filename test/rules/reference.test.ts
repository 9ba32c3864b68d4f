import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { parseDocument, schemaProblems, yamlFilesBelow } from '../../src/base/documents.js';
import { pairData, segmentData, subjectsOf } from '../../src/diagnosis/subjects.js';
import type { Analysis } from '../../src/analysis/types.js';
import { FIELD_SPECS } from '../../src/events/field-names.js';
import { DIAGNOSIS_FACTS, subjectMembers } from '../../src/rules/diagnosis-facts.js';
import type { RuleFolder } from '../../src/rules/folders.js';
import { loadRules } from '../../src/rules/load.js';
import { OPERATORS } from '../../src/rules/operators.js';
import { referenceTables } from '../../src/rules/reference.js';
import { runRuleTests } from '../../src/rules/rule-tests.js';
import type { DiagnosisRule, SuspectSpec } from '../../src/rules/types.js';
import { inFolder, KNOWN, ruleSet } from './support.js';

const PAGE = readFileSync(packagePath('docs', 'rules.md'), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text);
const SHIPPED_IDS = yamlFilesBelow(packagePath('rules'))
  .map((file) => readFileSync(file, 'utf8'))
  .flatMap((text) => [...text.matchAll(/^ {2}- id: (\S+)$/gm)].map(([, id]) => id));

describe('docs/rules.md', () => {
  it('has the tables as the code defines them (else run: npx tsx scripts/generate-rule-docs.ts)', () => {
    for (const [name, table] of Object.entries(referenceTables(FIELD_SPECS))) {
      expect(PAGE, `the table "${name}"`).to.contain(`<!-- table: ${name} -->\n\n${table}\n`);
    }
  });

  it('changes rules that there are', () => {
    const ids = ['l4.reset-received', 'netfilter.chain-drop', 'netfilter.nat-drop'];
    for (const id of ids) expect(PAGE).to.contain(id);
    expect(SHIPPED_IDS).to.include.members(ids);
  });

  it('has examples that load together, and whose tests pass', () => {
    expect(EXAMPLES).to.have.length.of.at.least(5);
    const stand = (id: string): string =>
      `  - { id: ${id}, level: error, on: [kfree_skb], when: { fact: event.cpu, operator: exists, value: true }, message: m }`;
    const shipped = ruleSet(
      'rules:',
      ...['l4.reset-received', 'netfilter.chain-drop', 'netfilter.nat-drop'].map(stand),
    );
    const files = Object.fromEntries(EXAMPLES.map((text, i) => [`site/${i}.yaml`, text]));
    inFolder({ 'shipped/x.yaml': shipped, ...files }, (root) => {
      const folders: RuleFolder[] = ['shipped', 'site'].map((name) => ({ path: `${root}/${name}`, origin: 'flag' }));
      const { rules, diagnoses, disabled } = loadRules(folders, KNOWN);
      expect(disabled).to.deep.equal(['l4.reset-received']);
      expect(rules.find(({ id }) => id === 'netfilter.nat-drop')?.message).to.equal(
        'NAT refused {{packet.summary}} (see runbook 17)',
      );
      expect(diagnoses.map(({ id }) => id)).to.deep.equal(['site-shaped-by-tbf']);
      expect(runRuleTests(rules)).to.deep.equal({ run: 2, failed: [] });
    });
  });

  it('has links to headings that there are', () => {
    const anchors = [...PAGE.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replace(/[^a-z ]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const [, anchor] of PAGE.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).to.include(anchor);
  });
});

describe('schemas of rule files', () => {
  const read = (name: string) => JSON.parse(readFileSync(packagePath('docs', 'schema', `${name}.schema.json`), 'utf8'));

  it('describe conditions alike, with every operator', () => {
    const { condition, level } = read('ruleset').$defs;
    expect(read('diagnosis-set').$defs.condition).to.deep.equal(condition);
    expect(read('diagnosis-set').$defs.level).to.deep.equal(level);
    expect(JSON.stringify(condition)).to.contain(`{"enum":${JSON.stringify(Object.keys(OPERATORS))}}`);
  });

  it('accept what the loader accepts: every example and every shipped file, conditions included', () => {
    const shipped = yamlFilesBelow(packagePath('rules')).filter((file) => !file.includes('/scenarios/'));
    const documents = [
      ...EXAMPLES.map((text, i) => parseDocument(text, `example ${i}`)),
      ...shipped.map((file) => parseDocument(readFileSync(file, 'utf8'), file)),
    ];
    for (const document of documents) {
      const { kind } = document.value as { kind: string };
      expect(
        schemaProblems(document, kind === 'DiagnosisSet' ? 'diagnosis-set' : 'ruleset'),
        document.file,
      ).to.deep.equal([]);
    }
  });

  it('refuse conditions that the loader refuses', () => {
    for (const when of [
      '{}',
      '{ all: [] }',
      '{ any: [1] }',
      '{ all: [], any: [] }',
      '{ fact: a, operator: x, value: 1 }',
      '{ fact: a, operator: in }',
      '{ not: [] }',
    ]) {
      const text = ruleSet('rules:', `  - { id: a, level: info, on: [b], message: m, when: ${when} }`);
      expect(schemaProblems(parseDocument(text, 'x.yaml'), 'ruleset'), when).to.not.be.empty;
    }
  });
});

describe('the vocabulary of diagnoses', () => {
  const latency = { count: 1, p50: 1, p90: 1, p99: 1, p999: 1, max: 1, mean: 1 };
  const spec = { id: 's', from: {}, to: {}, label: 'l', labelZh: 'l', kind: 'qdisc', budgetMs: 1 };
  const segment = {
    spec,
    direction: 'forward' as const,
    label: 'l',
    labelZh: 'l',
    device: 'd',
    fromDevice: 'e',
    netns: 1,
    consumer: { pid: 1, tid: 2 },
    latency,
    entered: 1,
    lost: 0,
    share: 0.5,
  };
  const pair = {
    id: 0,
    a: 'a',
    b: 'b',
    aDevice: 'd',
    aNetns: 1,
    bDevice: 'e',
    bNetns: 1,
    packets: both(),
    bytes: both(),
    drops: both(),
    protocols: [],
    seconds: 1,
    roundTrips: latency,
    turnaround: latency,
    segments: [segment],
  };
  const finding = {
    rule: 'r',
    level: 'warn' as const,
    layer: 'l2',
    article: 'a',
    tags: [],
    count: 1,
    firstTs: 0,
    lastTs: 0,
    message: 'm',
    messageZh: 'm',
    subject: { device: 'd', netns: 1, reason: 'r', hook: 'h' },
    flows: [],
    samples: [{ path: 1, len: 1, packet: { src: 's', dst: 'd', smac: 'm', sport: 1, dport: 2, proto: 'p', ttl: 3 } }],
  };
  const analysis = {
    pairs: [pair],
    findings: [finding],
    paths: [
      { id: 1, pair: 1, events: [{ role: 'receive', device: 'd', netns: 1, packet: finding.samples[0].packet }] },
    ],
    sched: [{ pid: 1, tid: 2, comm: 'c', wait: latency }],
  } as unknown as Analysis;

  function both(): { forward: number; reverse: number } {
    return { forward: 1, reverse: 1 };
  }

  /** Members with their types, as the loader believes them to be. */
  const documented = (suspect: SuspectSpec): Record<string, string> =>
    Object.fromEntries(
      Object.entries(subjectMembers(suspect, suspect.findings ? FIELD_SPECS : {})).map(([name, { type }]) => [
        name,
        type,
      ]),
    );
  const given = (data: Record<string, unknown>): Record<string, string> =>
    Object.fromEntries(Object.entries(data).map(([name, value]) => [name, typeof value]));

  for (const suspect of [{ segments: ['qdisc'] }, { each: 'pair' }, { each: 'sched' }] as const) {
    it(`is what a subject has: ${JSON.stringify(suspect)}`, () => {
      const [subject] = subjectsOf({ suspect } as unknown as DiagnosisRule, analysis);
      expect(given(subject.data)).to.deep.equal(documented(suspect as unknown as SuspectSpec));
    });
  }

  it('covers what a group of findings has', () => {
    const suspect = { findings: ['r'] };
    const [subject] = subjectsOf({ suspect } as DiagnosisRule, analysis);
    expect(documented(suspect)).to.include(given(subject.data));
  });

  it('is what segment and pair have', () => {
    const members = (fact: string) => Object.keys(DIAGNOSIS_FACTS[fact].members);
    expect(members('segment')).to.have.members(Object.keys(segmentData(segment, pair)));
    expect(members('pair')).to.have.members(Object.keys(pairData(pair)));
  });
});
