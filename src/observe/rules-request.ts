// SPDX-License-Identifier: Apache-2.0
import { defaultDataplaneConfig } from '../contract/config.ts';
import type {
  DataplaneConfig,
  Direction,
  FailsafePort,
  IpSet,
  PeerMatch,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  ResolvedRule,
  ResolvedTier,
} from '../contract/dataplane.ts';
import { familyOf, tryParseAddress } from '../lib/address.ts';
import type { Address, Cidr, IpSetId, KeyPath } from '../lib/brand.ts';
import { tryParseCidr } from '../lib/cidr.ts';
import { tryParseProtocol } from '../lib/protocol.ts';
import { DataplaneState } from './dataplane-state.ts';
import { JsonReader, type JsonRecord } from './json-reader.ts';
import type { Packet } from './packet-match.ts';

/**
 * The JSON: `{kind, ipVersion, direction?, policy: {policies, profiles, endpoints, hostEndpoints, config}, endpoint?, ipSets,
 * config?, packet}`. `direction` is `ingress` unless given, of a host's own packets `egress`; `endpoint` is needed only where
 * there are several. Kinds other than `workload` look for it among `hostEndpoints` first. `packet` is `{protocol, src, dst,
 * srcPort?, dstPort?, icmpType?, icmpCode?, dstBeforeNat?, dstPortBeforeNat?, fromHost?, toHost?}`.
 */
export interface RulesRequest {
  readonly kind: 'workload' | 'host' | 'untracked';
  readonly direction: Direction;
  readonly state: DataplaneState;
  readonly endpoint: RequestedEndpoint;
  readonly packet: Packet;
  /** Sent by the host itself. */
  readonly fromHost: boolean;
  /** The packet neither starts nor ends at the host, and said so. */
  readonly isForwarded: boolean;
  /** Failsafe ports count only where the request says which they are. */
  readonly hasConfig: boolean;
}

/** An endpoint's lists; those of a host endpoint's other stages where they were given. */
export type RequestedEndpoint = Pick<ResolvedHostEndpoint, 'tiers' | 'profiles'> &
  Partial<Pick<ResolvedHostEndpoint, OtherStage>>;
type OtherStage = 'forward' | 'untracked' | 'preDnat';

const port: readonly [number, number] = [0, 65535];
const byte: readonly [number, number] = [0, 255];

/** @throws {InvalidError} with every fault. */
export function readRulesRequest(json: unknown): RulesRequest {
  const reader = new JsonReader();
  const request = reader.record(json, '');
  const policy = reader.record(request.policy, 'policy');
  const given = request.config ?? policy.config;
  const state = DataplaneState.fromCompiled({
    ipSets: mapped(reader, request.ipSets, 'ipSets', readIpSet),
    policies: mapped(reader, policy.policies, 'policy.policies', readPolicy),
    profiles: mapped(reader, policy.profiles, 'policy.profiles', readProfile),
    config: readConfig(reader, reader.record(given, 'config')),
  });
  const packet = reader.record(request.packet, 'packet');
  const flag = (key: string) => reader.oneOf(packet[key] ?? false, `packet.${key}`, [false, true]);
  const kind = reader.oneOf(request.kind, 'kind', ['workload', 'host', 'untracked']);
  const [fromHost, toHost] = [flag('fromHost'), flag('toHost')];
  const way = kind !== 'workload' && fromHost ? 'egress' : 'ingress';
  const direction = reader.oneOf(request.direction ?? way, 'direction', ['ingress', 'egress']);
  const saysWhere = packet[direction === 'ingress' ? 'toHost' : 'fromHost'] !== undefined;
  const result = {
    kind,
    direction,
    state,
    endpoint: readEndpoint(reader, policy, request.endpoint, kind),
    packet: readPacket(reader, packet, request.ipVersion),
    fromHost,
    isForwarded: saysWhere && !fromHost && !toHost,
    hasConfig: given !== undefined,
  };
  reader.finish('the request');
  return result;
}

/** Settings that are not given are those of a node where nobody sets any. */
function readConfig(reader: JsonReader, config: JsonRecord): DataplaneConfig {
  const ports = (key: string) => (json: unknown) =>
    reader
      .list(json, `config.${key}`)
      .map((each, i) =>
        readFailsafe(reader, reader.record(each, `config.${key}[${i}]`), `config.${key}[${i}]`),
      );
  return {
    ...defaultDataplaneConfig,
    ...reader.optional(config, 'failsafeInbound', ports('failsafeInbound')),
    ...reader.optional(config, 'failsafeOutbound', ports('failsafeOutbound')),
  };
}

