// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import type { Picture } from '../../src/calc/states/state.ts';
import type {
  DataplaneConfig,
  DataplaneMessage,
  IpSet,
  PeerMatch,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  ResolvedRule,
  ResolvedTier,
  Route,
} from '../../src/contract/dataplane.ts';
import type { Cidr } from '../../src/lib/brand.ts';
import { cidrContains, prefixLength, tryParseCidr } from '../../src/lib/cidr.ts';
import { assertNever } from '../../src/lib/errors.ts';
import { protocolName } from '../../src/lib/protocol.ts';

type HeldSet = Omit<IpSet, 'members'> & { readonly members: Set<string> };

/** A data plane that applies messages to maps and fails the test at the first message that breaks the contract. */
export class MockDataplane {
  readonly sets: Map<string, HeldSet> = new Map();
  readonly policies: Map<string, ResolvedPolicy> = new Map();
  readonly profiles: Map<string, ResolvedProfile> = new Map();
  readonly endpoints: Map<string, ResolvedEndpoint> = new Map();
  readonly hostEndpoints: Map<string, ResolvedHostEndpoint> = new Map();
  readonly routes: Map<string, Route> = new Map();
  config: DataplaneConfig | null = null;
  inSyncCount = 0;
  messageCount = 0;

  onMessage(message: DataplaneMessage): void {
    this.messageCount++;
    assertPlain(message);
    this.#apply(message);
    this.#assertReferences(message);
  }

