// SPDX-License-Identifier: Apache-2.0
/** What has addresses and labels, as the calculation graph reads it: endpoints of workloads and hosts, network sets, services. */
import { tryParseAddress } from '../lib/address.ts';
import type { Address, Cidr } from '../lib/brand.ts';
import { addressOf, hostCidr, tryParseCidr } from '../lib/cidr.ts';
import { parseIfName } from '../lib/if-name.ts';
import { tryParseProtocol } from '../lib/protocol.ts';
import { listAt, member, memberAt, recordOf, textAt, textMapAt } from './json.ts';
import { namespaceProfileName } from './kubernetes/profiles.ts';
import { namespaceLabel, orchestratorLabel, serviceAccountLabel } from './selector/rewrite.ts';
import type {
  HostEndpointValue,
  NetworkSetValue,
  Resource,
  ResourceKey,
  ServiceEndpointsValue,
  WorkloadEndpointValue,
} from './types.ts';

export function hostEndpoint(resource: Resource): HostEndpointValue {
  const written = textAt(resource, 'spec', 'interfaceName');
  return {
    name: resource.metadata.name,
    node: textAt(resource, 'spec', 'node'),
    ifName: written === '' ? null : written === '*' ? '*' : parseIfName(written),
    addresses: addressesOf(listAt(resource, 'spec', 'expectedIPs')),
    labels: recordOf(textMapAt(resource, 'metadata', 'labels')),
    profiles: listAt(resource, 'spec', 'profiles').map(String),
    ports: portsOf(resource),
  };
}

/** A projectcalico.org/v3 WorkloadEndpoint, as orchestrators other than Kubernetes store it. Null: it has no link yet. */
export function workloadEndpoint(key: ResourceKey, resource: Resource): WorkloadEndpointValue | null {
  const spec = memberAt(resource, 'spec');
  const ifName = textAt(spec, 'interfaceName');
  if (ifName === '' || textAt(spec, 'node') === '') return null;
  const { namespace = 'default' } = key;
  const workload = textAt(spec, 'pod') || textAt(spec, 'workload') || key.name;
  const given = [
    [orchestratorLabel, textAt(spec, 'orchestrator')],
    [serviceAccountLabel, textAt(spec, 'serviceAccountName')],
  ] as const;
  return {
    name: `${namespace}/${workload}`,
    node: textAt(spec, 'node'),
    ifName: parseIfName(ifName),
    addresses: addressesOf(listAt(spec, 'ipNetworks')),
    labels: recordOf([
      ...textMapAt(resource, 'metadata', 'labels'),
      ...given.filter(([, value]) => value !== ''),
      [namespaceLabel, namespace] as const,
    ]),
    profiles: listAt(spec, 'profiles').map(String),
    ports: portsOf(resource),
    adminUp: true,
  };
}

export function networkSet(key: ResourceKey, resource: Resource): NetworkSetValue {
  const labels = [...textMapAt(resource, 'metadata', 'labels')];
  const { namespace } = key;
  return {
    nets: listAt(resource, 'spec', 'nets').flatMap((net) => netOf(String(net))),
    labels: recordOf(namespace === undefined ? labels : [...labels, [namespaceLabel, namespace]]),
    profiles: namespace === undefined ? [] : [namespaceProfileName(namespace)],
  };
}

function netOf(text: string): Cidr[] {
  const address = tryParseAddress(text);
  const cidr = address ? hostCidr(address) : tryParseCidr(text);
  return cidr ? [cidr] : [];
}

/** Null for a slice of no service. Ready or not, as Calico's own index takes them: policy must not flap with probes. */
export function serviceEndpoints(resource: Resource): ServiceEndpointsValue | null {
  const name = textMapAt(resource, 'metadata', 'labels').get('kubernetes.io/service-name') ?? '';
  if (name === '' || textAt(resource, 'addressType') === 'FQDN') return null;
  return {
    service: { namespace: resource.metadata.namespace ?? 'default', name },
    addresses: addressesOf(listAt(resource, 'endpoints').flatMap((each) => listAt(each, 'addresses'))),
    ports: listAt(resource, 'ports').flatMap((each) => {
      const port = member(each, 'port');
      const protocol = tryParseProtocol(textAt(each, 'protocol') || 'TCP');
      return typeof port === 'number' && protocol !== null ? [{ protocol, port }] : [];
    }),
  };
}

/** Addresses, or CIDRs of one address each; each once. */
function addressesOf(texts: readonly unknown[]): readonly Address[] {
  const found = texts.map((text) => {
    const cidr = String(text).includes('/') ? tryParseCidr(String(text)) : null;
    return cidr ? addressOf(cidr) : tryParseAddress(String(text));
  });
  return [...new Set(found.filter((address) => address !== null))];
}

function portsOf(resource: Resource): HostEndpointValue['ports'] {
  return listAt(resource, 'spec', 'ports').flatMap((each) => {
    const name = textAt(each, 'name');
    const port = member(each, 'port');
    const written = member(each, 'protocol');
    const protocol =
      typeof written === 'string' || typeof written === 'number' ? tryParseProtocol(written) : null;
    return name !== '' && typeof port === 'number' && protocol !== null ? [{ name, protocol, port }] : [];
  });
}
