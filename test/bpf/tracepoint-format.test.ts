import { expect } from 'chai';
import fc from 'fast-check';
import { encodePlace, parseTracepointFormat, placesIn } from '../../src/bpf/tracepoint-format.js';
import { planProgram } from '../../src/bpf/programs.js';
import { VD_OPT } from '../../src/bpf/kernel-side.gen.js';

const COMMON = `format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

`;

/** As 6.18 has it (the list of reasons cut). */
const KFREE_SKB = `name: kfree_skb
ID: 2310
${COMMON}	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:void * rx_sk;	offset:24;	size:8;	signed:0;
	field:unsigned short protocol;	offset:32;	size:2;	signed:0;
	field:enum skb_drop_reason reason;	offset:36;	size:4;	signed:0;

print fmt: "skbaddr=%p field:void * location; offset:1; size:8;", REC->skbaddr, __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" })
`;

/** As 4.19 has it. */
const KFREE_SKB_OLD = `${COMMON}	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:unsigned short protocol;	offset:24;	size:2;	signed:0;
`;

/** As 6.18 has it. */
const NET_DEV_XMIT = `name: net_dev_xmit
ID: 2298
${COMMON}	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:unsigned int len;	offset:16;	size:4;	signed:0;
	field:int rc;	offset:20;	size:4;	signed:1;
	field:__data_loc char[] name;	offset:24;	size:4;	signed:0;

print fmt: "dev=%s skbaddr=%p len=%u rc=%d", __get_str(name), REC->skbaddr, REC->len, REC->rc
`;

describe('format of a classic tracepoint', () => {
  it('tells where the arguments are, kernel by kernel', () => {
    const wanted = ['skb', 'location', 'reason', 'constructor'];
    expect(placesIn(parseTracepointFormat(KFREE_SKB), wanted)).to.deep.equal({
      skb: { offset: 8, size: 8 },
      location: { offset: 16, size: 8 },
      reason: { offset: 36, size: 4 },
    });
    expect(placesIn(parseTracepointFormat(KFREE_SKB_OLD), wanted)).to.have.all.keys('skb', 'location');
  });

  it('finds the name of the device, and asks the kernel side for that', () => {
    const fields = placesIn(parseTracepointFormat(NET_DEV_XMIT), ['skb', 'rc', 'dev', 'len']);
    expect(fields.dev).to.deep.equal({ offset: 24, size: 4 });
    const plan = planProgram({
      ...{ index: 3, program: 'xmit', backend: 'tracepoint', target: 'net:net_dev_xmit' },
      ...{ args: {}, fields, nargs: 4, wantReturn: false },
    });
    expect(plan).to.have.property('template', 'packet_record');
    expect(plan).to.have.nested.property('constants.OBJECT', encodePlace({ offset: 24, size: 4 }));
    if ('why' in plan) throw new Error(plan.why);
    expect(plan.constants.OPTIONS! & VD_OPT.DEVICE_NAME).to.not.equal(0);
  });

  it('does not take for an argument what cannot be one', () => {
    const of = (line: string): object => placesIn(parseTracepointFormat(line), ['skb', 'rc', 'dev']);
    expect(of('field:__data_loc char[] skbaddr; offset:8; size:4;')).to.deep.equal({});
    expect(of('field:int skbaddr; offset:8; size:4;')).to.deep.equal({});
    expect(of('field:int rc[2]; offset:8; size:8;')).to.deep.equal({});
    expect(of('field:char name[16]; offset:8; size:16;')).to.deep.equal({});
    expect(of('field:int rc; offset:4; size:4;'), 'common fields').to.deep.equal({});
    expect(of('field:int rc; offset:65535; size:4;')).to.deep.equal({});
  });

  it('reads anything without error, and never tells a place outside a record', () => {
    const names = ['skb', 'sk', 'location', 'reason', 'rc', 'old', 'new', 'type', 'code', 'len', 'dev'];
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('field:', 'void * skbaddr;', '\toffset:', 'size:', ';', '8', '\n', '-1', '99999999999', 'int rc;'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        for (const { offset, size } of Object.values(placesIn(parseTracepointFormat(pieces.join('')), names))) {
          expect(offset).to.be.within(8, 8192 - size);
          expect(size).to.be.within(1, 8);
        }
      }),
    );
  });
});