  /** Within one flush. */
  onFlush(messages: readonly DataplaneMessage[]): void {
    const places = messages.map((message) => place(message));
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
      `order of ${messages.map(({ kind }) => kind)}`,
    );
    const keys = messages.map((message) => `${message.kind.replace(/-.*/, '')} ${keyOf(message)}`);
    assert.equal(new Set(keys).size, keys.length, `two messages of one flush on one object: ${keys}`);
    for (const message of messages) this.onMessage(message);
    this.#assertSettled();
  }

  picture(): Required<Picture> {
    const text = (id: string) => this.sets.get(id)?.description ?? id;
    return {
      sets: object(this.sets, ({ members }) => [...members].sort(), text),
      policies: object(this.policies, (policy) => [
        `tier ${policy.tier}`,
        ...policy.ingress.map((rule) => `in ${ruleText(rule, text)}`),
        ...policy.egress.map((rule) => `out ${ruleText(rule, text)}`),
      ]),
      profiles: object(this.profiles, ({ missing, ingress, egress }) => [
        ...(missing ? ['missing'] : []),
        ...ingress.map((rule) => `in ${ruleText(rule, text)}`),
        ...egress.map((rule) => `out ${ruleText(rule, text)}`),
      ]),
      endpoints: object(this.endpoints, endpointLines),
      hostEndpoints: object(this.hostEndpoints, hostEndpointLines),
      routes: object(this.routes, ({ node, via }) => `${node} ${via}`),
    };
  }

  #apply(message: DataplaneMessage): void {
    switch (message.kind) {
      case 'ipset-update':
        this.#setIpSet(message.id, message.set);
        return;
      case 'ipset-delta':
        this.#changeIpSet(message);
        return;
      case 'ipset-remove':
        assert.ok(this.sets.delete(message.id), `removes set ${message.id}, which was not sent`);
        return;
      case 'policy-update':
        put(this.policies, message.id, message.policy);
        return;
      case 'policy-remove':
        assert.ok(this.policies.delete(message.id), `removes policy ${message.id}, which was not sent`);
        return;
      case 'profile-update':
        put(this.profiles, message.name, message.profile);
        return;
      case 'profile-remove':
        assert.ok(this.profiles.delete(message.name), `removes profile ${message.name}, which was not sent`);
        return;
      case 'endpoint-update':
        put(this.endpoints, message.id, message.endpoint);
        return;
      case 'endpoint-remove':
        assert.ok(this.endpoints.delete(message.id), `removes endpoint ${message.id}, which was not sent`);
        return;
      case 'config-update':
        this.config = message.config;
        return;
      case 'host-endpoint-update':
        put(this.hostEndpoints, message.id, message.endpoint);
        return;
      case 'host-endpoint-remove':
        assert.ok(this.hostEndpoints.delete(message.id), `removes ${message.id}, which was not sent`);
        return;
      case 'route-update':
        put(this.routes, message.dst, message.route);
        return;
      case 'route-remove':
        assert.ok(this.routes.delete(message.dst), `removes route ${message.dst}, which was not sent`);
        return;
      case 'in-sync':
        assert.equal(++this.inSyncCount, 1, 'in-sync twice');
        return;
      default:
        assertNever(message);
    }
  }

  #setIpSet(id: string, set: IpSet): void {
    const members = new Set(set.members);
    assert.equal(members.size, set.members.length, `set ${set.description} names a member twice`);
    assert.ok(!this.sets.has(id), `set ${set.description} is sent whole again`);
    const held = { ...set, members };
    this.sets.set(id, held);
    assertNoneNested(held);
  }

  #changeIpSet({ id, add, remove }: Extract<DataplaneMessage, { kind: 'ipset-delta' }>): void {
    const set = this.sets.get(id);
    assert.ok(set, `delta for set ${id}, which was not sent`);
    assert.ok(add.length + remove.length > 0, `empty delta for ${set.description}`);
    for (const member of remove) assert.ok(set.members.delete(member), `${set.description} has no ${member}`);
    for (const member of add) {
      assert.ok(!set.members.has(member), `${set.description} has ${member} already`);
      set.members.add(member);
    }
    assertNoneNested(set);
  }

  #assertReferences({ kind }: DataplaneMessage): void {
    for (const [id, type] of this.#usedSets()) {
      assert.equal(this.sets.get(id)?.type, type, `after ${kind}: set ${id} is used as ${type}`);
    }
    for (const tier of this.#tiers()) {
      const enforced = [...tier.ingress, ...tier.egress];
      assert.ok(enforced.length > 0 || tier.pending, `after ${kind}: tier ${tier.name} without policy`);
      for (const id of [...enforced, ...(tier.pending?.ingress ?? []), ...(tier.pending?.egress ?? [])])
        assert.ok(this.policies.has(id), `after ${kind}: policy ${id} is used`);
      for (const id of enforced)
        assert.ok(!this.policies.get(id)?.staged, `after ${kind}: policy ${id} is staged`);
    }
    for (const { profiles } of [...this.endpoints.values(), ...this.hostEndpoints.values()]) {
      for (const name of profiles)
        assert.ok(this.profiles.has(name), `after ${kind}: profile ${name} is used`);
    }
  }

  *#tiers(): Generator<ResolvedTier> {
    for (const { tiers } of this.endpoints.values()) yield* tiers;
    for (const { tiers, forward, untracked, preDnat } of this.hostEndpoints.values())
      yield* [...tiers, ...forward, ...untracked, ...preDnat];
  }

  /** At the end of a flush nothing is kept that nobody uses; only a policy may govern no direction of what it selects. */
  #assertSettled(): void {
    for (const { name, ingress, egress } of this.#tiers()) {
      for (const id of [...ingress, ...egress])
        assert.equal(this.policies.get(id)?.tier, name, `tier of ${id}`);
    }
    const used = new Set([...this.#usedSets()].map(([id]) => id));
    for (const [id, { description }] of this.sets) assert.ok(used.has(id), `nobody uses set ${description}`);
    const users = [...this.endpoints.values(), ...this.hostEndpoints.values()];
    const profiles = new Set(users.flatMap((endpoint) => endpoint.profiles));
    for (const name of this.profiles.keys()) assert.ok(profiles.has(name), `nobody uses profile ${name}`);
  }

  *#usedSets(): Generator<[string, IpSet['type']]> {
    for (const { ingress, egress } of [...this.policies.values(), ...this.profiles.values()]) {
      for (const { src, dst } of [...ingress, ...egress]) {
        for (const peer of [src, dst]) {
          for (const id of [...peer.sets, ...peer.notSets]) yield [id, 'net'];
          for (const id of [...peer.portSets, ...peer.notPortSets]) yield [id, 'ip-port'];
        }
      }
    }
  }
}

function put<V>(map: Map<string, V>, key: string, value: V): void {
  assert.notDeepEqual(map.get(key), value, `${key} is sent again unchanged`);
  map.set(key, value);
}

/** Must survive a trip to another thread as JSON. */
function assertPlain(message: DataplaneMessage): void {
  assert.deepEqual(JSON.parse(JSON.stringify(message)), message);
}

