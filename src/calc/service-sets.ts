// SPDX-License-Identifier: Apache-2.0
import type { IpSetId, KeyPath } from '../lib/brand.ts';
import { hostCidr } from '../lib/cidr.ts';
import { hasPorts, protocolName } from '../lib/protocol.ts';
import type { ServiceEndpointsValue } from '../model/types.ts';
import type { MemberSet } from './member-set.ts';
import { type ServiceSetSpec, serviceKey } from './resolve-rule.ts';

interface ActiveSet {
  readonly spec: ServiceSetSpec;
  readonly members: MemberSet;
}

/** The sets that stand for services, filled from the slices of each. */
export class ServiceSets {
  readonly #slices = new Map<string, Map<KeyPath, ServiceEndpointsValue>>();
  readonly #serviceOf = new Map<KeyPath, string>();
  readonly #sets = new Map<IpSetId, ActiveSet>();
  readonly #setsByService = new Map<string, Set<ActiveSet>>();

  addSet(spec: ServiceSetSpec, members: MemberSet): void {
    const service = serviceKey(spec.service);
    const set = { spec, members };
    this.#sets.set(spec.id, set);
    this.#setsByService.set(service, (this.#setsByService.get(service) ?? new Set()).add(set));
    for (const slice of this.#slices.get(service)?.values() ?? [])
      for (const member of contribution(slice, spec)) members.add(member);
  }

  /** @returns whether it was a service's. */
  deleteSet(id: IpSetId): boolean {
    const set = this.#sets.get(id);
    if (!set) return false;
    const service = serviceKey(set.spec.service);
    this.#sets.delete(id);
    const others = this.#setsByService.get(service);
    others?.delete(set);
    if (others?.size === 0) this.#setsByService.delete(service);
    return true;
  }

  setSlice(path: KeyPath, slice: ServiceEndpointsValue | null): void {
    const before = this.#take(path);
    if (slice) this.#put(path, slice);
    // What stays is added before it is removed, so that it never seems to go.
    if (slice) this.#eachMember(slice, (members, member) => members.add(member));
    if (before) this.#eachMember(before, (members, member) => members.remove(member));
  }

  #take(path: KeyPath): ServiceEndpointsValue | null {
    const service = this.#serviceOf.get(path);
    const slices = service === undefined ? undefined : this.#slices.get(service);
    if (service === undefined || !slices) return null;
    const slice = slices.get(path) ?? null;
    slices.delete(path);
    if (slices.size === 0) this.#slices.delete(service);
    this.#serviceOf.delete(path);
    return slice;
  }

  #put(path: KeyPath, slice: ServiceEndpointsValue): void {
    const service = serviceKey(slice.service);
    this.#serviceOf.set(path, service);
    this.#slices.set(service, (this.#slices.get(service) ?? new Map()).set(path, slice));
  }

  #eachMember(slice: ServiceEndpointsValue, change: (members: MemberSet, member: string) => void): void {
    for (const { spec, members } of this.#setsByService.get(serviceKey(slice.service)) ?? [])
      for (const member of contribution(slice, spec)) change(members, member);
  }
}

/** What one slice gives; a member that several give is counted as often. */
function contribution(slice: ServiceEndpointsValue, { withPorts }: ServiceSetSpec): readonly string[] {
  if (!withPorts) return slice.addresses.map(hostCidr);
  return slice.ports
    .filter(({ protocol }) => hasPorts(protocol))
    .flatMap(({ protocol, port }) =>
      slice.addresses.map((address) => `${address},${protocolName(protocol).toLowerCase()}:${port}`),
    );
}
