import { printable } from '../base/sanitize.js';
import type { EvidenceSource } from '../evidence/types.js';

/** A running libvirt domain and the devices of this host that it is attached to. */
export interface Domain {
  name: string;
  devices: string[];
}

/** Where libvirtd keeps the state of running domains (src/qemu/qemu_domain.c, virDomainObjSave). */
const FOLDER = '/run/libvirt/qemu';
const MAX_DOMAINS = 512;

/** The running domains, by name; empty where there is no libvirt, or it may not be read. */
export async function readDomains(source: EvidenceSource): Promise<Domain[]> {
  const list = await source.list(FOLDER, { phase: 'before' });
  if (list.status !== 'ok') return [];
  const files = list.text
    .split('\n')
    .filter((name) => /^[^/]+\.xml$/.test(name))
    .slice(0, MAX_DOMAINS);
  const domains = await Promise.all(
    files.map(async (file) => {
      const answer = await source.read(`${FOLDER}/${file}`, { phase: 'before' });
      return answer.status === 'ok' ? domainOf(answer.text, file) : undefined;
    }),
  );
  return domains.filter((domain) => domain !== undefined);
}

/** The name and the target devices of a domain's status document; only these two are looked for, so no XML parser is needed. */
export function domainOf(xml: string, file: string): Domain {
  const name = /<name>([^<]*)<\/name>/.exec(xml)?.[1] ?? file.replace(/\.xml$/, '');
  const devices = [...xml.matchAll(/<interface\b[\s\S]*?<\/interface>/g)].flatMap(([part]) => {
    const target = /<target\s+dev=(?:'([^']*)'|"([^"]*)")/.exec(part);
    return target ? [printable(unescape(target[1] ?? target[2]))] : [];
  });
  return { name: printable(unescape(name)), devices };
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name]);
}