function readFailsafe(reader: JsonReader, json: JsonRecord, path: string): FailsafePort {
  const net = (value: unknown) => reader.parsed(value, `${path}.net`, tryParseCidr, 'a CIDR') ?? ('' as Cidr); // the fault makes finish() throw
  return {
    protocol: readProtocol(reader, json.protocol, `${path}.protocol`),
    port: reader.integer(json.port, `${path}.port`, port),
    ...reader.optional(json, 'net', net),
  };
}

function mapped<V>(
  reader: JsonReader,
  json: unknown,
  path: string,
  read: (reader: JsonReader, json: JsonRecord, path: string) => V,
): { [key: string]: V } {
  const entries = Object.entries(reader.record(json, path));
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      read(reader, reader.record(value, `${path}.${key}`), `${path}.${key}`),
    ]),
  );
}

function readEndpoint(
  reader: JsonReader,
  policy: JsonRecord,
  wanted: unknown,
  kind: RulesRequest['kind'],
): RequestedEndpoint {
  const hosts = reader.record(policy.hostEndpoints, 'policy.hostEndpoints');
  const key = kind !== 'workload' && Object.keys(hosts).length > 0 ? 'hostEndpoints' : 'endpoints';
  const endpoints = reader.record(policy[key], `policy.${key}`);
  const names = Object.keys(endpoints);
  const name = wanted === undefined && names.length === 1 ? names[0] : names.find((it) => it === wanted);
  if (name === undefined)
    reader.fault('endpoint', wanted, `one of policy.${key}: ${names.join(', ') || 'none is there'}`);
  const path = `policy.${key}.${name}`;
  const endpoint = reader.record(endpoints[name ?? ''], path);
  const tiers = (list: string) => (json: unknown) =>
    reader
      .list(json, `${path}.${list}`)
      .map((tier, i) =>
        readTier(reader, reader.record(tier, `${path}.${list}[${i}]`), `${path}.${list}[${i}]`),
      );
  return {
    tiers: tiers('tiers')(endpoint.tiers),
    profiles: texts<string>(reader, endpoint.profiles, `${path}.profiles`),
    ...reader.optional(endpoint, 'forward', tiers('forward')),
    ...reader.optional(endpoint, 'untracked', tiers('untracked')),
    ...reader.optional(endpoint, 'preDnat', tiers('preDnat')),
  };
}

function readTier(reader: JsonReader, tier: JsonRecord, path: string): ResolvedTier {
  return {
    name: reader.text(tier.name, `${path}.name`),
    defaultAction: reader.oneOf(tier.defaultAction, `${path}.defaultAction`, ['deny', 'pass']),
    ingress: texts<KeyPath>(reader, tier.ingress, `${path}.ingress`),
    egress: texts<KeyPath>(reader, tier.egress, `${path}.egress`),
  };
}

function readPolicy(reader: JsonReader, policy: JsonRecord, path: string): ResolvedPolicy {
  return {
    name: typeof policy.name === 'string' ? policy.name : '',
    tier: typeof policy.tier === 'string' ? policy.tier : '',
    kind: 'GlobalNetworkPolicy',
    ingress: readRules(reader, policy.ingress, `${path}.ingress`),
    egress: readRules(reader, policy.egress, `${path}.egress`),
  };
}

function readProfile(reader: JsonReader, profile: JsonRecord, path: string): ResolvedProfile {
  return {
    missing: reader.oneOf(profile.missing ?? false, `${path}.missing`, [false, true]),
    ingress: readRules(reader, profile.ingress, `${path}.ingress`),
    egress: readRules(reader, profile.egress, `${path}.egress`),
  };
}

function readIpSet(reader: JsonReader, set: JsonRecord, path: string): IpSet {
  const type = reader.oneOf(set.type, `${path}.type`, ['net', 'ip-port']);
  const read = (member: unknown, i: number) =>
    type === 'net'
      ? (reader.parsed(member, `${path}.members[${i}]`, tryParseCidr, 'a CIDR') ?? '')
      : reader.text(member, `${path}.members[${i}]`);
  const members = reader.list(set.members, `${path}.members`).map(read);
  return { type, members: members.filter((member) => member !== ''), description: '' };
}

function readRules(reader: JsonReader, json: unknown, path: string): ResolvedRule[] {
  return reader
    .list(json, path)
    .map((rule, i) => readRule(reader, reader.record(rule, `${path}[${i}]`), `${path}[${i}]`));
}

