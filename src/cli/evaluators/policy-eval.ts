// SPDX-License-Identifier: Apache-2.0
/**
 * `policy eval`: one probe, or all pairs of Pods for a list of ports, judged by the compiled messages.
 *
 * @throws {InvalidError} for a request that is none, with every fault of its policies.
 */
import { InvalidError } from '../../lib/errors.ts';
import type { DataplaneState } from '../../observe/dataplane-state.ts';
import { type Explanation, explain, type Party } from '../../observe/explain.ts';
import { matrixTables, type VerdictTables, verdictMatrix } from '../../observe/matrix.ts';
import { type Cluster, clusterOf, requestedResources } from './cluster.ts';
import type { Uplink } from './cluster-nodes.ts';
import { partiesOf, probeTo, uplinksBetween } from './parties.ts';
import { type PacketSpec, packetSpec } from './probe-spec.ts';
import { type Fields, fieldsOf, listAt, own, wrong } from './request.ts';

export function evaluatePolicyRequest(request: unknown): LocatedExplanation | { tables: VerdictTables } {
  const fields = fieldsOf(request, 'request');
  const cluster = clusterOf(requestedResources(fields));
  const { state, faults } = cluster;
  if (faults.length > 0)
    throw new InvalidError(`cannot evaluate: ${faults[0]?.path}: ${faults[0]?.message}`, faults);
  if (own(fields, 'matrix') !== undefined) return { tables: matrixOf(state, fields) };
  return explainBetween(cluster, fields);
}

/** An explanation, and how its ends were found. */
export interface LocatedExplanation extends Explanation {
  readonly ends: { readonly from: Party['kind']; readonly to: Party['kind'] };
  /** Of the nodes between the ends, where their own endpoints may have a say. */
  readonly uplinks: readonly Uplink[];
}

/** @param fields - `from`, `to`, `port`, `protocol` and, if need be, `ipVersion`. */
export function explainBetween(cluster: Cluster, fields: Fields): LocatedExplanation {
  const text = (key: 'from' | 'to') => {
    const found = own(fields, key);
    if (typeof found === 'string') return found;
    throw wrong(key, found, 'namespace/pod, an address or host/NODE');
  };
  const [from, to] = partiesOf(cluster, text('from'), text('to'));
  const ipVersion = own(fields, 'ipVersion');
  if (ipVersion !== undefined && ipVersion !== 4 && ipVersion !== 6)
    throw wrong('ipVersion', ipVersion, '4 or 6');
  const probe = probeTo(cluster, to, own(fields, 'protocol'), own(fields, 'port'));
  const explanation = explain(from, to, ipVersion === undefined ? probe : { ...probe, ipVersion });
  const ends = { from: from.kind, to: to.kind };
  return { ...explanation, ends, uplinks: uplinksBetween(cluster, [from, to]) };
}

function matrixOf(state: DataplaneState, fields: Fields): VerdictTables {
  const probes = listAt(fields, 'matrix').map((row) => {
    if (!Array.isArray(row)) throw wrong('matrix', row, '[port, protocol]');
    const [port, protocol = 'TCP'] = row as readonly unknown[];
    return matrixProbe(packetSpec(protocol, port));
  });
  const ipVersion = own(fields, 'ipVersion') === 6 ? 6 : familyOfAll(state);
  return matrixTables(state, verdictMatrix(state, { probes, ipVersion }));
}

export function matrixProbe(spec: PacketSpec): Parameters<typeof verdictMatrix>[1]['probes'][number] {
  const { protocol, dstPort, icmpType, icmpCode } = spec;
  return {
    protocol,
    ...(dstPort === undefined ? {} : { port: dstPort }),
    ...(icmpType === undefined ? {} : { icmpType }),
    ...(icmpCode === undefined ? {} : { icmpCode }),
  };
}

/** 4 unless no Pod has an IPv4 address. */
export function familyOfAll(state: DataplaneState): 4 | 6 {
  const addresses = [...state.endpoints.values()].flatMap((endpoint) => endpoint.addresses);
  return addresses.length > 0 && addresses.every((address) => address.includes(':')) ? 6 : 4;
}
