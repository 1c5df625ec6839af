// SPDX-License-Identifier: Apache-2.0
import type { Route } from '../contract/dataplane.ts';
import { familyOf } from '../lib/address.ts';
import type { Address, KeyPath } from '../lib/brand.ts';
import { hostCidr } from '../lib/cidr.ts';
import type { NodeValue } from '../model/types.ts';
import { type CalcNode, type Change, nameOf, stepsPerYield, type Work } from './node.ts';
import { sameValue } from './same-value.ts';
import type { Sequencer } from './sequencer.ts';

/** A workload that has an address. */
interface Claim {
  readonly endpoint: KeyPath;
  readonly node: string;
}

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
  /** Who claims an address, the first by path first. More than one only for a while, as when a workload moves. */
  readonly #claims = new Map<Address, readonly Claim[]>();
  readonly #dirty = new Set<Address>();
  /** Their addresses changed: all claims are looked through for them, once, as that is rare. */
  readonly #dirtyNodes = new Set<string>();

  constructor(node: string, sequencer: Sequencer) {
    this.#node = node;
    this.#sequencer = sequencer;
  }

  onChange(change: Change): void {
    if (change.kind === 'Node') {
      if (!sameValue(change.previous?.addresses, change.value?.addresses))
        this.#dirtyNodes.add(nameOf(change));
      this.#setNode(change.path, nameOf(change), change.value);
    } else if (change.kind === 'WorkloadEndpoint') {
      const { path, previous, value } = change;
      for (const address of new Set(previous?.addresses)) this.#release(address, path);
      for (const address of new Set(value?.addresses)) this.#claim(address, path, value?.node ?? '');
    }
  }

  *flush(): Work {
    yield* this.#findAddressesOfNodes();
    let steps = 0;
    for (const address of this.#dirty) {
      const route = this.#routeTo(address);
      if (route) this.#sequencer.routes.set(hostCidr(address), route);
      else this.#sequencer.routes.delete(hostCidr(address));
      if (++steps % stepsPerYield === 0) yield;
    }
    this.#dirty.clear();
  }

  *#findAddressesOfNodes(): Work {
    if (this.#dirtyNodes.size === 0) return;
    let steps = 0;
    for (const [address, claims] of this.#claims) {
      if (claims.some(({ node }) => this.#dirtyNodes.has(node))) this.#dirty.add(address);
      if (++steps % stepsPerYield === 0) yield;
    }
    this.#dirtyNodes.clear();
  }

  #setNode(path: KeyPath, name: string, node: NodeValue | null): void {
    const known = this.#nodes.get(name) ?? new Map<KeyPath, NodeValue>();
    if (node) this.#nodes.set(name, known.set(path, node));
    else if (known.delete(path) && known.size === 0) this.#nodes.delete(name);
  }

  #claim(address: Address, endpoint: KeyPath, node: string): void {
    const claim = { endpoint, node };
    const others = this.#claims.get(address);
    const claims = others ? [...others, claim].sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1)) : [claim];
    this.#claims.set(address, claims);
    this.#dirty.add(address);
  }

  #release(address: Address, endpoint: KeyPath): void {
    const others = (this.#claims.get(address) ?? []).filter((claim) => claim.endpoint !== endpoint);
    if (others.length > 0) this.#claims.set(address, others);
    else this.#claims.delete(address);
    this.#dirty.add(address);
  }

  #addressesOf(node: string): readonly Address[] {
    const told = [...(this.#nodes.get(node) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return told.flatMap(([, { addresses }]) => addresses);
  }

  /** Of several claims a local one wins, then the first by path whose node can be reached. */
  #routeTo(address: Address): Route | null {
    const claims = this.#claims.get(address) ?? [];
    if (claims.some(({ node }) => node === this.#node)) return null;
    for (const { node } of claims) {
      const via = this.#addressesOf(node).find((other) => familyOf(other) === familyOf(address));
      if (via) return { type: 'remote-workload', node, via };
    }
    return null;
  }
}
