// SPDX-License-Identifier: Apache-2.0
/**
 * One family's table in nftables: what is wanted of it against what is there, and the operations that join the two.
 *
 * Owns:       desired chains, sets and members, counted by who wants them; the actual ones, as read or as committed.
 * Invariants: a transaction creates before it refers and removes after nothing refers; a chain is replaced whole, in
 *             place, so packets meet the old chain or the new one, never a part;
 *             what the kernel refused is quarantined: a chain drops, a set is left out and the chains that read it drop.
 * Next:       driver.ts commits both families' operations as one transaction.
 */
import type {
  ActualTable,
  BaseHook,
  Element,
  NftOp,
  NftRule,
  SetSpec,
  TableRef,
} from '../../kernel/nft/model.ts';
import { verdictText } from '../../kernel/nft/model.ts';
import { fingerprint } from '../../kernel/nft/userdata.ts';
import { DeltaTable } from '../../reconcile/delta-table.ts';
import type { RenderedSet, Unit } from './render.ts';

/** A chain as compared with the kernel's: its hook and its rules' fingerprints. */
interface ChainRow {
  readonly print: string;
  readonly hook?: BaseHook;
  readonly rules: readonly NftRule[];
}

export class FamilyTable {
  readonly table: TableRef;
  readonly #hooks: ReadonlyMap<string, BaseHook>;
  readonly #chains = new DeltaTable<string, ChainRow>((a, b) => a.print === b.print);
  readonly #sets = new DeltaTable<string, SetSpec>((a, b) => specText(a) === specText(b));
  /** By set; verdicts as text, so that rows compare by value. */
  readonly #elements = new Map<string, DeltaTable<string, Element>>();
  readonly #units = new Map<string, Unit>();
  readonly #wanted = new Map<string, { chains: number; sets: number }>();
  readonly #quarantine = new Map<string, string>();
  #exists = false;

  constructor(table: TableRef, hooks: ReadonlyMap<string, BaseHook>) {
    this.table = table;
    this.#hooks = hooks;
  }

  /** The owner wants this and nothing else from now on; null: nothing at all. */
  setUnit(owner: string, unit: Unit | null): void {
    const before = this.#units.get(owner);
    if (unit) {
      this.#units.set(owner, unit);
      this.#count(unit, +1);
      for (const [name, rules] of unit.chains) this.#wantChain(name, rules);
      for (const [name, set] of unit.sets) this.wantSet(name, set);
    } else this.#units.delete(owner);
    if (before) this.#count(before, -1);
    if (before) this.#forgetUnwanted(before);
  }

  unit(owner: string): Unit | undefined {
    return this.#units.get(owner);
  }

  wantSet(name: string, set: RenderedSet): void {
    this.#quarantine.delete(name);
    this.#sets.setDesired(name, set.spec);
    const members = this.members(name);
    const keys = new Set(set.elements.map((element) => element.key));
    for (const element of set.elements) members.setDesired(element.key, element);
    for (const key of [...members.desired().keys()]) if (!keys.has(key)) members.deleteDesired(key);
  }

  forgetSet(name: string): void {
    this.#quarantine.delete(name);
    this.#sets.deleteDesired(name);
    const members = this.#elements.get(name);
    for (const key of [...(members?.desired().keys() ?? [])]) members?.deleteDesired(key);
  }

  members(name: string): DeltaTable<string, Element> {
    let members = this.#elements.get(name);
    if (!members) {
      members = new DeltaTable<string, Element>(sameElement);
      this.#elements.set(name, members);
    }
    return members;
  }

