// SPDX-License-Identifier: Apache-2.0
import type { Route } from '../contract/dataplane.ts';
import { familyOf } from '../lib/address.ts';
import type { Address, KeyPath } from '../lib/brand.ts';
import { hostCidr } from '../lib/cidr.ts';
import type { NodeValue } from '../model/types.ts';
import { decrement, increment } from './member-set.ts';
import { type CalcNode, type Change, nameOf } from './node.ts';
import type { Sequencer } from './sequencer.ts';

/** Routes to the workloads of other nodes. A local workload's route follows from its endpoint, so it has none here. */
export class Routes implements CalcNode {
  readonly name = 'routes';
  readonly consumes = ['WorkloadEndpoint', 'Node'] as const;
  readonly feeds = ['sequencer'] as const;
  readonly localEndpointsOnly = false;
  readonly #node: string;
  readonly #sequencer: Sequencer;
  /** By name and path: a Kubernetes Node and a v3 Node may tell of one node; the first by path counts. */
  readonly #nodes = new Map<string, Map<KeyPath, NodeValue>>();
  /** Who claims an address: endpoint to its node. More than one only for a while, as when a workload moves. */
  readonly #claims = new Map<Address, Map<KeyPath, string>>();
  /** Node to the addresses of its workloads, with the number of endpoints that have each. */
  readonly #addressesByNode = new Map<string, Map<Address, number>>();
  readonly #dirty = new Set<Address>();

  constructor(node: string, sequencer: Sequencer) {
    this.#node = node;
    this.#sequencer = sequencer;
  }

  onChange(change: Change): void {
    if (change.kind === 'Node') this.#setNode(change.path, nameOf(change), change.value);
    else if (change.kind === 'WorkloadEndpoint') {
      const { path, previous, value } = change;
      for (const address of new Set(previous?.addresses)) this.#release(address, path, previous?.node ?? '');
      for (const address of new Set(value?.addresses)) this.#claim(address, path, value?.node ?? '');
    }
  }

  flush(): void {
    for (const address of this.#dirty) {
      const route = this.#routeTo(address);
      if (route) this.#sequencer.routes.set(hostCidr(address), route);
      else this.#sequencer.routes.delete(hostCidr(address));
    }
    this.#dirty.clear();
  }

  #setNode(path: KeyPath, name: string, node: NodeValue | null): void {
    const known = this.#nodes.get(name) ?? new Map<KeyPath, NodeValue>();
    if (node) this.#nodes.set(name, known.set(path, node));
    else if (known.delete(path) && known.size === 0) this.#nodes.delete(name);
    for (const address of this.#addressesByNode.get(name)?.keys() ?? []) this.#dirty.add(address);
  }

  #claim(address: Address, endpoint: KeyPath, node: string): void {
    const claims = this.#claims.get(address) ?? new Map<KeyPath, string>();
    this.#claims.set(address, claims.set(endpoint, node));
    const counts = this.#addressesByNode.get(node) ?? new Map<Address, number>();
    this.#addressesByNode.set(node, counts);
    increment(counts, address);
    this.#dirty.add(address);
  }

  #release(address: Address, endpoint: KeyPath, node: string): void {
    const claims = this.#claims.get(address);
    claims?.delete(endpoint);
    if (claims?.size === 0) this.#claims.delete(address);
    const counts = this.#addressesByNode.get(node) ?? new Map<Address, number>();
    decrement(counts, address);
    if (counts.size === 0) this.#addressesByNode.delete(node);
    this.#dirty.add(address);
  }

  #addressesOf(node: string): readonly Address[] {
    const told = [...(this.#nodes.get(node) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return told.flatMap(([, { addresses }]) => addresses);
  }

  /** Of several claims a local one wins, then the first by path whose node can be reached. */
  #routeTo(address: Address): Route | null {
    const claims = [...(this.#claims.get(address) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    if (claims.some(([, node]) => node === this.#node)) return null;
    for (const [, node] of claims) {
      const via = this.#addressesOf(node).find((other) => familyOf(other) === familyOf(address));
      if (via) return { type: 'remote-workload', node, via };
    }
    return null;
  }
}
