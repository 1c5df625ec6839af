// SPDX-License-Identifier: Apache-2.0
/**
 * Holds back deletions that a list brings in a mass: a wiped or wrongly restored store must not empty the nodes.
 *
 * Owns:       which objects are held. Takes in: what a list lacks.
 * Gives out:  what may be told absent now. Invariants: what is held is told neither absent nor changed, until somebody
 *             confirms these very objects, or they are listed again: it does not go because others came, or fewer are
 *             missing. Deletions that a watch tells one by one are never held: each is somebody's act.
 */
import type { KeyPath } from '../lib/brand.ts';
import { keyPath } from '../model/kinds.ts';
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
  /**
   * Fewer than these, of all kinds that lost so much together, are never held: of three tiers one is a third; but three of
   * three, with all hundred Pods, are a store that was wiped.
   *
   * @defaultValue 10
   */
  readonly atLeast?: number;
}

export class MassDeletion {
  readonly #share: number;
  readonly #atLeast: number;
  #held: readonly HeldDeletion[] = [];
  #heldPaths: ReadonlySet<KeyPath> = new Set();
  #confirmed: ReadonlySet<KeyPath> = new Set();

  constructor({ share = 0.3, atLeast = 10 }: MassDeletionOptions = {}) {
    this.#share = share;
    this.#atLeast = atLeast;
  }

  get held(): readonly HeldDeletion[] {
    return this.#held;
  }

  /** What is held now may go, with the next list that lacks it too. */
  confirm(): void {
    this.#confirmed = this.#heldPaths;
  }

  /**
   * @param missing - all that the newest list lacks. Replaces what was held before.
   * @param countOf - how many of a kind are known, the missing ones included.
   */
  allowed(missing: readonly ResourceKey[], countOf: (kind: ResourceKind) => number): readonly ResourceKey[] {
    const open = missing.filter((key) => !this.#confirmed.has(keyPath(key)));
    const masses = this.#massesOf(open, countOf);
    const isHeld = (key: ResourceKey) => masses.has(key.kind) || this.#heldPaths.has(keyPath(key));
    const held = open.filter(isHeld);
    this.#heldPaths = new Set(held.map(keyPath));
    this.#confirmed = new Set();
    this.#held = [...Map.groupBy(held, ({ kind }) => kind)].map(([kind, keys]) => ({
      kind,
      missing: keys.length,
      of: countOf(kind),
    }));
    return missing.filter((key) => !this.#heldPaths.has(keyPath(key)));
  }

  /** Kinds that lost more than the share, where that is much by itself or together. */
  #massesOf(
    missing: readonly ResourceKey[],
    countOf: (kind: ResourceKind) => number,
  ): ReadonlySet<ResourceKind> {
    const byKind = Map.groupBy(missing, ({ kind }) => kind);
    const suspect = [...byKind].filter(([kind, keys]) => keys.length > countOf(kind) * this.#share);
    const together = suspect.reduce((sum, [, keys]) => sum + keys.length, 0);
    return new Set(together < this.#atLeast ? [] : suspect.map(([kind]) => kind));
  }
}
