// SPDX-License-Identifier: Apache-2.0
import type { EndpointGroup } from './endpoint.ts';
import type { ServiceSpec } from './service-spec.ts';

/** Load balancers ask a node's port whether the service is answered there: healthCheckNodePort. */
export interface HealthCheck {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** Ready ones on this node. */
  readonly localEndpoints: number;
}

/** A Pod with two ports, or with an address of each family, is one endpoint. Null: nobody asks. */
export function healthCheckOf(
  { namespace, name, healthCheckPort: port }: ServiceSpec,
  groups: readonly EndpointGroup[],
  here: string,
): HealthCheck | null {
  if (port === 0) return null;
  const ready = groups
    .flatMap(({ ports, endpoints }) => (ports.length > 0 ? endpoints : []))
    .filter((endpoint) => endpoint.ready && endpoint.node === here);
  const [ipv4, ipv6] = [false, true].map(
    (isV6) => new Set(ready.map(({ address }) => address).filter((text) => text.includes(':') === isV6)),
  );
  return { namespace, name, port, localEndpoints: Math.max(ipv4?.size ?? 0, ipv6?.size ?? 0) };
}
