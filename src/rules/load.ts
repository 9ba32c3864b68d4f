import { relative } from 'node:path';
import { VdiagError } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { didYouMean } from '../base/suggest.js';
import { templateVariables } from '../base/template.js';
import { build, type Entry } from './build.js';
import { checkDiagnosis, checkRule, type CheckContext } from './check-entry.js';
import { checkDefinitions } from './check-definitions.js';
import { Definitions } from './definitions.js';
import { comparisonsOf, isFactReference } from './engine.js';
import { ruleFilesIn, type RuleFolder } from './folders.js';
import type { KnownNames } from './known-names.js';
import { isMapping, quote, textsOf, type Place, Problems } from './problems.js';
import { readRuleFile, type RuleFile } from './rule-file.js';
import type { DiagnosisRule, EventRule, Level } from './types.js';

/** Every rule of every folder, checked, with macros and lists written out and changes applied. */
export interface LoadedRules {
  rules: EventRule[];
  diagnoses: DiagnosisRule[];
  /** Ids that `disable` took out. */
  disabled: string[];
  /** The files they came from, in the order in which they were read. */
  files: string[];
}

/**
 * Loads rules from folders, in their order: later ones add rules, override or disable those of earlier ones by id, or
 * change their level.
 * @throws VdiagError (2) with every problem of every file, each with its line, what was expected and what was perhaps meant.
 */
export function loadRules(folders: readonly RuleFolder[], known: KnownNames): LoadedRules {
  const loading = new Loading(known);
  for (const folder of folders) loading.read(folder);
  return loading.finish();
}

interface Tier {
  folder: RuleFolder;
  files: RuleFile[];
}

class Loading {
  private readonly problems = new Problems();
  private readonly definitions = new Definitions();
  private readonly entries = new Map<string, Entry>();
  private readonly references: { id: string; at: Place; what: 'rule' | 'rule or diagnosis' }[] = [];
  private readonly tiers: Tier[] = [];
  private readonly files: string[] = [];
  private readonly context: CheckContext;

  constructor(known: KnownNames) {
    this.context = {
      known,
      definitions: this.definitions,
      problems: this.problems,
      refer: (id, at, what) => void this.references.push({ id, at, what }),
    };
  }

  read(folder: RuleFolder): void {
    const paths = ruleFilesIn(folder).filter((path) => !this.files.includes(path));
    this.files.push(...paths);
    const files = paths.flatMap((path) => readRuleFile(path, this.problems) ?? []);
    for (const { root, at } of files) {
      this.definitions.define('macros', root.macros, at.to('macros'), this.tiers.length, this.problems);
      this.definitions.define('lists', root.lists, at.to('lists'), this.tiers.length, this.problems);
    }
    this.tiers.push({ folder, files });
  }

  finish(): LoadedRules {
    checkDefinitions(this.context);
    const disabled = new Set<string>();
    for (const { folder, files } of this.tiers) {
      // A file may change what another file of the same folder defines, whichever is read first.
      const entries = files.flatMap(entriesOf);
      for (const entry of entries) if (entry.value.override !== true) this.define(entry, folder);
      for (const entry of entries) if (entry.value.override === true) this.override(entry);
      for (const file of files) this.applySwitches(file, disabled);
    }
    this.checkReferences();
    this.throwIfProblems();
    const kept = [...this.entries.values()].filter(({ id }) => !disabled.has(id));
    const loaded = build(kept, this.definitions, this.problems, sourceOf);
    loaded.diagnoses.forEach((rule) => this.checkEvidenceIsRead(rule));
    this.throwIfProblems();
    return { ...loaded, disabled: [...disabled].sort(), files: this.files };
  }

  private define(entry: Entry, folder: RuleFolder): void {
    const { id, at, value } = entry;
    const earlier = this.entries.get(id);
    if (earlier) {
      this.problems.add(at.to('id'), `the id ${quote(id)} is already taken at ${sourceOf(earlier.at)}`, {
        expected: 'another id, or override: true to change that one',
      });
    } else this.entries.set(id, entry);
    if (folder.origin === 'shipped' && value.article === undefined) {
      this.problems.add(at, `${quote(id)} has no article`, { expected: 'article: <id>, for every shipped rule' });
    }
    if (entry.kind === 'rule') {
      if (entry.layer === undefined) {
        this.problems.add(at.to('id'), `${quote(id)} has no layer`, {
          expected: 'layer: l2, l3 … at the top of the file',
        });
      }
      checkRule(value, at, this.context);
    } else checkDiagnosis(value, at, value.suspect, this.context);
  }

