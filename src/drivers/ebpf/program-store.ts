// SPDX-License-Identifier: Apache-2.0
/**
 * Compiled policies in the kernel. Those of equal instructions are one, whoever wants them; one that nobody wants any more
 * stays until it is said that no link refers to it.
 */
import { hash } from 'node:crypto';
import { loadGenerated, VerifierError } from '../../kernel/bpf/load.ts';
import { KernelError } from '../../lib/errors.ts';
import type { Binding, CompiledPolicy, ListedBlock, RuleName } from './compile.ts';
import type { IpSetMaps } from './ip-sets.ts';
import type { ProgramSlots } from './program-slots.ts';

/** A policy with its places in `programs`. */
export interface StoredPolicy {
  readonly signature: string;
  readonly compiled: CompiledPolicy;
  readonly slots: readonly number[];
  isLoaded: boolean;
  users: number;
  /** Of a policy of one part, whose instructions do not say where it stands: until they are loaded. */
  ready: readonly Uint8Array[] | null;
}

export class ProgramStore {
  readonly #slots: ProgramSlots;
  readonly #ipSets: IpSetMaps;
  readonly #binding: Omit<Binding, 'slots'>;
  readonly #stored = new Map<string, StoredPolicy>();
  /** Also of programs that went: records of what they did are still under way. */
  #rules = new Map<bigint, RuleName>();
  #looked: Iterator<StoredPolicy> | null = null;

  constructor(slots: ProgramSlots, ipSets: IpSetMaps, binding: Omit<Binding, 'slots'>) {
    this.#slots = slots;
    this.#ipSets = ipSets;
    this.#binding = binding;
  }

  /** Takes places and asks for the rows that it will look up; `load` is to follow when these are there. */
  use(compiled: CompiledPolicy): StoredPolicy {
    const parts = compiled.assemble({ ...this.#binding, slots: compiled.parts.map((_, part) => part) });
    const signature = hash('sha256', Buffer.concat(parts), 'hex'); // its places are its own
    const stored = this.#stored.get(signature) ?? this.#reserve(signature, compiled);
    if (parts.length === 1 && !stored.isLoaded) stored.ready = parts;
    stored.users++;
    for (const [id, rule] of compiled.rules) this.#rules.set(id, rule); // what Log writes is in no instruction
    return stored;
  }

  drop(stored: StoredPolicy): void {
    stored.users--;
  }

  /** @returns how many programs were loaded. @throws {KernelError} with the rule that the verifier gave up at. */
  load(stored: StoredPolicy): number {
    if (stored.isLoaded) return 0;
    const parts = stored.ready ?? stored.compiled.assemble(this.#bindingOf(stored));
    for (const [part, instructions] of parts.entries()) this.#loadPart(stored, part, instructions);
    stored.isLoaded = true;
    stored.ready = null;
    return stored.slots.length;
  }

  /** Frees the places of what nobody uses. @returns how many programs went. */
  release(): number {
    const gone = [...this.#stored.values()].filter(({ users }) => users === 0);
    for (const stored of gone) this.#remove(stored);
    if (gone.length > 0) this.#forgetRules();
    return gone.reduce((sum, { slots }) => sum + slots.length, 0);
  }

  /** What a stranger took out or changed is loaded anew, in its own places. */
  verify(): void {
    for (const stored of this.#stored.values()) {
      if (stored.isLoaded && !this.#slots.areIntact(stored.slots)) stored.isLoaded = false;
    }
  }

  /** A place of a policy holds something else than was put there, as far as a look at the next ones tells. */
  differs(): boolean {
    for (let i = 0; i < policiesAtOnce; i++) {
      this.#looked ??= this.#stored.values();
      const { value, done } = this.#looked.next();
      if (done) this.#looked = null;
      if (done) return false;
      if (value.isLoaded && !this.#slots.areIntact(value.slots)) return true;
    }
    return false;
  }

  listing(stored: StoredPolicy): readonly ListedBlock[] {
    return stored.compiled.listing(this.#bindingOf(stored));
  }

  ruleName(id: bigint): RuleName | null {
    return this.#rules.get(id) ?? null;
  }

  #bindingOf({ slots }: StoredPolicy): Binding {
    return { ...this.#binding, slots };
  }

  #reserve(signature: string, compiled: CompiledPolicy): StoredPolicy {
    const slots = this.#slots.take(compiled.parts.length);
    const stored: StoredPolicy = { signature, compiled, slots, isLoaded: false, users: 0, ready: null };
    this.#stored.set(signature, stored);
    for (const lookup of compiled.lookups.values()) this.#ipSets.use(lookup);
    return stored;
  }

  /** Not before most names are of rules that are gone. */
  #forgetRules(): void {
    const live = [...this.#stored.values()].map(({ compiled }) => compiled.rules);
    const count = live.reduce((sum, rules) => sum + rules.size, 0);
    if (this.#rules.size > 2 * count + 10_000) this.#rules = new Map(live.flatMap((rules) => [...rules]));
  }

  #remove(stored: StoredPolicy): void {
    this.#stored.delete(stored.signature);
    this.#slots.give(stored.slots);
    for (const lookup of stored.compiled.lookups.values()) this.#ipSets.drop(lookup);
  }

  #loadPart(stored: StoredPolicy, part: number, instructions: Uint8Array): void {
    const slot = stored.slots[part];
    if (slot === undefined) throw new RangeError(`part ${part} has no place`);
    const kind = this.#binding.hook ?? 'classifier';
    try {
      const name = `mp_${stored.signature.slice(0, 12)}`;
      using program = loadGenerated({ name, instructions, type: { kind } });
      this.#slots.fill(slot, program);
    } catch (error) {
      throw error instanceof VerifierError ? this.#refusal(error, stored, part) : error;
    }
  }

  /** With the rule that the instruction belongs to. */
  #refusal(error: VerifierError, stored: StoredPolicy, part: number): KernelError {
    const lines = stored.compiled.lines(part, this.#bindingOf(stored));
    const line = lines.findLast(({ index }) => error.instruction !== null && index <= error.instruction);
    const rule = line
      ? `rule "${line.note}", instruction ${line.index}: ${line.text}`
      : 'no rule in particular';
    const log = error.log.trimEnd().split('\n').slice(-logLines).join('\n');
    const detail = `the verifier refused part ${part + 1} of ${stored.slots.length} at ${rule}\n${log}`;
    return new KernelError(`load policy`, error.errno, detail, { cause: error });
  }
}

/** A place is read in some microseconds. */
const policiesAtOnce = 256;
/** What the verifier says last is why. */
const logLines = 5;
