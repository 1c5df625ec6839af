// SPDX-License-Identifier: Apache-2.0
import { familyOf } from '../lib/address.ts';
import type { Cidr } from '../lib/brand.ts';
import { isHost, parseCidr } from '../lib/cidr.ts';
import { PrefixTrie } from './prefix-trie.ts';

/** Members of one IP set as its readers see them. */
export interface MemberListener {
  onMemberAdded(member: string): void;
  onMemberRemoved(member: string): void;
}

/** Counts how many sources give a member; each add needs exactly one remove. */
export interface MemberSet {
  add(member: string): void;
  remove(member: string): void;
  /** What is visible now, in no order. */
  members(): Iterable<string>;
}

/** How often each member is given. Most are given once: those cost an entry of a Set, and one look at it. */
class Counts<T> {
  readonly #present = new Set<T>();
  /** Beyond the first; null while each is given once. */
  #more: Map<T, number> | null = null;

  /** @returns whether it is the first. */
  add(member: T): boolean {
    const { size } = this.#present;
    if (this.#present.add(member).size !== size) return true;
    this.#more ??= new Map();
    increment(this.#more, member);
    return false;
  }

  /**
   * @returns whether it was the last.
   * @throws {RangeError} when there was none.
   */
  remove(member: T): boolean {
    if (this.#more?.has(member)) {
      decrement(this.#more, member);
      return false;
    }
    if (!this.#present.delete(member)) throw neverAdded(member);
    return true;
  }

  members(): Iterable<T> {
    return this.#present;
  }
}

/** Members that never lie in one another: `ADDRESS,PROTOCOL:PORT`. */
export class PlainMembers implements MemberSet {
  readonly #counts = new Counts<string>();
  readonly #listener: MemberListener;

  constructor(listener: MemberListener) {
    this.#listener = listener;
  }

  add(member: string): void {
    if (this.#counts.add(member)) this.#listener.onMemberAdded(member);
  }

  remove(member: string): void {
    if (this.#counts.remove(member)) this.#listener.onMemberRemoved(member);
  }

  members(): Iterable<string> {
    return this.#counts.members();
  }
}

/**
 * CIDRs of which no visible one lies in another (nftables refuses overlapping intervals). A /0 is two /1, because the
 * kernel's hash:net knows no prefix of length 0 (ipset(8), hash:net).
 *
 * @remarks A set of addresses alone costs one map entry each; the tries exist only while there is a wider member.
 */
export class NetMembers implements MemberSet {
  readonly #counts = new Counts<Cidr>();
  readonly #listener: MemberListener;
  #widerCount = 0;
  #tries: { readonly 4: PrefixTrie; readonly 6: PrefixTrie } | null = null;

  constructor(listener: MemberListener) {
    this.#listener = listener;
  }

  add(member: Cidr): void {
    if (isAll(member)) for (const half of halves.get(member) ?? []) this.add(half);
    else if (this.#counts.add(member)) this.#show(member);
  }

  remove(member: Cidr): void {
    if (isAll(member)) for (const half of halves.get(member) ?? []) this.remove(half);
    else if (this.#counts.remove(member)) this.#hide(member);
  }

  members(): Iterable<string> {
    return this.#tries ? [...this.#tries[4].tops(), ...this.#tries[6].tops()] : this.#counts.members();
  }

  #show(cidr: Cidr): void {
    if (!isHost(cidr) && this.#widerCount++ === 0) this.#tries = this.#planted(cidr);
    const covered = this.#tries ? this.#tries[familyOf(cidr)].insert(cidr) : [];
    if (!covered) return;
    for (const inner of covered) this.#listener.onMemberRemoved(inner);
    this.#listener.onMemberAdded(cidr);
  }

  #hide(cidr: Cidr): void {
    const uncovered = this.#tries ? this.#tries[familyOf(cidr)].remove(cidr) : [];
    if (!isHost(cidr) && --this.#widerCount === 0) this.#tries = null;
    if (!uncovered) return;
    this.#listener.onMemberRemoved(cidr);
    for (const inner of uncovered) this.#listener.onMemberAdded(inner);
  }

  /** Tries of all that is counted but `except`, which its caller is about to insert. */
  #planted(except: Cidr): { 4: PrefixTrie; 6: PrefixTrie } {
    const tries = { 4: new PrefixTrie(), 6: new PrefixTrie() };
    for (const cidr of this.#counts.members()) if (cidr !== except) tries[familyOf(cidr)].insert(cidr);
    return tries;
  }
}

const halves: ReadonlyMap<string, readonly Cidr[]> = new Map([
  ['0.0.0.0/0', [parseCidr('0.0.0.0/1'), parseCidr('128.0.0.0/1')]],
  ['::/0', [parseCidr('::/1'), parseCidr('8000::/1')]],
]);

function isAll(cidr: Cidr): boolean {
  return cidr.endsWith('/0');
}

/** @returns the count after. */
export function increment<K>(counts: Map<K, number>, key: K): number {
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return count;
}

/**
 * @returns the count after; the key is gone at 0.
 * @throws {RangeError} when it was 0: something was removed that was never added.
 */
export function decrement<K>(counts: Map<K, number>, key: K): number {
  const count = (counts.get(key) ?? 0) - 1;
  if (count < 0) throw neverAdded(key);
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
  return count;
}

function neverAdded(key: unknown): RangeError {
  return new RangeError(`cannot remove ${String(key)}: it was never added`);
}
