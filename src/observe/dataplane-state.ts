// SPDX-License-Identifier: Apache-2.0
import type { CompiledNode } from '../contract/compiled.ts';
import { defaultDataplaneConfig } from '../contract/config.ts';
import type {
  DataplaneConfig,
  DataplaneMessage,
  IpSet,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  Route,
} from '../contract/dataplane.ts';
import { familyOf } from '../lib/address.ts';
import type { Address, Cidr, IpSetId, KeyPath } from '../lib/brand.ts';
import { parseCidr } from '../lib/cidr.ts';
import { assertNever, InvalidError } from '../lib/errors.ts';
import { protocolName } from '../lib/protocol.ts';
import { type Mask, NetLookup } from './net-lookup.ts';

/** One IP set, ready to be asked. */
export interface SetMembership {
  readonly type: IpSet['type'];
  readonly description: string;
  hasAddress(address: Address, masked?: Mask): boolean;
  hasPort(address: Address, protocol: number, port: number): boolean;
}

interface HeldSet extends SetMembership {
  readonly members: Set<string>;
  readonly nets: NetLookup;
}

/** What a driver was given, kept in maps: apply the messages in the order in which they were sent. */
export class DataplaneState {
  readonly #sets = new Map<IpSetId, HeldSet>();
  readonly policies: Map<KeyPath, ResolvedPolicy> = new Map();
  readonly profiles: Map<string, ResolvedProfile> = new Map();
  readonly endpoints: Map<KeyPath, ResolvedEndpoint> = new Map();
  readonly hostEndpoints: Map<KeyPath, ResolvedHostEndpoint> = new Map();
  readonly routes: Map<Cidr, Route> = new Map();
  config: DataplaneConfig = defaultDataplaneConfig;
  #isInSync = false;

  static from(messages: Iterable<DataplaneMessage>): DataplaneState {
    const state = new DataplaneState();
    for (const message of messages) state.apply(message);
    return state;
  }

  /** The form that `muslin policy compile` prints; parts may be left out, endpoints and sets too. */
  static fromCompiled(compiled: Partial<CompiledNode>): DataplaneState {
    const state = new DataplaneState();
    for (const [id, set] of Object.entries(compiled.ipSets ?? {})) state.#setIpSet(id as IpSetId, set);
    for (const [id, policy] of Object.entries(compiled.policies ?? {}))
      state.policies.set(id as KeyPath, policy);
    for (const [name, profile] of Object.entries(compiled.profiles ?? {})) state.profiles.set(name, profile);
    for (const [id, endpoint] of Object.entries(compiled.endpoints ?? {})) {
      state.endpoints.set(id as KeyPath, endpoint);
    }
    for (const [id, endpoint] of Object.entries(compiled.hostEndpoints ?? {})) {
      state.hostEndpoints.set(id as KeyPath, endpoint);
    }
    if (compiled.config) state.config = compiled.config;
    for (const [dst, route] of Object.entries(compiled.routes ?? {})) state.routes.set(dst as Cidr, route);
    return state;
  }

  /** True once `in-sync` was heard: before that what is missing may only not have arrived. */
  get isInSync(): boolean {
    return this.#isInSync;
  }

  apply(message: DataplaneMessage): void {
    switch (message.kind) {
      case 'ipset-update':
        this.#setIpSet(message.id, message.set);
        return;
      case 'ipset-delta':
        this.#changeIpSet(message.id, message.add, message.remove);
        return;
      case 'ipset-remove':
        this.#sets.delete(message.id);
        return;
      case 'policy-update':
        this.policies.set(message.id, message.policy);
        return;
      case 'policy-remove':
        this.policies.delete(message.id);
        return;
      case 'profile-update':
        this.profiles.set(message.name, message.profile);
        return;
      case 'profile-remove':
        this.profiles.delete(message.name);
        return;
      case 'endpoint-update':
        this.endpoints.set(message.id, message.endpoint);
        return;
      case 'endpoint-remove':
        this.endpoints.delete(message.id);
        return;
      case 'host-endpoint-update':
        this.hostEndpoints.set(message.id, message.endpoint);
        return;
      case 'host-endpoint-remove':
        this.hostEndpoints.delete(message.id);
        return;
      case 'config-update':
        this.config = message.config;
        return;
      case 'route-update':
        this.routes.set(message.dst, message.route);
        return;
      case 'route-remove':
        this.routes.delete(message.dst);
        return;
      case 'in-sync':
        this.#isInSync = true;
        return;
      default:
        assertNever(message);
    }
  }

  /** @throws {InvalidError} when no such set was sent: a rule that names it cannot be judged. */
  ipSet(id: IpSetId): SetMembership {
    const set = this.#sets.get(id);
    if (!set) throw new InvalidError(`cannot evaluate: IP set ${id} is named by a rule, but was not sent`);
    return set;
  }

  /** @throws {InvalidError} when no such policy was sent. */
  policy(id: KeyPath): ResolvedPolicy {
    const policy = this.policies.get(id);
    if (!policy)
      throw new InvalidError(`cannot evaluate: policy ${id} is named by an endpoint, but was not sent`);
    return policy;
  }

  /** What was not sent is missing, and so is closed. */
  profile(name: string): ResolvedProfile {
    return this.profiles.get(name) ?? { missing: true, ingress: [], egress: [] };
  }

  #setIpSet(id: IpSetId, { type, description, members }: IpSet): void {
    const held = new Set<string>();
    const nets = new NetLookup([]);
    this.#sets.set(id, {
      type,
      description,
      members: held,
      nets,
      hasAddress: (address, masked) => nets.has(address, masked),
      hasPort: (address, protocol, port) =>
        held.has(`${address},${protocolName(protocol).toLowerCase()}:${port}`),
    });
    this.#changeIpSet(id, members, []);
  }

  #changeIpSet(id: IpSetId, add: readonly string[], remove: readonly string[]): void {
    const set = this.#sets.get(id);
    if (!set) throw new InvalidError(`cannot change IP set ${id}: it was not sent`);
    for (const member of remove) set.members.delete(member);
    for (const member of add) set.members.add(member);
    if (set.type !== 'net') return;
    for (const member of remove) set.nets.delete(parseCidr(member));
    for (const member of add) set.nets.add(parseCidr(member));
  }
}

/** The first of `addresses` of a family. */
export function addressOfFamily(addresses: readonly Address[], family: 4 | 6): Address | undefined {
  return addresses.find((address) => familyOf(address) === family);
}
