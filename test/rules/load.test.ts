import { expect } from 'chai';
import { loadRules } from '../../src/rules/load.js';
import { ruleFilesIn, ruleFolders } from '../../src/rules/folders.js';
import { diagnosisSet, inFolder, KNOWN, load, ruleSet, ruleWhen } from './support.js';

const SHIPPED = ruleSet(
  'macros:',
  '  dropped: { fact: event.verdict, operator: equal, value: NF_DROP }',
  '  to-private: { all: [{ macro: dropped }, { fact: packet.dst, operator: inSubnet, value: { list: private } }] }',
  'lists:',
  '  private: [10.0.0.0/8, { list: more-private }]',
  '  more-private: [192.168.0.0/16]',
  'rules:',
  '  - id: netfilter.chain-drop',
  '    level: error',
  '    on: [nft_do_chain, "role:verdict"]',
  '    when: { macro: to-private }',
  '    message: "{{event.table}}/{{event.chain}} dropped {{packet.summary}} of {{flow}}"',
  '    article: netfilter/chain-drop',
  '    tags: [drop, firewall]',
  '  - { id: netfilter.other, level: info, on: [kfree_skb], when: { macro: dropped }, message: m, messageZh: 丢弃, groupBy: [event.device] }',
);
const DIAGNOSES = diagnosisSet(
  'diagnoses:',
  '  - id: firewall-rule-drops-flow',
  '    severity: error',
  '    suspect: { findings: [netfilter.chain-drop] }',
  '    when: { fact: subject, path: $.count, operator: greaterThan, value: 0 }',
  '    proof:',
  '      fact: evidence.firewall-rule',
  '      params: { table: "{{subject.table}}", chain: "{{subject.chain}}" }',
  '      path: $.counterDelta',
  '      operator: greaterThan',
  '      value: 0',
  '    summary: "{{evidence.firewall-rule.text}} drops {{subject.flow}}"',
  '    names: { chain: "{{subject.chain}}" }',
  '    explains: [netfilter.other]',
  '    article: netfilter/chain-drop',
);

