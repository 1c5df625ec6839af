// SPDX-License-Identifier: Apache-2.0
/**
 * Policy programs as they are wanted: each list of policies, seen from its place, compiled, loaded and kept, one for all who want
 * the same. links.ts and hooks.ts lead packets to them.
 *
 *     const policy = policies.want(key)     per endpoint, stage and family; unwant(policy) when it goes
 *     policies.sync()                       compiles what changed, fills the sets, loads: now policy.state says where it is
 *     ... the links' rows are written ...
 *     policies.release()                    old programs leave their places: nothing leads to them any more
 *
 * Invariants: a program is in its place, and all rows that it asks for in theirs, before a state names its index. One that is
 *             refused is refused alone. What did not change is neither compiled nor loaded; equal programs are one.
 */
import type { ApplyFailure, DataplaneMessage } from '../../contract/dataplane.ts';
import type { IpSetId } from '../../lib/brand.ts';
import { AppError } from '../../lib/errors.ts';
import { addTo, removeFrom } from '../../lib/sets-by-key.ts';
import {
  type Binding,
  type CompiledPolicy,
  compilePolicy,
  type ListedBlock,
  type RuleName,
} from './compile.ts';
import type { PartLimits } from './compile-parts.ts';
import type { IpSetMaps, RowMap } from './ip-sets.ts';
import { setsOf } from './lookup.ts';
import { keyText, ownersOf, PolicyBook, type PolicyKey } from './policy-book.ts';
import { type ProgramMap, ProgramSlots } from './program-slots.ts';
import { ProgramStore, type StoredPolicy } from './program-store.ts';

export type PolicyState =
  /** Not synchronised since it was wanted. */
  | { readonly kind: 'pending' }
  /** Its index in `programs`. */
  | { readonly kind: 'loaded'; readonly index: number }
  /** Why; the endpoint must be closed. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface WantedPolicy {
  readonly key: PolicyKey;
  readonly state: PolicyState;
}

interface Wanted extends WantedPolicy {
  state: PolicyState;
  readonly owners: readonly string[];
  /** Who want it. */
  users: number;
  /** What is asked for; null: it could not be compiled. */
  stored: StoredPolicy | null;
  sets: readonly IpSetId[];
}

export interface PolicyMaps {
  readonly packet: { readonly fd: { readonly number: number } };
  readonly programs: ProgramMap & { readonly fd: { readonly number: number } };
  readonly sets: RowMap & { readonly fd: { readonly number: number } };
  readonly nets: RowMap & { readonly fd: { readonly number: number } };
}

export interface PolicyOptions {
  /** The type of all programs in `programs`. @defaultValue classifier */
  readonly hook?: Binding['hook'];
  readonly limits?: PartLimits;
}

export interface PolicyReport {
  /** Programs loaded or freed, rows of sets written or removed. */
  readonly changed: number;
  /** Sets that are not all there. Policies that ask them are refused, as are those that the verifier would not have. */
  readonly failed: readonly ApplyFailure[];
}

export class PolicyPrograms {
  readonly #book = new PolicyBook();
  readonly #ipSets: IpSetMaps;
  readonly #maps: PolicyMaps;
  readonly #limits: PartLimits | undefined;
  readonly #slots: ProgramSlots;
  readonly #store: ProgramStore;
  readonly #wanted = new Map<string, Wanted>();
  readonly #byOwner = new Map<string, Set<Wanted>>();
  readonly #bySet = new Map<IpSetId, Set<Wanted>>();
  /** To be compiled. */
  readonly #dirty = new Set<Wanted>();
  /** To be loaded, or asked again whether its sets are whole. */
  readonly #unsettled = new Set<Wanted>();
  #isStale = false;

