import { expect } from 'chai';
import { explains, explainsFinding, openFindings, type Claim } from '../../src/diagnosis/explains.js';
import type { Subject } from '../../src/diagnosis/subjects.js';
import type { DiagnosisRule } from '../../src/diagnosis/types.js';
import { finding } from '../support/analysis.js';

const WEB = 'TCP 10.0.0.1:4711 → 10.0.0.2:80';
const DNS = 'UDP 10.0.0.1:4712 → 10.0.0.2:53';

const drops = finding('lifecycle.netfilter-drop', {
  flows: [
    { flow: WEB, count: 3 },
    { flow: DNS, count: 2 },
  ],
  count: 5,
});

function claim(id: string, subjects: Subject[], of: string[] = []): Claim {
  const rule: DiagnosisRule = {
    ...{ id, severity: 'error', suspect: {}, when: { all: [] }, summary: '', summaryZh: '', article: '', source: '' },
    explains: of,
  };
  return { rule, subjects, confidence: 'established' };
}

const about = (flow: string): Subject => ({ data: {}, finding: drops, flow });

describe('what a cause accounts for', () => {
  it('leaves open the flows of a group that no cause is about', () => {
    const [left, ...others] = openFindings([drops], [claim('firewall', [about(WEB)])]);
    expect(others).to.deep.equal([]);
    expect([left.flows, left.count]).to.deep.equal([[{ flow: DNS, count: 2 }], 2]);
    expect(openFindings([drops], [claim('firewall', [about(WEB), about(DNS)])])).to.deep.equal([]);
    expect(openFindings([drops], [claim('conntrack', [{ data: {}, finding: drops }])])).to.deep.equal([]);
    expect(openFindings([drops], [])).to.deep.equal([drops]);
  });

  it('is a diagnosis of the same flow, and not one of another flow of the same group', () => {
    const tooBig: Subject = {
      data: { quotedSrc: '10.0.0.1', quotedDst: '10.0.0.2', quotedProto: 'TCP' },
      finding: finding('l3.too-big-filtered', { flows: [{ flow: 'ICMP 10.0.0.9 → 10.0.0.1', count: 1 }] }),
    };
    const cause = claim('mtu-black-hole', [tooBig], ['firewall']);
    expect(explains(cause, claim('firewall', [about(WEB)]))).to.equal(true);
    expect(explains(cause, claim('firewall', [about(DNS)]))).to.equal(false);
    expect(explains(cause, claim('firewall', [about(WEB), about(DNS)])), 'one rule, both flows').to.equal(false);
  });

  it('are the symptoms of every flow that was found to have it', () => {
    const retransmits = finding('l4.retransmit', { flows: [{ flow: 'TCP 10.0.0.5:9 → 10.0.0.2:80', count: 1 }] });
    const other: Subject = {
      data: {},
      finding: finding('lifecycle.netfilter-drop', { flows: [{ flow: 'TCP 10.0.0.5:8 → 10.0.0.2:80', count: 1 }] }),
    };
    const once = claim('firewall', [about(WEB)], ['l4.retransmit']);
    expect(explainsFinding(once, retransmits)).to.equal(false);
    expect(explainsFinding({ ...once, subjects: [about(WEB), other] }, retransmits)).to.equal(true);
  });
});
