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

/** Members that never lie in one another: `ADDRESS,PROTOCOL:PORT`. */
export class PlainMembers implements MemberSet {
  readonly #counts = new Map<string, number>();
  readonly #listener: MemberListener;

  constructor(listener: MemberListener) {
    this.#listener = listener;
  }

  add(member: string): void {
    if (increment(this.#counts, member) === 1) this.#listener.onMemberAdded(member);
  }

  remove(member: string): void {
    if (decrement(this.#counts, member) === 0) this.#listener.onMemberRemoved(member);
  }

  members(): Iterable<string> {
    return this.#counts.keys();
  }
}

/**
 * CIDRs of which no visible one lies in another (nftables refuses overlapping intervals). A /0 is two /1, because the
 * kernel's hash:net knows no prefix of length 0 (ipset(8), hash:net).
 *
 * @remarks A set of addresses alone costs one map entry each; the tries exist only while there is a wider member.
 */
export class NetMembers implements MemberSet {
  readonly #counts = new Map<Cidr, number>();
  readonly #listener: MemberListener;
  #widerCount = 0;
  #tries: { readonly 4: PrefixTrie; readonly 6: PrefixTrie } | null = null;

  constructor(listener: MemberListener) {
    this.#listener = listener;
  }

  add(member: Cidr): void {
    for (const cidr of halved(member)) if (increment(this.#counts, cidr) === 1) this.#show(cidr);
  }

  remove(member: Cidr): void {
    for (const cidr of halved(member)) if (decrement(this.#counts, cidr) === 0) this.#hide(cidr);
  }

  members(): Iterable<string> {
    return this.#tries ? [...this.#tries[4].tops(), ...this.#tries[6].tops()] : this.#counts.keys();
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
    for (const cidr of this.#counts.keys()) if (cidr !== except) tries[familyOf(cidr)].insert(cidr);
    return tries;
  }
}

const halves: ReadonlyMap<string, readonly Cidr[]> = new Map([
  ['0.0.0.0/0', [parseCidr('0.0.0.0/1'), parseCidr('128.0.0.0/1')]],
  ['::/0', [parseCidr('::/1'), parseCidr('8000::/1')]],
]);

function halved(cidr: Cidr): readonly Cidr[] {
  return halves.get(cidr) ?? [cidr];
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
  if (count < 0) throw new RangeError(`cannot remove ${String(key)}: it was never added`);
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
  return count;
}
