// SPDX-License-Identifier: Apache-2.0
/**
 * The real nodes of a cluster, each compiled by itself when it is asked for: where host endpoints and settings of a node
 * have a say about a packet.
 */
import { compileFor } from '../../calc/compile.ts';
import type { Address, IfName, KeyPath } from '../../lib/brand.ts';
import { NotFoundError } from '../../lib/errors.ts';
import { builtinUpdates } from '../../model/builtin.ts';
import type { HostEndpointValue, Update } from '../../model/types.ts';
import { DataplaneState } from '../../observe/dataplane-state.ts';
import type { NodeView } from '../../observe/explain.ts';
import { hostEndpointAt } from '../../observe/host-link.ts';

/** Where Pods are that nobody placed, and where all are when one state is to judge them. */
export const imaginedNode = 'everywhere';

/** What is known of nodes beside the resources. */
export interface NodeKnowledge {
  /** The link by which nodes reach each other and what is beyond. */
  readonly uplink?: IfName;
  readonly nodes?: readonly { readonly name: string; readonly addresses: readonly Address[] }[];
}

/** Which host endpoint is at a node's uplink, and how that was found. */
export interface Uplink {
  readonly node: string;
  /** Null: none. */
  readonly endpoint: KeyPath | null;
  readonly why: string;
}

interface ClusterNode extends NodeView {
  readonly why: string;
}

export class ClusterNodes {
  readonly #updates: readonly Update[];
  readonly #knowledge: NodeKnowledge;
  readonly #addresses = new Map<string, readonly Address[]>();
  readonly #nodeOfEndpoint = new Map<KeyPath, string>();
  readonly #views = new Map<string, ClusterNode>();
  /** Whether any node has endpoints or settings of its own: else all judge alike, and the imagined one is enough. */
  readonly differ: boolean;

  constructor(updates: readonly Update[], knowledge: NodeKnowledge) {
    this.#updates = updates;
    this.#knowledge = knowledge;
    this.differ = updates.some(
      ({ kind, value }) => value !== null && (kind === 'HostEndpoint' || kind === 'FelixConfiguration'),
    );
    const hosts: HostEndpointValue[] = [];
    for (const update of updates) {
      if (update.kind === 'HostEndpoint' && update.value) hosts.push(update.value);
      if (update.kind === 'Node' && update.value)
        this.#addresses.set(update.value.name, update.value.addresses);
      if (update.kind === 'WorkloadEndpoint' && update.value) this.#place(update.path, update.value.node);
    }
    for (const { name, addresses } of knowledge.nodes ?? []) this.#addresses.set(name, addresses);
    for (const { node, addresses } of hosts) this.#expect(node, addresses);
  }

  /** Of a workload endpoint; null: nobody placed it. */
  nodeOf(endpoint: KeyPath): string | null {
    return this.#nodeOfEndpoint.get(endpoint) ?? null;
  }

  nodeWith(address: Address): string | null {
    for (const [name, addresses] of this.#addresses) if (addresses.includes(address)) return name;
    return null;
  }

  get names(): readonly string[] {
    return [...this.#addresses.keys()].sort();
  }

  /** @throws {NotFoundError} when nothing is known of such a node. */
  view(name: string): NodeView {
    return this.#view(name);
  }

  uplink(name: string): Uplink {
    const { uplink: endpoint, why } = this.#view(name);
    return { node: name, endpoint, why };
  }

  /** Of nodes of which nothing is said here: another state of the cluster may. */
  learnAddresses(other: ClusterNodes): void {
    for (const [name, addresses] of other.#addresses) this.#expect(name, addresses);
  }

  /** Those with endpoints of their own. */
  get withEndpoints(): readonly string[] {
    if (!this.differ) return [];
    return this.names.filter((name) => this.hasEndpoints(name));
  }

  hasEndpoints(name: string): boolean {
    return this.#view(name).state.hostEndpoints.size > 0;
  }

  #view(name: string): ClusterNode {
    const known = this.#views.get(name);
    if (known) return known;
    const addresses = this.#addresses.get(name);
    if (!addresses)
      throw new NotFoundError(`no node ${name}, want one of: ${this.names.join(', ') || 'none is known'}`);
    const state = DataplaneState.from(compileFor(name, [...builtinUpdates(), ...this.#updates]));
    const { endpoint: uplink, why } = uplinkOf(state, addresses, this.#knowledge.uplink ?? null);
    const view = { name, state, addresses, uplink, why };
    this.#views.set(name, view);
    return view;
  }

  #place(endpoint: KeyPath, node: string): void {
    if (node === imaginedNode) return;
    this.#nodeOfEndpoint.set(endpoint, node);
    if (!this.#addresses.has(node)) this.#addresses.set(node, []);
  }

  /** What nobody says of a node, its endpoints may. */
  #expect(node: string, addresses: readonly Address[]): void {
    const known = this.#addresses.get(node) ?? [];
    if (known.length === 0) this.#addresses.set(node, addresses);
  }
}

/** Where nobody knows the link's name, that of the node's address is meant, and what names one is the next best. */
function uplinkOf(
  state: DataplaneState,
  addresses: readonly Address[],
  link: IfName | null,
): Pick<Uplink, 'endpoint' | 'why'> {
  if (link !== null) {
    const endpoint = hostEndpointAt(state, { name: link, addresses });
    return { endpoint, why: endpoint ? `it polices ${link}` : `none polices ${link}` };
  }
  const sorted = [...state.hostEndpoints].sort(([a], [b]) => (a < b ? -1 : 1));
  const expecting = sorted.find(([, each]) => each.addresses.some((address) => addresses.includes(address)));
  if (expecting) return { endpoint: expecting[0], why: "it expects the node's address" };
  const naming = sorted.filter(([, { ifName }]) => ifName !== null && ifName !== '*');
  const [first] = naming;
  if (first) return { endpoint: first[0], why: namingReason(naming.length) };
  const others = sorted.find(([, { ifName }]) => ifName === '*');
  if (others) return { endpoint: others[0], why: 'it stands for every interface' };
  return { endpoint: null, why: "none expects the node's address" };
}

function namingReason(count: number): string {
  if (count === 1) return 'no other of the node names an interface';
  return `the first of ${count} that name an interface; say which link is meant with --uplink`;
}