describe('rules: loading', () => {
  it('writes out macros and lists and fills in defaults', () => {
    const { rules, diagnoses, disabled } = load({ 'a/drops.yaml': SHIPPED, 'a/diagnoses.yaml': DIAGNOSES });
    const dropped = { fact: 'event.verdict', operator: 'equal', value: 'NF_DROP' };
    expect(rules.map(({ source, ...rule }) => ({ ...rule, line: source.split(':').at(-2) }))).to.deep.equal([
      {
        id: 'netfilter.chain-drop',
        layer: 'netfilter',
        level: 'error',
        on: ['nft_do_chain', 'role:verdict'],
        when: { all: [dropped, { fact: 'packet.dst', operator: 'inSubnet', value: ['10.0.0.0/8', '192.168.0.0/16'] }] },
        message: '{{event.table}}/{{event.chain}} dropped {{packet.summary}} of {{flow}}',
        article: 'netfilter/chain-drop',
        tags: ['drop', 'firewall'],
        line: '11',
      },
      {
        id: 'netfilter.other',
        layer: 'netfilter',
        level: 'info',
        on: ['kfree_skb'],
        when: dropped,
        message: 'm',
        messageZh: '丢弃',
        article: '',
        tags: [],
        groupBy: ['event.device'],
        line: '18',
      },
    ]);
    expect(diagnoses).to.have.length(1);
    expect(diagnoses[0]).to.deep.include({
      suspect: { findings: ['netfilter.chain-drop'] },
      explains: ['netfilter.other'],
      summaryZh: '{{evidence.firewall-rule.text}} drops {{subject.flow}}',
    });
    expect(disabled).to.deep.equal([]);
  });

  it('lets a later folder add, override, disable and change levels by id', () => {
    const user = ruleSet(
      'rules:',
      '  - { id: netfilter.chain-drop, override: true, on: [kfree_skb], tags: [mine] }',
      '  - { id: my.rule, level: info, on: [kfree_skb], when: { macro: dropped }, message: m }',
      'disable: [netfilter.other]',
      'levels: { netfilter.chain-drop: warn, firewall-rule-drops-flow: info }',
    );
    const { rules, diagnoses, disabled } = load({ 'a/d.yaml': DIAGNOSES, 'a/s.yaml': SHIPPED, 'b/user.yaml': user });
    expect(rules.map(({ id, level, on, tags, article }) => [id, level, on.join(), tags.join(), article])).to.deep.equal(
      [
        ['netfilter.chain-drop', 'warn', 'kfree_skb', 'mine', 'netfilter/chain-drop'],
        ['my.rule', 'info', 'kfree_skb', '', ''],
      ],
    );
    expect(rules[0].source).to.match(/s\.yaml:11:5, changed at .*user\.yaml:5:5, changed at .*user\.yaml:8:11$/);
    expect(diagnoses.map(({ severity }) => severity)).to.deep.equal(['info']);
    expect(disabled).to.deep.equal(['netfilter.other']);
  });

  it('lets a later folder define a macro or a list anew, for the shipped rules too', () => {
    const user = 'apiVersion: vdiag/v1\nkind: MacroSet\nlists: { more-private: [172.16.0.0/12] }\n';
    const { rules } = load({ 'a/s.yaml': SHIPPED, 'b/user.yaml': user });
    expect(JSON.stringify(rules[0].when)).to.contain('["10.0.0.0/8","172.16.0.0/12"]');
  });

  it('overrides a diagnosis, whatever the order of the files of a folder', () => {
    const change = diagnosisSet('diagnoses:', '  - { id: firewall-rule-drops-flow, override: true, severity: warn }');
    const { diagnoses } = load({ 'a/a.yaml': change, 'a/d.yaml': DIAGNOSES, 'a/s.yaml': SHIPPED });
    expect(diagnoses.map(({ severity }) => severity)).to.deep.equal(['warn']);
  });

  it('compares one field with another', () => {
    const when = '{ fact: socket.rmem, operator: greaterThanInclusive, value: { fact: socket.rcvbuf } }';
    const { rules } = load({ 'a/x.yaml': ruleWhen(when) });
    expect(rules[0].when).to.deep.equal({
      fact: 'socket.rmem',
      operator: 'greaterThanInclusive',
      value: { fact: 'socket.rcvbuf' },
    });
  });

  it('demands an article of shipped rules only', () => {
    inFolder({ 'x.yaml': SHIPPED }, (path) => {
      expect(() => loadRules([{ path, origin: 'shipped' }], KNOWN)).to.throw(
        '"netfilter.other" has no article; expected article: <id>',
      );
      expect(loadRules([{ path, origin: 'user' }], KNOWN).rules).to.have.length(2);
    });
  });
});

describe('rules: folders', () => {
  it('come in the order shipped, host, user, flags; missing ones of the user are left out', () => {
    inFolder({ 'vdiag/rules/x.yaml': '' }, (config) => {
      const folders = ruleFolders(['/given'], { XDG_CONFIG_HOME: config }).filter(({ origin }) => origin !== 'host');
      expect(folders.map(({ origin }) => origin)).to.deep.equal(['shipped', 'user', 'flag']);
      expect(folders[1].path).to.equal(`${config}/vdiag/rules`);
    });
    expect(ruleFolders([], { XDG_CONFIG_HOME: '/nowhere' }).filter(({ origin }) => origin !== 'host')).to.have.length(
      1,
    );
  });

  it('leave scenarios alone, take a single file, and say when there is none', () => {
    inFolder({ 'b.yml': '', 'a/x.yaml': '', 'scenarios/s.yaml': '', 'README.md': '' }, (path) => {
      expect(ruleFilesIn({ path, origin: 'flag' }).map((file) => file.slice(path.length))).to.deep.equal([
        '/a/x.yaml',
        '/b.yml',
      ]);
      expect(ruleFilesIn({ path: `${path}/b.yml`, origin: 'flag' })).to.deep.equal([`${path}/b.yml`]);
      expect(() => ruleFilesIn({ path: `${path}/nothing`, origin: 'flag' })).to.throw(
        /there is no folder .*nothing; expected a folder/,
      );
    });
  });
});
