// SPDX-License-Identifier: Apache-2.0
/** What of a service is reached where, and by whom: its frontends, each with the backends of those who come to it. */

import type { ServiceBackend, ServiceFrontend } from '../contract/services.ts';
import { type Family, familyOf } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import { type Choice, choose, type Here } from './choice.ts';
import { frontendText } from './claims.ts';
import type { PortEndpoint } from './endpoint.ts';
import type { ServicePort, ServiceSpec } from './service-spec.ts';

/** Gives the endpoints of one port in one family. */
export type EndpointsOf = (port: ServicePort, family: Family) => readonly PortEndpoint[];

/** Each once: of two ports with one number the first counts. */
export function frontendsOf(
  service: ServiceSpec,
  endpointsOf: EndpointsOf,
  here: Here,
): readonly ServiceFrontend[] {
  const found = new Map<string, ServiceFrontend>();
  for (const port of service.ports) {
    for (const family of service.families) {
      const choice = choose(endpointsOf(port, family), here);
      for (const frontend of portFrontends(service, port, family, choice, here)) {
        const key = frontendText(frontend);
        if (!found.has(key)) found.set(key, frontend);
      }
    }
  }
  return [...found.values()];
}

function portFrontends(
  service: ServiceSpec,
  port: ServicePort,
  family: Family,
  choice: Choice,
  here: Here,
): readonly ServiceFrontend[] {
  return [
    ...addressFrontends(service, port, family, choice, here),
    ...nodePorts(service, port, family, choice, here),
  ];
}

function addressFrontends(
  service: ServiceSpec,
  port: ServicePort,
  family: Family,
  choice: Choice,
  here: Here,
): readonly ServiceFrontend[] {
  return service.addresses
    .filter(({ address }) => familyOf(address) === family)
    .map(({ kind, address }) => ({
      ...frontend(service, port, kind, address, family),
      ...(kind === 'cluster-ip'
        ? insideOnly(service, choice, here)
        : insideAndOutside(service, choice, here)),
      sources: kind === 'load-balancer' ? sourcesOf(service, family) : null,
    }));
}

function nodePorts(
  service: ServiceSpec,
  port: ServicePort,
  family: Family,
  choice: Choice,
  here: Here,
): readonly ServiceFrontend[] {
  if (port.nodePort === 0) return [];
  const reached = insideAndOutside(service, choice, here);
  return [
    {
      ...frontend(service, { ...port, port: port.nodePort }, 'node-port', null, family),
      ...reached,
      sources: null,
    },
  ];
}

type Fixed = Pick<
  ServiceFrontend,
  'kind' | 'address' | 'family' | 'protocol' | 'port' | 'portName' | 'affinitySeconds' | 'maglev'
>;

function frontend(
  service: ServiceSpec,
  { name, protocol, port }: ServicePort,
  kind: ServiceFrontend['kind'],
  address: Address | null,
  family: Family,
): Fixed {
  const { affinitySeconds, isMaglev } = service;
  const maglev = isMaglev && kind !== 'cluster-ip';
  return { kind, address, family, protocol, port, portName: name, affinitySeconds, maglev };
}

type Reached = Pick<ServiceFrontend, 'inside' | 'outside' | 'withoutInside' | 'withoutOutside'>;

/** A cluster address means the same to whoever finds his way to it. */
function insideOnly(service: ServiceSpec, choice: Choice, here: Here): Reached {
  const backends = backendsOf(service.isInternalLocal ? choice.local : choice.cluster, here);
  const without = withoutBackend(service.isInternalLocal, choice);
  return { inside: backends, outside: backends, withoutInside: without, withoutOutside: without };
}

/**
 * Who is inside already is spared the way out and in again, and so the policy for outside: kube-proxy's short circuit.
 * Maglev spreads over the same backends on every node, hence neither over local nor over near ones alone.
 */
function insideAndOutside(service: ServiceSpec, choice: Choice, here: Here): Reached {
  const isLocal = service.isExternalLocal && !service.isMaglev;
  const policy = isLocal ? choice.local : choice.cluster;
  return {
    inside: backendsOf(choice.cluster, here),
    outside: backendsOf(service.isMaglev ? choice.everywhere : policy, here),
    withoutInside: 'reject',
    withoutOutside: withoutBackend(isLocal, choice),
  };
}

/** Another node may have one: then silence, so that the client tries again there. */
function withoutBackend(isLocal: boolean, choice: Choice): 'reject' | 'drop' {
  return isLocal && choice.everywhere.length > 0 ? 'drop' : 'reject';
}

function backendsOf(endpoints: readonly PortEndpoint[], here: Here): readonly ServiceBackend[] {
  return endpoints.map(({ address, port, node }) => ({ address, port, local: node === here.node }));
}

/** Ranges of the other family alone let nobody of this one in. */
function sourcesOf({ sources }: ServiceSpec, family: Family): ServiceFrontend['sources'] {
  return sources?.filter((cidr) => familyOf(cidr) === family) ?? null;
}
