// SPDX-License-Identifier: Apache-2.0
/**
 * Sets that hold the members of several IP sets, so that rules which differ in their set alone cost one lookup. A member
 * stays until the last of its sets has lost it, hence it is counted.
 */

import type { SetSpec } from '../../kernel/nft/model.ts';
import type { IpSetId } from '../../lib/brand.ts';
import type { FamilyTable } from './tables.ts';

interface Union {
  readonly sets: readonly IpSetId[];
  /** In how many of the sets a member is. */
  readonly counts: Map<string, number>;
  /** Units whose rules look into it. */
  users: number;
}

const spec: SetSpec = { key: ['address'], interval: false };

export class SetUnions {
  readonly #table: FamilyTable;
  readonly #unions = new Map<string, Union>();
  readonly #bySet = new Map<IpSetId, Set<string>>();

  constructor(table: FamilyTable) {
    this.#table = table;
  }

  /** @param membersOf - addresses in text, of hosts only. */
  use(name: string, sets: readonly IpSetId[], membersOf: (id: IpSetId) => Iterable<string>): void {
    const known = this.#unions.get(name);
    if (known) {
      known.users++;
      return;
    }
    const union: Union = { sets, counts: new Map(), users: 1 };
    this.#unions.set(name, union);
    for (const id of sets) this.#index(id).add(name);
    for (const id of sets)
      for (const key of membersOf(id)) union.counts.set(key, (union.counts.get(key) ?? 0) + 1);
    this.#want(name, union);
  }

  release(name: string): void {
    const union = this.#unions.get(name);
    if (!union || --union.users > 0) return;
    this.#unions.delete(name);
    for (const id of union.sets) this.#unindex(id, name);
    this.#table.forgetSet(name);
  }

  /** One of the IP sets won or lost a member. */
  memberChanged(id: IpSetId, key: string, by: 1 | -1): void {
    for (const name of this.#bySet.get(id) ?? []) {
      const counts = this.#unions.get(name)?.counts;
      const count = (counts?.get(key) ?? 0) + by;
      if (count > 0) counts?.set(key, count);
      else counts?.delete(key);
      if (count > 0) this.#table.members(name).setDesired(key, { key });
      else this.#table.members(name).deleteDesired(key);
    }
  }

  /** After one was quarantined. */
  wantAll(): void {
    for (const [name, union] of this.#unions) this.#want(name, union);
  }

  #want(name: string, union: Union): void {
    this.#table.wantSet(name, { spec, elements: [...union.counts.keys()].map((key) => ({ key })) });
  }

  #index(id: IpSetId): Set<string> {
    const found = this.#bySet.get(id) ?? new Set();
    this.#bySet.set(id, found);
    return found;
  }

  #unindex(id: IpSetId, name: string): void {
    const names = this.#bySet.get(id);
    names?.delete(name);
    if (names?.size === 0) this.#bySet.delete(id);
  }
}