  /** @param ipSets - shared by all users of `sets` and `nets`; whoever owns it tells it of IP sets. */
  constructor(maps: PolicyMaps, ipSets: IpSetMaps, { hook = 'classifier', limits }: PolicyOptions = {}) {
    this.#maps = maps;
    this.#ipSets = ipSets;
    this.#limits = limits;
    this.#slots = new ProgramSlots(maps.programs);
    const { packet, programs, sets, nets } = maps;
    const fds = {
      packet: packet.fd.number,
      programs: programs.fd.number,
      sets: sets.fd.number,
      nets: nets.fd.number,
    };
    this.#store = new ProgramStore(this.#slots, ipSets, { maps: fds, hook });
    ipSets.onReshaped((set) => this.#markAll(this.#bySet.get(set)));
  }

  /** Of policies, profiles and settings; all others are none of its business. */
  onMessage(message: DataplaneMessage): void {
    const owner = this.#book.onMessage(message);
    if (owner === 'all') this.#markAll(this.#wanted.values());
    else if (owner !== null) this.#markAll(this.#byOwner.get(owner));
  }

  /** Those who want the same get the same. */
  want(key: PolicyKey): WantedPolicy {
    const text = keyText(key);
    const wanted = this.#wanted.get(text) ?? this.#add(text, key);
    wanted.users++;
    return wanted;
  }

  unwant({ key }: WantedPolicy): void {
    const text = keyText(key);
    const wanted = this.#wanted.get(text);
    if (wanted && --wanted.users === 0) this.#remove(text, wanted);
  }

  /** Safe to repeat: what was refused is tried again, what is in force stays. */
  sync(): PolicyReport {
    if (this.#isStale) this.#verify();
    for (const wanted of this.#dirty) this.#compile(wanted);
    const rows = this.#ipSets.apply(this.#maps);
    const failed = this.#ipSets.failed();
    if (failed.size > 0) for (const wanted of this.#wanted.values()) this.#unsettled.add(wanted);
    return { changed: rows + this.#settle(failed), failed: this.#failures() };
  }

  /**
   * Nothing refers any more to programs that nobody wants, nor to those of an agent before us: they and their rows go.
   *
   * @returns how many.
   */
  release(): number {
    const programs = this.#store.release() + this.#slots.clearOthers();
    return programs + this.#ipSets.apply(this.#maps);
  }

  /** Trust nothing read so far: the next sync reads programs and rows back. */
  queueResync(): void {
    this.#isStale = true;
    this.#ipSets.queueResync();
  }

  /** Someone else wrote to places of ours. */
  differs(): boolean {
    return this.#store.differs();
  }

  /** Each block of instructions beside the rule that it came from; null: there is no program. */
  listing({ key }: WantedPolicy): readonly ListedBlock[] | null {
    const stored = this.#wanted.get(keyText(key))?.stored;
    return stored ? this.#store.listing(stored) : null;
  }

  /** What `packet.rules` and `packet.logs` name; null: no program that is or was wanted of late. */
  ruleName(id: bigint): RuleName | null {
    return this.#store.ruleName(id);
  }

  #add(text: string, key: PolicyKey): Wanted {
    const owners = ownersOf(key);
    const wanted: Wanted = { key, owners, state: { kind: 'pending' }, users: 0, stored: null, sets: [] };
    this.#wanted.set(text, wanted);
    for (const owner of owners) addTo(this.#byOwner, owner, wanted);
    this.#dirty.add(wanted);
    return wanted;
  }

  #remove(text: string, wanted: Wanted): void {
    this.#wanted.delete(text);
    for (const owner of wanted.owners) removeFrom(this.#byOwner, owner, wanted);
    this.#dirty.delete(wanted);
    this.#replace(wanted, null);
  }

  #markAll(wanted: Iterable<Wanted> = []): void {
    for (const each of wanted) this.#dirty.add(each);
  }

  #verify(): void {
    this.#isStale = false;
    this.#store.verify();
    for (const wanted of this.#wanted.values()) this.#unsettled.add(wanted);
  }

  /** What cannot be compiled is tried again at every sync: the cure may be a set that was late. */
  #compile(wanted: Wanted): void {
    try {
      this.#replace(wanted, this.#store.use(this.#compiled(wanted.key)));
      this.#unsettled.add(wanted);
      this.#dirty.delete(wanted);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#replace(wanted, null);
      wanted.state = { kind: 'refused', reason: error.message };
    }
  }

  #compiled(key: PolicyKey): CompiledPolicy {
    return compilePolicy({
      ...key,
      ...this.#book.chainsOf(key),
      hasNets: (lookup) => this.#ipSets.hasNets(lookup),
      isLarge: (set) => this.#ipSets.isLarge(set),
      ...(this.#limits && { limits: this.#limits }),
    });
  }

  #replace(wanted: Wanted, stored: StoredPolicy | null): void {
    for (const set of wanted.sets) removeFrom(this.#bySet, set, wanted);
    if (wanted.stored) this.#store.drop(wanted.stored);
    wanted.stored = stored;
    wanted.sets = stored ? [...stored.compiled.lookups.values()].flatMap(setsOf) : [];
    for (const set of wanted.sets) addTo(this.#bySet, set, wanted);
    this.#unsettled.delete(wanted);
  }

  /** @returns how many programs were loaded. */
  #settle(failed: ReadonlyMap<bigint, string>): number {
    const refusals = new Map<StoredPolicy, string | null>();
    let loaded = 0;
    for (const wanted of this.#unsettled) {
      const { stored } = wanted;
      if (!stored) continue;
      if (!refusals.has(stored)) {
        const tried = this.#load(stored);
        loaded += tried.loaded;
        refusals.set(stored, tried.refused ?? incomplete(stored, failed));
      }
      this.#tell(wanted, stored, refusals.get(stored) ?? null);
    }
    return loaded;
  }

  #load(stored: StoredPolicy): { readonly loaded: number; readonly refused: string | null } {
    try {
      return { loaded: this.#store.load(stored), refused: null };
    } catch (error) {
      if (error instanceof AppError) return { loaded: 0, refused: error.message };
      throw error;
    }
  }

  /** What is stored has at least one part, and so a place. */
  #tell(wanted: Wanted, { slots: [index] }: StoredPolicy, reason: string | null): void {
    if (reason !== null || index === undefined) {
      wanted.state = { kind: 'refused', reason: reason ?? 'cannot load policy: it has no parts' };
      return;
    }
    wanted.state = { kind: 'loaded', index };
    this.#unsettled.delete(wanted);
  }

  #failures(): ApplyFailure[] {
    return [...this.#ipSets.failed()].map(([id, message]) => ({
      table: 'eBPF sets',
      key: id.toString(16),
      message,
    }));
  }
}

/** Why a program must not be relied on: a set that it asks is not all there. */
function incomplete(stored: StoredPolicy | null, failed: ReadonlyMap<bigint, string>): string | null {
  const reasons = [...(stored?.compiled.lookups.keys() ?? [])].flatMap((id) => failed.get(id) ?? []);
  return reasons.length === 0 ? null : `cannot load policy: ${reasons.join('; ')}`;
}
