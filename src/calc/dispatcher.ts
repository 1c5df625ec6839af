// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import type { ModelKind, ModelTypes, Update } from '../model/types.ts';
import { type CalcNode, type Change, stepsPerYield, type Work } from './node.ts';
import { sameValue } from './same-value.ts';

/**
 * The order in which kinds are told within one flush. Any order gives the same result; this one is cheapest: labels before
 * what carries them, endpoints before the selectors that look for them.
 */
const kindOrder: readonly ModelKind[] = [
  'Profile',
  'NetworkSet',
  'ServiceEndpoints',
  'WorkloadEndpoint',
  'HostEndpoint',
  'Tier',
  'Policy',
  'Node',
  'IPPool',
  'FelixConfiguration',
];

type Pending = Map<ModelKind, Map<KeyPath, Update>>;

function nothingPending(): Pending {
  return new Map(kindOrder.map((kind) => [kind, new Map()]));
}

/** Holds the present state and tells the nodes what differs from what they were told before. */
export class Dispatcher {
  readonly #node: string;
  readonly #subscribers = new Map<ModelKind, CalcNode[]>();
  readonly #present = new Map<ModelKind, Map<KeyPath, ModelTypes[ModelKind]>>(
    kindOrder.map((kind) => [kind, new Map()]),
  );
  #pending = nothingPending();

  constructor(node: string, nodes: readonly CalcNode[]) {
    this.#node = node;
    for (const kind of kindOrder) {
      this.#subscribers.set(
        kind,
        nodes.filter((subscriber) => subscriber.consumes.includes(kind)),
      );
    }
  }

  /** Only the last word on a path counts; what came between is forgotten. */
  onUpdates(updates: readonly Update[]): void {
    for (const update of updates) this.#pending.get(update.kind)?.set(update.path, update);
  }

  get hasPending(): boolean {
    for (const pending of this.#pending.values()) if (pending.size > 0) return true;
    return false;
  }

  /**
   * What comes while it pauses waits for the next flush, whatever its kind: a label and the selector that follows it, told
   * at once, must not part.
   */
  *flush(): Work {
    const pending = this.#pending;
    this.#pending = nothingPending();
    let steps = 0;
    for (const kind of kindOrder) {
      for (const update of pending.get(kind)?.values() ?? []) {
        this.#settle(update);
        if (++steps % stepsPerYield === 0) yield;
      }
    }
  }

  #settle(update: Update): void {
    const present = this.#present.get(update.kind);
    const previous = present?.get(update.path) ?? null;
    if (!present || sameValue(previous, update.value)) return;
    if (update.value === null) present.delete(update.path);
    else present.set(update.path, update.value);
    // Both values stand under one kind, which the compiler cannot see through the map.
    const change = { ...update, previous } as Change;
    for (const subscriber of this.#subscribers.get(update.kind) ?? []) this.#tell(subscriber, change);
  }

  #tell(subscriber: CalcNode, change: Change): void {
    const local = subscriber.localEndpointsOnly ? this.#locally(change) : change;
    if (local) subscriber.onChange(local);
  }

  /** Of endpoints what this node has; null when it never had it. */
  #locally(change: Change): Change | null {
    if (change.kind === 'WorkloadEndpoint') {
      const sides = this.#sides(change);
      return sides && { ...change, ...sides };
    }
    if (change.kind !== 'HostEndpoint') return change;
    const sides = this.#sides(change);
    return sides && { ...change, ...sides };
  }

  #sides<V extends { readonly node: string }>(change: {
    readonly value: V | null;
    readonly previous: V | null;
  }): { value: V | null; previous: V | null } | null {
    const value = change.value?.node === this.#node ? change.value : null;
    const previous = change.previous?.node === this.#node ? change.previous : null;
    return value === null && previous === null ? null : { value, previous };
  }
}