function readRule(reader: JsonReader, rule: JsonRecord, path: string): ResolvedRule {
  const protocol = (key: string) => (value: unknown) => readProtocol(reader, value, `${path}.${key}`);
  const icmp = (key: string) => (value: unknown) => {
    const match = reader.record(value, `${path}.${key}`);
    return {
      type: reader.integer(match.type, `${path}.${key}.type`, byte),
      ...reader.optional(match, 'code', (code) => reader.integer(code, `${path}.${key}.code`, byte)),
    };
  };
  return {
    action: reader.oneOf(rule.action, `${path}.action`, ['allow', 'deny', 'pass', 'log']),
    ...reader.optional(rule, 'ipVersion', (value) => reader.oneOf(value, `${path}.ipVersion`, [4, 6])),
    ...reader.optional(rule, 'protocol', protocol('protocol')),
    ...reader.optional(rule, 'notProtocol', protocol('notProtocol')),
    ...reader.optional(rule, 'icmp', icmp('icmp')),
    ...reader.optional(rule, 'notIcmp', icmp('notIcmp')),
    src: readPeer(reader, reader.record(rule.src, `${path}.src`), `${path}.src`),
    dst: readPeer(reader, reader.record(rule.dst, `${path}.dst`), `${path}.dst`),
    ...reader.optional(rule, 'origin', (value) => {
      const origin = reader.record(value, `${path}.origin`);
      const line = reader.integer(origin.line, `${path}.origin.line`, [1, Number.MAX_SAFE_INTEGER]);
      return { file: reader.text(origin.file, `${path}.origin.file`), line };
    }),
  };
}

function readPeer(reader: JsonReader, peer: JsonRecord, path: string): PeerMatch {
  const nets = (key: string) =>
    reader
      .list(peer[key], `${path}.${key}`)
      .map((net, i) => reader.parsed(net, `${path}.${key}[${i}]`, tryParseCidr, 'a CIDR'))
      .filter((net) => net !== null);
  const ranges = (key: string) =>
    reader.list(peer[key], `${path}.${key}`).map((json, i) => {
      const range = reader.record(json, `${path}.${key}[${i}]`);
      const first = reader.integer(range.first, `${path}.${key}[${i}].first`, port);
      return { first, last: reader.integer(range.last, `${path}.${key}[${i}].last`, port) };
    });
  return {
    nets: nets('nets'),
    notNets: nets('notNets'),
    sets: texts<IpSetId>(reader, peer.sets, `${path}.sets`),
    notSets: texts<IpSetId>(reader, peer.notSets, `${path}.notSets`),
    ports: ranges('ports'),
    portSets: texts<IpSetId>(reader, peer.portSets, `${path}.portSets`),
    notPorts: ranges('notPorts'),
    notPortSets: texts<IpSetId>(reader, peer.notPortSets, `${path}.notPortSets`),
  };
}

function readPacket(reader: JsonReader, packet: JsonRecord, version: unknown): Packet {
  const ipVersion = reader.oneOf(version, 'ipVersion', [4, 6]);
  const number = (key: string, range: readonly [number, number]) => (value: unknown) =>
    reader.integer(value, `packet.${key}`, range);
  return {
    ipVersion,
    protocol: readProtocol(reader, packet.protocol, 'packet.protocol'),
    src: readAddress(reader, packet.src, 'packet.src', ipVersion),
    dst: readAddress(reader, packet.dst, 'packet.dst', ipVersion),
    ...reader.optional(packet, 'srcPort', number('srcPort', port)),
    ...reader.optional(packet, 'dstPort', number('dstPort', port)),
    ...reader.optional(packet, 'icmpType', number('icmpType', byte)),
    ...reader.optional(packet, 'icmpCode', number('icmpCode', byte)),
    ...reader.optional(packet, 'dstBeforeNat', (value) =>
      readAddress(reader, value, 'packet.dstBeforeNat', ipVersion),
    ),
    ...reader.optional(packet, 'dstPortBeforeNat', number('dstPortBeforeNat', port)),
  };
}

function readAddress(reader: JsonReader, value: unknown, path: string, family: 4 | 6): Address {
  const parse = (text: string) => {
    const address = tryParseAddress(text);
    return address && familyOf(address) === family ? address : null;
  };
  // The stand-in never leaves: the fault makes finish() throw.
  return reader.parsed(value, path, parse, `an IPv${family} address`) ?? ('' as Address);
}

/** A number, or a name that Calico knows. */
function readProtocol(reader: JsonReader, value: unknown, path: string): number {
  const number = typeof value === 'number' || typeof value === 'string' ? tryParseProtocol(value) : null;
  if (number === null) reader.fault(path, value, 'a protocol name or a number from 1 to 255');
  return number ?? 0;
}

function texts<T extends string>(reader: JsonReader, json: unknown, path: string): T[] {
  return reader.list(json, path).map((text, i) => reader.text(text, `${path}[${i}]`) as T);
}
