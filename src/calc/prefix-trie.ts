// SPDX-License-Identifier: Apache-2.0
import { addressBytes } from '../lib/address.ts';
import type { Cidr } from '../lib/brand.ts';
import { addressOf, prefixLength } from '../lib/cidr.ts';

interface Branch {
  /** Big-endian words; only the first `length` bits count. */
  readonly words: readonly number[];
  readonly length: number;
  /** The member that stands here; null for a mere fork. */
  member: Cidr | null;
  readonly children: [Branch | null, Branch | null];
}

/**
 * CIDRs of one family in a path-compressed binary trie (Morrison 1968), to tell which of them lie in another.
 *
 * @remarks Insert and remove visit at most one branch for each bit, and the members that they cover or uncover.
 */
export class PrefixTrie {
  readonly #root: Branch = newBranch([], 0, null);

  /** @returns the members that it now hides, or null if it is hidden itself by a wider one. */
  insert(cidr: Cidr): Cidr[] | null {
    const { words, length } = bitsOfCidr(cidr);
    let branch = this.#root;
    let hidden = false;
    while (branch.length < length) {
      hidden ||= branch.member !== null;
      const side = bitAt(words, branch.length);
      const child = branch.children[side];
      if (child && commonLength(words, length, child) === child.length) branch = child;
      else {
        const fresh = newBranch(words, length, cidr);
        branch.children[side] = child ? joined(fresh, child) : fresh;
        return hidden ? null : topsBelow(fresh);
      }
    }
    branch.member = cidr;
    return hidden ? null : topsBelow(branch);
  }

  /** @returns the members that it no longer hides, or null if it was hidden itself. */
  remove(cidr: Cidr): Cidr[] | null {
    const { words, length } = bitsOfCidr(cidr);
    const path: Branch[] = [this.#root];
    let hidden = false;
    for (let branch = this.#root; branch.length < length; ) {
      hidden ||= branch.member !== null;
      const child = branch.children[bitAt(words, branch.length)];
      if (!child || commonLength(words, length, child) !== child.length) return null;
      path.push(child);
      branch = child;
    }
    const found = path.at(-1) ?? this.#root;
    found.member = null;
    const uncovered = hidden ? null : topsBelow(found);
    while (path.length > 1) collapse(path.pop(), path.at(-1));
    return uncovered;
  }

  /** The members that lie in no other. */
  tops(): Cidr[] {
    return this.#root.member ? [this.#root.member] : topsBelow(this.#root);
  }
}

function newBranch(words: readonly number[], length: number, member: Cidr | null): Branch {
  return { words, length, member, children: [null, null] };
}

/** `fresh` above `child`, or a fork above both; `child` does not lie above `fresh`. */
function joined(fresh: Branch, child: Branch): Branch {
  const common = commonLength(fresh.words, fresh.length, child);
  if (common === fresh.length) {
    fresh.children[bitAt(child.words, common)] = child;
    return fresh;
  }
  const fork = newBranch(fresh.words, common, null);
  fork.children[bitAt(child.words, common)] = child;
  fork.children[bitAt(fresh.words, common)] = fresh;
  return fork;
}

/** Takes `branch` out from under `parent` if it stands for no member and does not fork. */
function collapse(branch: Branch | undefined, parent: Branch | undefined): void {
  if (!branch || !parent || branch.member !== null) return;
  const [left, right] = branch.children;
  if (left && right) return;
  parent.children[bitAt(branch.words, parent.length)] = left ?? right;
}

function topsBelow(branch: Branch): Cidr[] {
  const tops: Cidr[] = [];
  const open: (Branch | null)[] = [...branch.children];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === null) continue;
    if (next.member) tops.push(next.member);
    else open.push(...next.children);
  }
  return tops;
}

function bitsOfCidr(cidr: Cidr): { words: number[]; length: number } {
  const bytes = addressBytes(addressOf(cidr));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words: number[] = [];
  for (let offset = 0; offset < bytes.length; offset += 4) words.push(view.getUint32(offset));
  return { words, length: prefixLength(cidr) };
}

function bitAt(words: readonly number[], index: number): 0 | 1 {
  return (((words[index >> 5] ?? 0) >>> (31 - (index & 31))) & 1) === 1 ? 1 : 0;
}

function commonLength(words: readonly number[], length: number, other: Branch): number {
  const limit = Math.min(length, other.length);
  for (let i = 0; i * 32 < limit; i++) {
    const difference = (words[i] ?? 0) ^ (other.words[i] ?? 0);
    if (difference !== 0) return Math.min(limit, i * 32 + Math.clz32(difference));
  }
  return limit;
}
