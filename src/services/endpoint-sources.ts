// SPDX-License-Identifier: Apache-2.0
/** Who answers for which service: the EndpointSlices of each, and the Pods for those that have none. */
import type { KeyPath } from '../lib/brand.ts';
import type { Fault } from '../lib/errors.ts';
import { addTo, removeFrom } from '../lib/sets-by-key.ts';
import type { Resource } from '../model/types.ts';
import type { EndpointGroup } from './endpoint.ts';
import { readSlice, type SliceView } from './endpoint-slice.ts';
import { isSelected, type PodView, podGroup, readPod } from './pod-groups.ts';
import type { ServiceSpec } from './service-spec.ts';

export class EndpointSources {
  /** By service, then by path. */
  readonly #slices = new Map<string, Map<KeyPath, SliceView>>();
  readonly #serviceOf = new Map<KeyPath, string>();
  /** By namespace, then by name. */
  readonly #pods = new Map<string, Map<string, PodView>>();
  readonly #withSelector = new Set<string>();
  /** By namespace: those with a selector and without any slice. */
  readonly #madeOfPods = new Map<string, Set<string>>();

  onService(id: string, service: ServiceSpec | null): void {
    if (service?.selector) this.#withSelector.add(id);
    else this.#withSelector.delete(id);
    this.#index(id);
  }

  /** @returns the services whose endpoints may be others now, and what is wrong with the slice. */
  onSlice(
    path: KeyPath,
    namespace: string,
    resource: Resource | null,
  ): { readonly services: readonly string[]; readonly faults: readonly Fault[] } {
    const before = this.#serviceOf.get(path);
    if (before !== undefined) this.#take(path, before);
    const slice = resource === null ? null : readSlice(namespace, resource);
    const now = slice?.service ?? undefined;
    if (slice && now !== undefined) this.#put(path, now, slice);
    const services = [before, now].filter((id) => id !== undefined);
    for (const id of services) this.#index(id);
    return { services, faults: slice?.faults ?? [] };
  }

  /** @returns the services whose endpoints may be others now. */
  onPod(namespace: string, name: string, resource: Resource | null): Iterable<string> {
    const pod = resource === null ? null : readPod(resource);
    const pods = this.#pods.get(namespace) ?? new Map<string, PodView>();
    if (pod) this.#pods.set(namespace, pods.set(name, pod));
    else if (pods.delete(name) && pods.size === 0) this.#pods.delete(namespace);
    return this.#madeOfPods.get(namespace) ?? [];
  }

  /** In order of their names. */
  groupsOf(id: string, service: ServiceSpec, zoneOf: (node: string) => string): readonly EndpointGroup[] {
    const slices = this.#slices.get(id);
    if (slices) return inOrder(slices).map(({ group }) => group);
    return inOrder(this.#pods.get(service.namespace) ?? new Map<string, PodView>())
      .filter((pod) => isSelected(service, pod))
      .map((pod) => podGroup(service, pod, zoneOf));
  }

  #put(path: KeyPath, service: string, slice: SliceView): void {
    this.#serviceOf.set(path, service);
    const slices = this.#slices.get(service) ?? new Map<KeyPath, SliceView>();
    this.#slices.set(service, slices.set(path, slice));
  }

  #take(path: KeyPath, service: string): void {
    this.#serviceOf.delete(path);
    const slices = this.#slices.get(service);
    slices?.delete(path);
    if (slices?.size === 0) this.#slices.delete(service);
  }

  #index(id: string): void {
    const namespace = id.slice(0, id.indexOf('/'));
    if (this.#withSelector.has(id) && !this.#slices.has(id)) addTo(this.#madeOfPods, namespace, id);
    else removeFrom(this.#madeOfPods, namespace, id);
  }
}

function inOrder<K extends string, V>(map: ReadonlyMap<K, V>): readonly V[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
