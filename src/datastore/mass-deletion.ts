// SPDX-License-Identifier: Apache-2.0
/**
 * Holds back deletions that a list brings in a mass: a wiped or wrongly restored store must not empty the nodes.
 *
 * Owns:       which kinds lost too many objects at once, and since when. Takes in: what a list lacks.
 * Gives out:  what may be told absent now. Invariants: what is held is told neither absent nor changed, until somebody
 *             confirms, or the objects are listed again. Deletions that a watch tells one by one are never held: each is
 *             somebody's act.
 */
import type { ResourceKey, ResourceKind } from '../model/types.ts';

/** E-MASSDELETE. */
export interface HeldDeletion {
  readonly kind: ResourceKind;
  readonly missing: number;
  /** How many were known before. */
  readonly of: number;
}

export interface MassDeletionOptions {
  /** @defaultValue 0.3 */
  readonly share?: number;
  /** Fewer than these are never held: of three tiers one is a third. @defaultValue 10 */
  readonly atLeast?: number;
}

export class MassDeletion {
  readonly #share: number;
  readonly #atLeast: number;
  #held: readonly HeldDeletion[] = [];
  #confirmed = new Set<ResourceKind>();

  constructor({ share = 0.3, atLeast = 10 }: MassDeletionOptions = {}) {
    this.#share = share;
    this.#atLeast = atLeast;
  }

  get held(): readonly HeldDeletion[] {
    return this.#held;
  }

  /** What is held now may go, with the next list that lacks it too. */
  confirm(): void {
    this.#confirmed = new Set(this.#held.map(({ kind }) => kind));
  }

  /**
   * @param missing - all that the newest list lacks. Replaces what was held before.
   * @param countOf - how many of a kind are known, the missing ones included.
   */
  allowed(missing: readonly ResourceKey[], countOf: (kind: ResourceKind) => number): readonly ResourceKey[] {
    const byKind = Map.groupBy(missing, ({ kind }) => kind);
    const suspect = [...byKind].map(([kind, keys]) => ({ kind, missing: keys.length, of: countOf(kind) }));
    this.#held = suspect.filter((each) => this.#isMass(each) && !this.#confirmed.has(each.kind));
    this.#confirmed.clear();
    const kinds = new Set(this.#held.map(({ kind }) => kind));
    return missing.filter(({ kind }) => !kinds.has(kind));
  }

  #isMass({ missing, of }: HeldDeletion): boolean {
    return missing >= this.#atLeast && missing > of * this.#share;
  }
}
