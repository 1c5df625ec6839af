// SPDX-License-Identifier: Apache-2.0
import type { IpSetId } from '../lib/brand.ts';
import { hostCidr } from '../lib/cidr.ts';
import { hasPorts, protocolName } from '../lib/protocol.ts';
import type { HostEndpointValue, NetworkSetValue, WorkloadEndpointValue } from '../model/types.ts';
import { LabelIndex } from './label-index.ts';
import { decrement, increment, type MemberSet, NetMembers, PlainMembers } from './member-set.ts';
import { type CalcNode, type Change, nameOf } from './node.ts';
import type { IpSetSpec, LabelSetSpec, NamedPort } from './resolve-rule.ts';
import { serviceKey } from './resolve-rule.ts';
import type { Sequencer } from './sequencer.ts';
import { ServiceSets } from './service-sets.ts';

/** An endpoint of any node, or a network set. */
type Source =
  | { readonly kind: 'WorkloadEndpoint'; readonly value: WorkloadEndpointValue }
  | { readonly kind: 'HostEndpoint'; readonly value: HostEndpointValue }
  | { readonly kind: 'NetworkSet'; readonly value: NetworkSetValue };

interface ActiveSet {
  readonly spec: LabelSetSpec;
  readonly members: MemberSet;
}

/** Keeps the members of every IP set in use: what the selected endpoints and network sets of the whole cluster give it. */
export class IpSetMembers implements CalcNode {
  readonly name = 'ip-set-members';
  readonly consumes = [
    'Profile',
    'NetworkSet',
    'WorkloadEndpoint',
    'HostEndpoint',
    'ServiceEndpoints',
  ] as const;
  readonly feeds = ['sequencer'] as const;
  readonly localEndpointsOnly = false;
  readonly #sequencer: Sequencer;
  readonly #sources = new Map<string, Source>();
  readonly #sets = new Map<string, ActiveSet>();
  readonly #services = new ServiceSets();
  readonly #index = new LabelIndex({
    onMatch: (id, item) => this.#add(id, item),
    onUnmatch: (id, item) => this.#remove(id, item),
  });

  constructor(sequencer: Sequencer) {
    this.#sequencer = sequencer;
  }

  addSet(spec: IpSetSpec): void {
    const listener = {
      onMemberAdded: (member: string) => this.#sequencer.ipSets.addMember(spec.id, member),
      onMemberRemoved: (member: string) => this.#sequencer.ipSets.removeMember(spec.id, member),
    };
    const type = typeOf(spec);
    const members = type === 'ip-port' ? new PlainMembers(listener) : new NetMembers(listener);
    this.#sequencer.ipSets.add(spec.id, {
      type,
      description: describe(spec),
      members: () => members.members(),
    });
    if (spec.kind === 'service') return this.#services.addSet(spec, members);
    this.#sets.set(spec.id, { spec, members });
    this.#index.addSelector(spec.id, spec.selector);
  }

  deleteSet(id: IpSetId): void {
    this.#sequencer.ipSets.delete(id);
    if (this.#services.deleteSet(id)) return;
    this.#sets.delete(id); // first, so that the matches which end now are not counted down one by one
    this.#index.deleteSelector(id);
  }

  onChange(change: Change): void {
    if (change.kind === 'Profile') this.#index.setProfile(nameOf(change), change.value?.labels ?? null);
    else if (change.kind === 'NetworkSet') {
      this.#setSource(change.path, change.value && { kind: change.kind, value: change.value });
    } else if (change.kind === 'WorkloadEndpoint') {
      this.#setSource(change.path, change.value && { kind: change.kind, value: change.value });
    } else if (change.kind === 'HostEndpoint') {
      this.#setSource(change.path, change.value && { kind: change.kind, value: change.value });
    } else if (change.kind === 'ServiceEndpoints') {
      this.#services.setSlice(change.path, change.value);
    }
  }

  flush(): void {}

  #setSource(item: string, source: Source | null): void {
    if (!source) {
      this.#index.deleteItem(item);
      this.#sources.delete(item);
      return;
    }
    const before = this.#sources.get(item);
    this.#sources.set(item, source);
    // Sets that match already get the difference here; those that begin or end to match then see the new value alone.
    if (before) for (const id of this.#index.selectorsOf(item)) this.#replace(id, before, source);
    this.#index.setItem(item, source.value.labels, source.value.profiles);
  }

  #replace(id: string, before: Source, after: Source): void {
    const set = this.#sets.get(id);
    if (!set) return;
    const { added, removed } = difference(
      contribution(before, set.spec.port),
      contribution(after, set.spec.port),
    );
    for (const member of added) set.members.add(member);
    for (const member of removed) set.members.remove(member);
  }

  #add(id: string, item: string): void {
    const set = this.#sets.get(id);
    const source = this.#sources.get(item);
    if (set && source) for (const member of contribution(source, set.spec.port)) set.members.add(member);
  }

  #remove(id: string, item: string): void {
    const set = this.#sets.get(id);
    const source = this.#sources.get(item);
    if (set && source) for (const member of contribution(source, set.spec.port)) set.members.remove(member);
  }
}

/** What one source gives a set; the same member twice counts twice, on the way in and on the way out. */
function contribution(source: Source, port: NamedPort | null): readonly string[] {
  if (source.kind === 'NetworkSet') return port ? [] : source.value.nets;
  if (!port) return source.value.addresses.map(hostCidr);
  const { addresses, ports } = source.value;
  return ports
    .filter((named) => named.name === port.name && hasPorts(named.protocol))
    .filter((named) => port.protocol === null || named.protocol === port.protocol)
    .flatMap((named) =>
      addresses.map((address) => `${address},${protocolName(named.protocol).toLowerCase()}:${named.port}`),
    );
}

/** Of two lists in which a member may occur several times; one net more in a list of 100,000 is one change. */
function difference(
  before: readonly string[],
  after: readonly string[],
): { added: string[]; removed: string[] } {
  const counts = new Map<string, number>();
  for (const member of before) increment(counts, member);
  const added = after.filter((member) => {
    if (!counts.has(member)) return true;
    decrement(counts, member);
    return false;
  });
  return { added, removed: [...counts].flatMap(([member, count]) => new Array<string>(count).fill(member)) };
}

function typeOf(spec: IpSetSpec): 'net' | 'ip-port' {
  return (spec.kind === 'service' ? spec.withPorts : spec.port) ? 'ip-port' : 'net';
}

function describe(spec: IpSetSpec): string {
  if (spec.kind === 'service') {
    return `${spec.withPorts ? 'service' : 'addresses of service'} ${serviceKey(spec.service)}`;
  }
  const { selector, port } = spec;
  if (!port) return selector.canonical;
  const protocol = port.protocol === null ? 'any protocol' : protocolName(port.protocol).toLowerCase();
  return `${selector.canonical} port ${port.name} (${protocol})`;
}
