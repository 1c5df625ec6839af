// SPDX-License-Identifier: Apache-2.0
/** Endpoints by what programs and packets know them by: 64-bit names, addresses, interfaces. */
import type { DataplaneMessage, ResolvedEndpoint } from '../../contract/dataplane.ts';
import type { FlowEndpoint } from '../../contract/flow.ts';
import type { Address, KeyPath } from '../../lib/brand.ts';
import { addTo, removeFrom } from '../../lib/sets-by-key.ts';
import { endpointId } from './names.ts';

interface Workload extends FlowEndpoint {
  readonly addresses: readonly Address[];
  readonly ifName: string;
}

export class EndpointBook {
  readonly #byName = new Map<bigint, FlowEndpoint>();
  readonly #workloads = new Map<KeyPath, Workload>();
  /** Two may share an address for a while, as when a pod is made anew. */
  readonly #byAddress = new Map<Address, Set<Workload>>();
  readonly #byInterface = new Map<string, Set<Workload>>();

  /** Of endpoints; all others are none of its business. */
  onMessage(message: DataplaneMessage): void {
    if (message.kind === 'endpoint-update') this.#setWorkload(message.id, message.endpoint);
    else if (message.kind === 'endpoint-remove') this.#removeWorkload(message.id);
    else if (message.kind === 'host-endpoint-update') this.#name(message.id, message.endpoint.name);
    else if (message.kind === 'host-endpoint-remove') this.#byName.delete(endpointId(message.id));
  }

  /** Of a workload or of a host. */
  byName(name: bigint): FlowEndpoint | null {
    return this.#byName.get(name) ?? null;
  }

  /** Of a workload here. */
  byAddress(address: Address): FlowEndpoint | null {
    return lastOf(this.#byAddress.get(address));
  }

  /** Of a workload here. */
  byInterface(ifName: string): FlowEndpoint | null {
    return lastOf(this.#byInterface.get(ifName));
  }

  /** By id or name; else those whose name ends in `/text`. */
  find(text: string): readonly FlowEndpoint[] {
    const all = [...this.#byName.values()];
    const exact = all.filter(({ id, name }) => id === text || name === text);
    return exact.length > 0 ? exact : all.filter(({ name }) => name.endsWith(`/${text}`));
  }

  addressesOf(id: KeyPath): readonly Address[] {
    return this.#workloads.get(id)?.addresses ?? [];
  }

  #setWorkload(id: KeyPath, { name, addresses, ifName }: ResolvedEndpoint): void {
    this.#removeWorkload(id);
    const workload = { id, name, addresses, ifName };
    this.#workloads.set(id, workload);
    this.#name(id, name);
    for (const address of addresses) addTo(this.#byAddress, address, workload);
    addTo(this.#byInterface, ifName, workload);
  }

  #removeWorkload(id: KeyPath): void {
    const workload = this.#workloads.get(id);
    if (!workload) return;
    this.#workloads.delete(id);
    this.#byName.delete(endpointId(id));
    for (const address of workload.addresses) removeFrom(this.#byAddress, address, workload);
    removeFrom(this.#byInterface, workload.ifName, workload);
  }

  #name(id: KeyPath, name: string): void {
    this.#byName.set(endpointId(id), { id, name });
  }
}

function lastOf(workloads: ReadonlySet<Workload> | undefined): FlowEndpoint | null {
  let last: FlowEndpoint | null = null;
  for (const { id, name } of workloads ?? []) last = { id, name };
  return last;
}
