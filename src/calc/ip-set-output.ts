// SPDX-License-Identifier: Apache-2.0
import type { DataplaneMessage, IpSet } from '../contract/dataplane.ts';
import type { IpSetId } from '../lib/brand.ts';
import { inOrder } from './in-order.ts';
import type { Work } from './node.ts';

type Emit = (message: DataplaneMessage) => void;

interface OutputSet extends Omit<IpSet, 'members' | 'description'> {
  description(): string;
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

  *flushUpdates(emit: Emit): Work {
    for (const id of yield* inOrder(this.#dirty)) {
      const set = this.#desired.get(id);
      if (!set) continue;
      const members = yield* inOrder(set.members());
      this.#dirty.delete(id);
      emit({ kind: 'ipset-update', id, set: { type: set.type, members, description: set.description() } });
      this.#sent.add(id);
      yield;
    }
    for (const [id, delta] of this.#deltas) {
      const add = yield* inOrder(pick(delta, true));
      const remove = yield* inOrder(pick(delta, false));
      emit({ kind: 'ipset-delta', id, add, remove });
      yield;
    }
    this.#deltas.clear();
  }

  *flushRemovals(emit: Emit): Work {
    for (const id of yield* inOrder(this.#dirty)) {
      this.#dirty.delete(id);
      if (this.#sent.delete(id)) emit({ kind: 'ipset-remove', id });
      yield;
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

function* pick(delta: ReadonlyMap<string, boolean>, isAdded: boolean): Generator<string> {
  for (const [member, added] of delta) if (added === isAdded) yield member;
}
