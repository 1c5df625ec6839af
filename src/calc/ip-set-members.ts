// SPDX-License-Identifier: Apache-2.0
import type { IpSetId } from '../lib/brand.ts';
import { hostCidr } from '../lib/cidr.ts';
import { hasPorts, protocolName } from '../lib/protocol.ts';
import type { Labelled, Labels } from './label-class.ts';
import { LabelIndex } from './label-index.ts';
import { decrement, increment, type MemberSet, NetMembers, PlainMembers } from './member-set.ts';
import { type CalcNode, type Change, nameOf, type Work } from './node.ts';
import type { IpSetSpec, LabelSetSpec, NamedPort } from './resolve-rule.ts';
import { serviceKey } from './resolve-rule.ts';
import { sameValue } from './same-value.ts';
import type { MatchListener, SelectorEntry } from './selector-index.ts';
import type { Sequencer } from './sequencer.ts';
import { ServiceSets } from './service-sets.ts';

/** A set of what a selector matches. */
class SelectedSet implements MatchListener {
  readonly #members: MemberSet;
  readonly #port: NamedPort | null;
  /** Where it is in the index, once it was filled. */
  entry: SelectorEntry | null = null;

  constructor(members: MemberSet, port: NamedPort | null) {
    this.#members = members;
    this.#port = port;
  }

  onClassMatch(): void {}

  onClassUnmatch(): void {}

  onMatch(_item: string, value: Labelled): void {
    // Nearly all are of this kind, and there are many.
    if (!this.#port && 'addresses' in value)
      for (const address of value.addresses) this.#members.add(hostCidr(address));
    else for (const member of contribution(value, this.#port)) this.#members.add(member);
  }

  onUnmatch(_item: string, value: Labelled): void {
    for (const member of contribution(value, this.#port)) this.#members.remove(member);
  }

  onChange(_item: string, before: Labelled, after: Labelled): void {
    const { added, removed } = difference(contribution(before, this.#port), contribution(after, this.#port));
    for (const member of added) this.#members.add(member);
    for (const member of removed) this.#members.remove(member);
  }
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
  readonly #sets = new Map<IpSetId, SelectedSet>();
  readonly #services = new ServiceSets();
  readonly #index = new LabelIndex();
  /** To be filled, to be taken out of the index, and to be inherited from, at the flush. */
  readonly #newSets = new Map<IpSetId, LabelSetSpec>();
  readonly #oldEntries: SelectorEntry[] = [];
  readonly #changedProfiles = new Map<string, Labels | null>();

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
      description: () => describe(spec),
      members: () => members.members(),
    });
    if (spec.kind === 'service') return this.#services.addSet(spec, members);
    this.#sets.set(spec.id, new SelectedSet(members, spec.port));
    this.#newSets.set(spec.id, spec);
  }

  deleteSet(id: IpSetId): void {
    this.#sequencer.ipSets.delete(id);
    if (this.#services.deleteSet(id)) return;
    const entry = this.#sets.get(id)?.entry;
    if (entry) this.#oldEntries.push(entry);
    this.#sets.delete(id);
    this.#newSets.delete(id);
  }

  onChange(change: Change): void {
    if (change.kind === 'Profile') this.#changedProfiles.set(nameOf(change), change.value?.labels ?? null);
    else if (change.kind === 'ServiceEndpoints') this.#services.setSlice(change.path, change.value);
    else if (
      change.kind === 'NetworkSet' ||
      change.kind === 'WorkloadEndpoint' ||
      change.kind === 'HostEndpoint'
    ) {
      if (change.value) this.#index.setItem(change.path, change.value);
      else this.#index.deleteItem(change.path);
    }
  }

  *flush(): Work {
    for (const entry of this.#oldEntries.splice(0)) yield* this.#index.deleteSelector(entry);
    for (const [name, labels] of this.#changedProfiles) yield* this.#index.setProfile(name, labels);
    this.#changedProfiles.clear();
    for (const [id, { selector }] of this.#newSets) {
      const set = this.#sets.get(id);
      if (set) set.entry = yield* this.#index.addSelector(selector, set);
    }
    this.#newSets.clear();
  }
}

/** What one source gives a set; the same member twice counts twice, on the way in and on the way out. */
function contribution(source: Labelled, port: NamedPort | null): readonly string[] {
  if ('nets' in source) return port ? [] : source.nets;
  if (!port) return source.addresses.map(hostCidr);
  const { addresses, ports } = source;
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
  if (sameValue(before, after)) return { added: [], removed: [] };
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
