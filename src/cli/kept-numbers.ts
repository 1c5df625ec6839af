// SPDX-License-Identifier: Apache-2.0
/**
 * What was given to a Service stays its own when a manifest without it is applied again, as long as the type still has it.
 *
 * @see kubernetes pkg/registry/core/service/storage, patchAllocatedValues
 */
import { isObject, listAt, memberAt, textAt } from '../model/json.ts';
import type { Resource } from '../model/types.ts';

export function withKeptNumbers(written: Resource, before: Resource): Resource {
  const spec = {
    ...keptAddresses(written, before),
    ...keptPorts(written, before),
    ...keptHealthPort(written, before),
  };
  if (Object.keys(spec).length === 0) return written;
  return { ...written, spec: { ...(memberAt(written, 'spec') as object | undefined), ...spec } };
}

type Fields = { readonly [field: string]: unknown };

function both(written: Resource, before: Resource, holds: (service: Resource) => boolean): boolean {
  return holds(written) && holds(before);
}

function keptAddresses(written: Resource, before: Resource): Fields {
  if (!both(written, before, (service) => textAt(service, 'spec', 'type') !== 'ExternalName')) return {};
  const [single, list] = [textAt(written, 'spec', 'clusterIP'), listAt(written, 'spec', 'clusterIPs')];
  const [had, hadList] = [textAt(before, 'spec', 'clusterIP'), listAt(before, 'spec', 'clusterIPs')];
  if (list.length > 0 || had === '' || (single !== '' && single !== had)) return {};
  return { clusterIP: had, ...(hadList.length > 0 ? { clusterIPs: hadList } : {}) };
}

function keptPorts(written: Resource, before: Resource): Fields {
  const has = (service: Resource) => ['NodePort', 'LoadBalancer'].includes(textAt(service, 'spec', 'type'));
  if (!both(written, before, has)) return {};
  const had = new Map(
    listAt(before, 'spec', 'ports').map((port) => [textAt(port, 'name'), nodePortOf(port)]),
  );
  const ports = listAt(written, 'spec', 'ports');
  const used = new Set(ports.map(nodePortOf));
  if (!used.has(0)) return {};
  return { ports: ports.map((port) => withNodePort(port, had.get(textAt(port, 'name')) ?? 0, used)) };
}

function withNodePort(port: unknown, had: number, used: Set<number>): unknown {
  if (!isObject(port) || nodePortOf(port) !== 0 || used.has(had)) return port;
  used.add(had);
  return { ...port, nodePort: had };
}

function keptHealthPort(written: Resource, before: Resource): Fields {
  const has = (service: Resource) =>
    textAt(service, 'spec', 'type') === 'LoadBalancer' &&
    textAt(service, 'spec', 'externalTrafficPolicy') === 'Local';
  const had = memberAt(before, 'spec', 'healthCheckNodePort');
  const isWritten = Number(memberAt(written, 'spec', 'healthCheckNodePort') ?? 0) !== 0;
  return both(written, before, has) && had !== undefined && !isWritten ? { healthCheckNodePort: had } : {};
}

function nodePortOf(port: unknown): number {
  return Number(memberAt(port, 'nodePort') ?? 0);
}
