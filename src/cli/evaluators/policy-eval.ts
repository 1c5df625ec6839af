// SPDX-License-Identifier: Apache-2.0
/**
 * `policy eval`: one probe, or all pairs of Pods for a list of ports, judged by the compiled messages.
 *
 * @throws {InvalidError} for a request that is none, with every fault of its policies.
 */
import { InvalidError } from '../../lib/errors.ts';
import type { DataplaneState } from '../../observe/dataplane-state.ts';
import { type Explanation, explain } from '../../observe/explain.ts';
import { matrixTables, type VerdictTables, verdictMatrix } from '../../observe/matrix.ts';
import { clusterOf, partyOf, requestedResources } from './cluster.ts';
import { type PacketSpec, packetSpec } from './probe-spec.ts';
import { type Fields, fieldsOf, listAt, own, wrong } from './request.ts';

export function evaluatePolicyRequest(request: unknown): Explanation | { tables: VerdictTables } {
  const fields = fieldsOf(request, 'request');
  const { state, faults } = clusterOf(requestedResources(fields));
  if (faults.length > 0)
    throw new InvalidError(`cannot evaluate: ${faults[0]?.path}: ${faults[0]?.message}`, faults);
  if (own(fields, 'matrix') !== undefined) return { tables: matrixOf(state, fields) };
  return explainBetween(state, fields);
}

/** @param fields - `from`, `to`, `port`, `protocol` and, if need be, `ipVersion`. */
export function explainBetween(state: DataplaneState, fields: Fields): Explanation {
  const party = (key: 'from' | 'to') => {
    const text = own(fields, key);
    if (typeof text !== 'string') throw wrong(key, text, 'namespace/pod or an address');
    return partyOf(state, text);
  };
  const [from, to] = [party('from'), party('to')];
  const ipVersion = own(fields, 'ipVersion');
  if (ipVersion !== undefined && ipVersion !== 4 && ipVersion !== 6)
    throw wrong('ipVersion', ipVersion, '4 or 6');
  const probe = { ...packetSpec(own(fields, 'protocol') ?? 'TCP', own(fields, 'port')) };
  return explain(from, to, ipVersion === undefined ? probe : { ...probe, ipVersion });
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
