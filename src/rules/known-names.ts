import type { FieldSpec } from '../events/field-names.js';

/** A collector of evidence, as rules name it: its parameters and the members of its value, each with its meaning. */
export interface EvidenceNames {
  params: Readonly<Record<string, string>>;
  members: Readonly<Record<string, string>>;
}

/** What rules may name. Given by the caller, so that the loader depends on none of those who define it. */
export interface KnownNames {
  /** Probes of the catalogue. */
  probes: ReadonlySet<string>;
  /** Roles of probes: `role:<role>` in `on`. */
  roles: ReadonlySet<string>;
  /** Ids of articles. */
  articles: ReadonlySet<string>;
  /** Collectors by name; `evidence.<name>` in conditions. */
  evidence: ReadonlyMap<string, EvidenceNames>;
  /** Fields of events: FIELD_SPECS. */
  fields: Readonly<Record<string, FieldSpec>>;
  /** Kinds of segments; absent: any word is taken. */
  segmentKinds?: ReadonlySet<string>;
}