  private override(change: Entry): void {
    const { id, at, value, kind } = change;
    const target = this.entries.get(id);
    if (target?.kind !== kind) {
      const ids = [...this.entries.values()].filter((entry) => entry.kind === kind).map((entry) => entry.id);
      this.problems.add(at.to('id'), `there is no ${kind} ${quote(id)} to override`, {
        expected: `the id of a ${kind} of this folder or an earlier one`,
        hint: didYouMean(id, ids),
      });
      return;
    }
    if (kind === 'rule') checkRule(value, at, this.context);
    else {
      checkDiagnosis(value, at, value.suspect ?? target.value.suspect, this.context);
      if ('suspect' in value) {
        // What stays of the old one must make sense for the new suspect.
        const rest = Object.fromEntries(Object.entries(target.value).filter(([key]) => !(key in value)));
        checkDiagnosis(rest, target.at, value.suspect, this.context);
      }
    }
    target.value = { ...target.value, ...value };
    target.changedAt.push(at);
  }

  /** `disable: [ids]` and `levels: { id: level }`. */
  private applySwitches({ root, at }: RuleFile, disabled: Set<string>): void {
    for (const [i, id] of textsOf(root.disable)) {
      this.context.refer(id, at.to('disable', i), 'rule or diagnosis');
      disabled.add(id);
    }
    if (!isMapping(root.levels)) return;
    for (const [id, level] of Object.entries(root.levels)) {
      this.context.refer(id, at.to('levels', id), 'rule or diagnosis');
      const target = this.entries.get(id);
      if (!target) continue;
      target.value = { ...target.value, [target.kind === 'rule' ? 'level' : 'severity']: level as Level };
      target.changedAt.push(at.to('levels', id));
    }
  }

  private checkReferences(): void {
    for (const { id, at, what } of this.references) {
      const target = this.entries.get(id);
      if (target && (what !== 'rule' || target.kind === 'rule')) continue;
      const ids = [...this.entries.values()]
        .filter((entry) => what !== 'rule' || entry.kind === 'rule')
        .map((entry) => entry.id);
      this.problems.add(at, `unknown ${what} ${quote(id)}`, {
        expected: 'the id of one (vdiag rules list)',
        hint: didYouMean(id, ids),
      });
    }
  }

  /** A template can only show evidence that `when` or `proof` asked for. */
  private checkEvidenceIsRead(rule: DiagnosisRule): void {
    const entry = this.entries.get(rule.id)!;
    const read = new Set(
      [rule.when, rule.proof]
        .flatMap((condition) => (condition ? comparisonsOf(condition) : []))
        .flatMap(({ fact, value }) => (isFactReference(value) ? [fact, value.fact] : [fact])),
    );
    const templates = [
      rule.summary,
      rule.summaryZh,
      ...(rule.why ?? []).flatMap(({ text, textZh }) => [text, textZh]),
      ...Object.values(rule.names ?? {}),
    ];
    for (const variable of new Set(templates.flatMap(templateVariables))) {
      if (!variable.startsWith('evidence.') || read.has(variable.split('.').slice(0, 2).join('.'))) continue;
      this.problems.add(
        entry.at,
        `${quote(rule.id)} shows {{${variable}}}, but neither "when" nor "proof" reads that evidence`,
        {
          expected: 'a condition on it',
        },
      );
    }
  }

  private throwIfProblems(): void {
    if (this.problems.count > 0) throw new VdiagError(this.problems.sorted(this.files), 2);
  }
}

function entriesOf({ kind, root, at }: RuleFile): Entry[] {
  const key = kind === 'DiagnosisSet' ? 'diagnoses' : 'rules';
  const list: unknown = root[key];
  if (kind === 'MacroSet' || !Array.isArray(list)) return [];
  return list.flatMap((value: unknown, i): Entry[] => {
    if (!isMapping(value) || typeof value.id !== 'string') return [];
    const of = kind === 'DiagnosisSet' ? 'diagnosis' : 'rule';
    return [{ id: value.id, kind: of, value, at: at.to(key, i), changedAt: [], layer: root.layer }];
  });
}

/** `rules/l4/tcp.yaml:12:5`: shipped files are named from the package's root, others as they were found. */
function sourceOf(at: Place): string {
  const { file, line, column } = at.position;
  const inside = relative(packagePath(), file);
  return `${inside.startsWith('..') ? file : inside}:${line}:${column}`;
}