function assertNoneNested({ members, type, description }: HeldSet): void {
  const byLength = [...members].flatMap((member) => (type === 'net' ? (tryParseCidr(member) ?? []) : []));
  if (type === 'net')
    assert.deepEqual(new Set(byLength), members, `${description}: members are canonical CIDRs`);
  for (const outer of byLength) {
    assert.notEqual(prefixLength(outer), 0, `${description} has a member of length 0`);
    for (const inner of byLength) assertApart(outer, inner, description);
  }
}

function assertApart(outer: Cidr, inner: Cidr, description: string): void {
  assert.ok(outer === inner || !cidrContains(outer, inner), `${description}: ${outer} contains ${inner}`);
}

const order: readonly (readonly DataplaneMessage['kind'][])[] = [
  ['config-update'],
  ['ipset-update', 'ipset-delta'],
  ['policy-update'],
  ['profile-update'],
  ['endpoint-update'],
  ['host-endpoint-update'],
  ['host-endpoint-remove'],
  ['endpoint-remove'],
  ['profile-remove'],
  ['policy-remove'],
  ['ipset-remove'],
  ['route-update', 'route-remove'],
  ['in-sync'],
];

function place({ kind }: DataplaneMessage): number {
  return order.findIndex((kinds) => kinds.includes(kind));
}

function keyOf(message: DataplaneMessage): string {
  if ('id' in message) return message.id;
  if ('name' in message) return message.name;
  return 'dst' in message ? message.dst : '';
}

function object<V, R>(
  map: ReadonlyMap<string, V>,
  convert: (value: V) => R,
  name = (key: string) => key,
): Record<string, R> {
  return Object.fromEntries([...map].map(([key, value]) => [name(key), convert(value)]));
}

function endpointLines({ adminUp, tiers, profiles, addresses }: ResolvedEndpoint): string[] {
  return [
    `${adminUp ? 'up' : 'down'} ${addresses.join(' ')}`,
    ...tiers.map(tierLine),
    ...profiles.map((name) => `profile ${name}`),
  ];
}

function hostEndpointLines(endpoint: ResolvedHostEndpoint): string[] {
  const stages = ['untracked', 'preDnat', 'forward', 'tiers'] as const;
  return [
    `${endpoint.ifName ?? 'any'} ${endpoint.addresses.join(' ')}`,
    ...stages.flatMap((stage) => endpoint[stage].map((tier) => `${stage} ${tierLine(tier)}`)),
    ...endpoint.profiles.map((name) => `profile ${name}`),
  ];
}

function tierLine({ name, defaultAction, ingress, egress, pending }: ResolvedTier): string {
  const short = (ids: readonly string[]) => ids.map((id) => id.replace(/^.*\//, '')).join(' ') || '-';
  const later = pending ? `, pending in ${short(pending.ingress)} out ${short(pending.egress)}` : '';
  return `${name} ${defaultAction}: in ${short(ingress)} out ${short(egress)}${later}`;
}

function ruleText(rule: ResolvedRule, setText: (id: string) => string): string {
  return [
    rule.action,
    ...(rule.ipVersion ? [`ipv${rule.ipVersion}`] : []),
    ...(rule.protocol ? [protocolName(rule.protocol).toLowerCase()] : []),
    ...(rule.notProtocol ? [`!${protocolName(rule.notProtocol).toLowerCase()}`] : []),
    ...(rule.icmp ? [`icmp ${rule.icmp.type}/${rule.icmp.code ?? '*'}`] : []),
    ...(rule.notIcmp ? [`!icmp ${rule.notIcmp.type}/${rule.notIcmp.code ?? '*'}`] : []),
    ...peerText('from', rule.src, setText),
    ...peerText('to', rule.dst, setText),
  ].join(' ');
}

function peerText(word: string, peer: PeerMatch, setText: (id: string) => string): string[] {
  const ports = (ranges: PeerMatch['ports']) => ranges.map(({ first, last }) => `${first}-${last}`);
  const conditions = [
    ...peer.nets,
    ...peer.notNets.map((net) => `!${net}`),
    ...peer.sets.map((id) => `[${setText(id)}]`),
    ...peer.notSets.map((id) => `![${setText(id)}]`),
    ...ports(peer.ports),
    ...peer.portSets.map((id) => `[${setText(id)}]`),
    ...ports(peer.notPorts).map((range) => `!${range}`),
    ...peer.notPortSets.map((id) => `![${setText(id)}]`),
  ];
  return conditions.length > 0 ? [word, ...conditions] : [];
}
