// SPDX-License-Identifier: Apache-2.0
/** Who is meant by `--from`, `--to` and `--port`: pods, nodes, addresses, ports by number or name. */
import { tryParseAddress } from '../../lib/address.ts';
import type { Address, KeyPath } from '../../lib/brand.ts';
import { InvalidError, NotFoundError } from '../../lib/errors.ts';
import { hasPorts, parseProtocol, protocolName } from '../../lib/protocol.ts';
import type { DataplaneState } from '../../observe/dataplane-state.ts';
import type { NodeView, Party } from '../../observe/explain.ts';
import type { Cluster } from './cluster.ts';
import type { Uplink } from './cluster-nodes.ts';
import { type PacketSpec, packetSpec } from './probe-spec.ts';
import { wrong } from './request.ts';

/**
 * @param from - `namespace/pod`, `host/NODE`, or an address: a Pod's own means the Pod, a node's own the node.
 * @throws {NotFoundError} {InvalidError}
 */
export function partiesOf(cluster: Cluster, from: string, to: string): readonly [Party, Party] {
  const parties = [partyOf(cluster, from), partyOf(cluster, to)] as const;
  const differ = cluster.nodes.differ || parties.some(({ kind }) => kind === 'host');
  return differ ? [withNode(cluster, parties[0]), withNode(cluster, parties[1])] : parties;
}

/** One end, on its node. @throws {NotFoundError} {InvalidError} */
export function placedParty(cluster: Cluster, text: string): Party {
  return withNode(cluster, partyOf(cluster, text));
}

/** The nodes whose own endpoints may have a say between two ends, and which endpoint that is. */
export function uplinksBetween({ nodes }: Cluster, parties: readonly Party[]): readonly Uplink[] {
  const names = parties.flatMap((party) => nodeIn(party)?.name ?? []);
  const distinct = [...new Set(names)];
  if (names.length > 1 && distinct.length === 1) return [];
  return distinct.filter((name) => nodes.hasEndpoints(name)).map((name) => nodes.uplink(name));
}

function nodeIn(party: Party): NodeView | undefined {
  return party.kind === 'address' ? undefined : party.node;
}

function partyOf(cluster: Cluster, text: string): Party {
  const { state, nodes } = cluster;
  const { byName, byAddress } = indexOf(state);
  const address = tryParseAddress(text);
  if (address) {
    const id = byAddress.get(address);
    if (id !== undefined) return { kind: 'endpoint', state, id, address };
    const node = nodes.nodeWith(address);
    return node === null ? { kind: 'address', address } : { kind: 'host', node: nodes.view(node), address };
  }
  const id = byName.get(text);
  if (id !== undefined) return { kind: 'endpoint', state, id };
  if (text.startsWith('host/')) return hostParty(cluster, text.slice('host/'.length));
  if (!/^[^/]+\/[^/]+$/.test(text)) throw wrong('from or to', text, 'namespace/pod, an address or host/NODE');
  throw new NotFoundError(`no pod ${text} with an address`);
}

function hostParty({ nodes }: Cluster, name: string): Party {
  const node = nodes.view(name);
  if (node.addresses.length > 0) return { kind: 'host', node };
  throw new InvalidError(
    `host/${name}: no address of the node is known, want a Node with one or a HostEndpoint with expectedIPs`,
  );
}

function withNode({ nodes }: Cluster, party: Party): Party {
  if (party.kind !== 'endpoint') return party;
  const name = nodes.nodeOf(party.id);
  if (name === null) return party;
  const node = nodes.view(name);
  return { ...party, node, state: node.state };
}

interface EndpointIndex {
  readonly byName: ReadonlyMap<string, KeyPath>;
  readonly byAddress: ReadonlyMap<Address, KeyPath>;
}

/** Of states that no longer change: all pairs of a lab are asked for one after the other. */
const indexes = new WeakMap<DataplaneState, EndpointIndex>();

function indexOf(state: DataplaneState): EndpointIndex {
  const known = indexes.get(state);
  if (known) return known;
  const endpoints = [...state.endpoints];
  const index = {
    byName: new Map(endpoints.map(([id, { name }]) => [name, id])),
    byAddress: new Map(
      endpoints.flatMap(([id, { addresses }]) => addresses.map((address) => [address, id] as const)),
    ),
  };
  indexes.set(state, index);
  return index;
}

/**
 * @param protocol - TCP unless said; or that of a port's name.
 * @param port - a number, its text, or a name of one of the destination's ports.
 * @throws {InvalidError} {NotFoundError}
 */
export function probeTo(cluster: Cluster, to: Party, protocol: unknown, port: unknown): PacketSpec {
  const isName = typeof port === 'string' && /[a-z]/i.test(port);
  if (!isName) return packetSpec(protocol ?? 'TCP', port);
  const wanted = protocol === undefined ? null : parseProtocol(protocol as string | number);
  if (wanted !== null && !hasPorts(wanted)) return packetSpec(wanted, port);
  const ports = portsOf(cluster, to);
  const found = ports.find((each) => each.name === port && (wanted ?? each.protocol) === each.protocol);
  if (found) return { protocol: found.protocol, dstPort: found.port };
  const names = ports.map((each) => `${each.name} (${protocolName(each.protocol)})`).join(', ');
  throw new NotFoundError(
    `the destination has no port named ${port}, want one of: ${names || 'it names none'}`,
  );
}

function portsOf({ ports }: Cluster, to: Party): ReturnType<Cluster['ports']['get']> & object {
  if (to.kind === 'address') return [];
  const id = to.kind === 'endpoint' ? to.id : to.node.uplink;
  return (id === null ? undefined : ports.get(id)) ?? [];
}