  /** What the kernel has now; null when it has no such table. Whoever was quarantined must be wanted anew by its owner. */
  replaceActual(actual: ActualTable | null): void {
    this.#exists = actual !== null;
    this.#quarantine.clear();
    this.#chains.replaceActual(
      [...(actual?.chains ?? [])].map(([name, chain]) => [
        name,
        {
          print: printOf(chain.hook ?? undefined, chain.rules),
          rules: [],
          ...(chain.hook ? { hook: chain.hook } : {}),
        },
      ]),
    );
    this.#sets.replaceActual([...(actual?.sets ?? [])].map(([name, set]) => [name, set.spec]));
    for (const name of new Set([...this.#elements.keys(), ...(actual?.sets.keys() ?? [])])) {
      const elements = actual?.sets.get(name)?.elements ?? [];
      this.members(name).replaceActual(elements.map((element) => [element.key, element]));
    }
  }

  /** Makes a table that stands the committing socket's own; it changes nothing in it. */
  takeOverOperations(): NftOp[] {
    return this.#exists ? this.#tableOperation() : [];
  }

  /** Members of sets that the kernel does not have yet: they may go ahead of the transaction in parts, unseen. */
  fillOperations(atMost: number): NftOp[] {
    const ops: NftOp[] = [];
    for (const [name, spec] of this.#sets.pendingUpserts()) {
      if (this.#sets.actual().has(name) || this.#quarantine.has(name) || spec.map) continue;
      const pending = [...this.members(name).pendingUpserts()].map(([, element]) => element);
      if (pending.length <= atMost) continue;
      if (ops.length === 0) ops.push(...this.#tableOperation());
      ops.push(this.#addSet(name, spec));
      for (let at = 0; at < pending.length; at += atMost) {
        ops.push({
          op: 'add-elements',
          table: this.table,
          set: name,
          spec,
          elements: pending.slice(at, at + atMost),
        });
      }
    }
    return ops;
  }

  /** Everything that differs, in an order in which each step may stand. Empty when the kernel agrees. */
  operations(): NftOp[] {
    const chains = [...this.#chains.pendingUpserts()];
    const goneChains = [...this.#chains.pendingDeletes()];
    const goneSets = [...this.#sets.pendingDeletes()];
    const replaced = [...this.#sets.pendingUpserts()].filter(([name]) => this.#sets.actual().has(name));
    const ops = [
      ...chains.flatMap(([chain, row]) => this.#removeRehooked(chain, row)),
      ...chains.map(([chain, row]): NftOp => this.#addChain(chain, row)),
      ...this.#declareSets(replaced.map(([name]) => name)),
      ...this.#changeMembers(false),
      ...chains.flatMap(([chain, row]) => this.#fillChain(chain, row)),
      ...this.#changeMembers(true),
      // emptied before any goes, as they jump to one another; maps before chains, as their members do too
      ...goneChains.map((chain): NftOp => ({ op: 'flush-chain', table: this.table, chain })),
      ...goneSets.map((set): NftOp => ({ op: 'delete-set', table: this.table, set })),
      ...goneChains.map((chain): NftOp => ({ op: 'delete-chain', table: this.table, chain })),
    ];
    return ops.length === 0 && this.#exists ? [] : [...this.#tableOperation(), ...ops];
  }

  /** The operations were committed. */
  confirm(): void {
    this.#exists = true;
    for (const name of this.#sets.pendingDeletes()) this.#elements.delete(name);
    this.#chains.confirmAll();
    this.#sets.confirmAll();
    for (const members of this.#elements.values()) if (members.pendingCount > 0) members.confirmAll();
  }

  /** A set's filling, sent ahead, was committed. */
  confirmFilled(set: string, spec: SetSpec, elements: readonly Element[]): void {
    this.#exists = true;
    this.#sets.setActual(set, spec);
    for (const element of elements) this.members(set).setActual(element.key, element);
  }

  /** @returns false when the object is in quarantine already, so that refusing it again means something else. */
  quarantine(object: string, reason: string): boolean {
    if (this.#quarantine.has(object)) return false;
    this.#quarantine.set(object, reason);
    const touched = [...this.#chains.desired()].filter(
      ([name, row]) => name === object || reads(row.rules, object),
    );
    for (const [name, row] of touched) this.#chains.setDesired(name, closedChain(row));
    if (this.#sets.desired().has(object)) {
      this.#sets.deleteDesired(object);
      for (const key of [...this.members(object).desired().keys()]) this.members(object).deleteDesired(key);
    }
    return true;
  }

  quarantined(): ReadonlyMap<string, string> {
    return this.#quarantine;
  }

  /** Every chain and set that the owner's packets can meet. */
  reaches(owner: string): Iterable<string> {
    const unit = this.#units.get(owner);
    return unit ? [...unit.chains.keys(), ...unit.sets.keys(), ...unit.unions.keys()] : [];
  }

  #tableOperation(): NftOp[] {
    return [{ op: 'add-table', table: this.table, owned: true }];
  }

  #wantChain(name: string, rules: readonly NftRule[]): void {
    this.#quarantine.delete(name);
    const hook = this.#hooks.get(name);
    const prints = rules.map((rule) => fingerprint(rule, this.table.family));
    this.#chains.setDesired(name, { print: printOf(hook, prints), rules, ...(hook ? { hook } : {}) });
  }

  #count(unit: Unit, by: number): void {
    for (const name of [...unit.chains.keys(), ...unit.sets.keys()]) {
      const count = this.#wanted.get(name) ?? { chains: 0, sets: 0 };
      if (unit.chains.has(name)) count.chains += by;
      if (unit.sets.has(name)) count.sets += by;
      this.#wanted.set(name, count);
    }
  }

  #forgetUnwanted(unit: Unit): void {
    for (const name of [...unit.chains.keys(), ...unit.sets.keys()]) {
      const count = this.#wanted.get(name);
      if (count && unit.chains.has(name) && count.chains === 0) this.#forgetChain(name);
      if (count && unit.sets.has(name) && count.sets === 0) this.forgetSet(name);
      if (count?.chains === 0 && count.sets === 0) this.#wanted.delete(name);
    }
  }

  #forgetChain(name: string): void {
    this.#quarantine.delete(name);
    this.#chains.deleteDesired(name);
  }

  /** The kernel cannot change where a chain is hooked: one that a stranger hooked elsewhere goes and comes anew. */
  #removeRehooked(chain: string, row: ChainRow): NftOp[] {
    const actual = this.#chains.actual().get(chain);
    if (!actual || printOf(actual.hook, []) === printOf(row.hook, [])) return [];
    const { table } = this;
    return [
      { op: 'flush-chain', table, chain },
      { op: 'delete-chain', table, chain },
    ];
  }

  #addChain(chain: string, row: ChainRow): NftOp {
    return { op: 'add-chain', table: this.table, chain, ...(row.hook ? { hook: row.hook } : {}) };
  }

  #addSet(set: string, spec: SetSpec): NftOp {
    return { op: 'add-set', table: this.table, set, spec };
  }

  /** Nor can it change a set's form. */
  #declareSets(replaced: readonly string[]): NftOp[] {
    const ops: NftOp[] = replaced.map((set) => ({ op: 'delete-set', table: this.table, set }));
    for (const [set, spec] of this.#sets.pendingUpserts()) ops.push(this.#addSet(set, spec));
    return ops;
  }

  #changeMembers(maps: boolean): NftOp[] {
    const ops: NftOp[] = [];
    for (const [set, members] of this.#elements) {
      const spec = this.#sets.desired().get(set);
      if (!spec || (spec.map !== undefined) !== maps || members.pendingCount === 0) continue;
      const upserts = [...members.pendingUpserts()].map(([, element]) => element);
      // a member's verdict cannot be changed in place: out with the old in the same transaction
      const outdated = upserts.filter((element) => members.actual().has(element.key));
      const gone = [...[...members.pendingDeletes()].map((key) => ({ key })), ...outdated];
      if (gone.length > 0) ops.push({ op: 'delete-elements', table: this.table, set, spec, elements: gone });
      if (upserts.length > 0)
        ops.push({ op: 'add-elements', table: this.table, set, spec, elements: upserts });
    }
    return ops;
  }

  #fillChain(chain: string, row: ChainRow): NftOp[] {
    const { table } = this;
    const flush: NftOp[] = this.#chains.actual().has(chain) ? [{ op: 'flush-chain', table, chain }] : [];
    return [...flush, ...row.rules.map((rule): NftOp => ({ op: 'add-rule', table, chain, rule }))];
  }
}

function printOf(hook: BaseHook | undefined, rules: readonly (string | null)[]): string {
  return JSON.stringify([hook ? [hook.type, hook.hook, hook.priority, hook.policy] : null, rules]);
}

function specText(spec: SetSpec): string {
  return JSON.stringify([spec.key, spec.interval, spec.map ?? null]);
}

function sameElement(a: Element, b: Element): boolean {
  return (a.verdict ? verdictText(a.verdict) : '') === (b.verdict ? verdictText(b.verdict) : '');
}

function reads(rules: readonly NftRule[], set: string): boolean {
  return rules.some((rule) =>
    rule.statements.some(
      (statement) =>
        (statement.kind === 'lookup' && statement.set === set) ||
        (statement.kind === 'vmap' && statement.map === set),
    ),
  );
}

const closed: readonly NftRule[] = [
  {
    statements: [{ kind: 'verdict', verdict: { kind: 'drop' } }],
    comment: 'closed: the kernel refused this chain',
  },
];

function closedChain(row: ChainRow): ChainRow {
  return { ...row, rules: closed, print: printOf(row.hook, ['closed']) };
}
