// SPDX-License-Identifier: Apache-2.0
import type { DataplaneMessage, IpSet } from '../contract/dataplane.ts';
import type { IpSetId } from '../lib/brand.ts';

type Emit = (message: DataplaneMessage) => void;

interface OutputSet extends Omit<IpSet, 'members'> {
  members(): Iterable<string>;
}

/** Whole sets the first time, differences after that. */
export class IpSetOutput {
  readonly #desired = new Map<IpSetId, OutputSet>();
  readonly #sent = new Set<IpSetId>();
  /** Sets to be sent or taken away. */
  readonly #dirty = new Set<IpSetId>();
  /** Of sets that were sent: member to whether it is to be added (true) or removed. */
  readonly #deltas = new Map<IpSetId, Map<string, boolean>>();

  add(id: IpSetId, set: OutputSet): void {
    this.#desired.set(id, set);
    this.#dirty.add(id);
  }

  delete(id: IpSetId): void {
    this.#desired.delete(id);
    this.#deltas.delete(id);
    this.#dirty.add(id);
  }

  addMember(id: IpSetId, member: string): void {
    this.#note(id, member, true);
  }

  removeMember(id: IpSetId, member: string): void {
    this.#note(id, member, false);
  }

  flushUpdates(emit: Emit): void {
    for (const id of [...this.#dirty].sort()) {
      const set = this.#desired.get(id);
      if (!set) continue;
      this.#dirty.delete(id);
      const { type, description } = set;
      emit({ kind: 'ipset-update', id, set: { type, members: [...set.members()].sort(), description } });
      this.#sent.add(id);
    }
    for (const [id, delta] of this.#deltas) emit({ kind: 'ipset-delta', id, ...listsOf(delta) });
    this.#deltas.clear();
  }

  flushRemovals(emit: Emit): void {
    for (const id of [...this.#dirty].sort()) {
      this.#dirty.delete(id);
      if (this.#sent.delete(id)) emit({ kind: 'ipset-remove', id });
    }
  }

  /** A member that came and went, or went and came, within one flush leaves nothing. */
  #note(id: IpSetId, member: string, isAdded: boolean): void {
    if (!this.#sent.has(id)) return; // goes out whole
    const delta = this.#deltas.get(id) ?? new Map<string, boolean>();
    if (delta.get(member) === !isAdded) delta.delete(member);
    else delta.set(member, isAdded);
    if (delta.size > 0) this.#deltas.set(id, delta);
    else this.#deltas.delete(id);
  }
}

function listsOf(delta: ReadonlyMap<string, boolean>): { add: string[]; remove: string[] } {
  const pick = (isAdded: boolean) =>
    [...delta].filter(([, added]) => added === isAdded).map(([member]) => member);
  return { add: pick(true).sort(), remove: pick(false).sort() };
}
