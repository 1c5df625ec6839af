// SPDX-License-Identifier: Apache-2.0
/** Kubernetes' own kinds: only what Muslin reads is checked, since real manifests hold much that is not ours. */
import { familyOf, tryParseAddress } from '../../lib/address.ts';
import { tryParseCidr } from '../../lib/cidr.ts';
import { listAt, memberAt, textAt } from '../json.ts';
import type { OpenKind } from '../schema/catalogue.ts';
import {
  type Check,
  every,
  flag,
  integer,
  isIntegerBetween,
  judged,
  list,
  object,
  oneOf,
  type Report,
  shown,
  text,
} from './check.ts';
import { dnsLabelText, dnsNameText, isPortName, labels, metadata } from './names.ts';

function openResource(
  name: Check,
  namespaced: boolean,
  members: { readonly [name: string]: Check } = {},
  required: readonly string[] = [],
): Check {
  return object(
    { apiVersion: text(), kind: text(), metadata: metadata(name, { namespaced, open: true }), ...members },
    { required: ['apiVersion', 'kind', 'metadata', ...required], open: true },
  );
}

const address: Check = judged((value) =>
  typeof value === 'string' && (value === '' || tryParseAddress(value))
    ? null
    : `got ${shown(value)}, want an address`,
);

const container: Check = object(
  {
    ports: list(
      object(
        {
          name: text(),
          containerPort: integer(1, 65535),
          hostPort: integer(0, 65535),
          protocol: oneOf('TCP', 'UDP', 'SCTP'),
        },
        { open: true, required: ['containerPort'] },
      ),
    ),
  },
  { open: true },
);

const pod = openResource(dnsNameText, true, {
  spec: object(
    {
      nodeName: text(),
      hostNetwork: flag,
      serviceAccountName: text(),
      containers: list(container),
      initContainers: list(container),
    },
    { open: true },
  ),
  status: object(
    {
      phase: text(),
      podIP: address,
      podIPs: list(object({ ip: address }, { open: true })),
    },
    { open: true },
  ),
});

const node = openResource(dnsNameText, false, {
  status: object(
    {
      addresses: list(
        object({ type: text(), address: text() }, { open: true, required: ['type', 'address'] }),
      ),
    },
    { open: true },
  ),
});

/** True for a fault inside one rule of a Kubernetes policy, which then is left out alone. */
export function isRuleFault(path: string): boolean {
  return /^spec\.(ingress|egress)\[[0-9]+\]/.test(path);
}

/** A pod's own annotations with addresses, `cni.projectcalico.org/podIP` and `podIPs`. */
const podAddresses: Check = (value: unknown, _: string, report: Report) => {
  for (const name of ['cni.projectcalico.org/podIP', 'cni.projectcalico.org/podIPs']) {
    const written = memberAt(value, 'metadata', 'annotations', name);
    if (typeof written !== 'string' || written === '') continue;
    for (const part of written.split(',')) {
      if (!tryParseCidr(part.trim()))
        report(`metadata.annotations.${name}`, `got ${shown(part)}, want an address`);
    }
  }
};

const transport = oneOf('TCP', 'UDP', 'SCTP');
const optionalPort = integer(0, 65535);
const open = { open: true } as const;

const addressRange: Check = judged((value) =>
  typeof value === 'string' && tryParseCidr(value.trim())
    ? null
    : `got ${shown(value)}, want an address or a CIDR`,
);

/** None, for services that have no address of their own. */
const clusterAddress: Check = (value, path, report) => {
  if (value !== 'None') address(value, path, report);
};

const servicePort: Check = object(
  {
    name: text(),
    protocol: transport,
    port: integer(1, 65535),
    nodePort: optionalPort,
    targetPort: judged((value) => {
      const good =
        typeof value === 'string' ? value === '' || isPortName(value) : isIntegerBetween(value, 0, 65535);
      return good ? null : `got ${shown(value)}, want a port or the name of a port`;
    }),
  },
  { open: true, required: ['port'] },
);

const service = openResource(dnsLabelText, true, {
  spec: object(
    {
      type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
      clusterIP: clusterAddress,
      clusterIPs: list(clusterAddress),
      externalIPs: list(address),
      loadBalancerIP: address,
      loadBalancerSourceRanges: list(addressRange),
      ports: list(servicePort),
      selector: labels,
      sessionAffinity: oneOf('None', 'ClientIP'),
      externalTrafficPolicy: oneOf('Cluster', 'Local'),
      internalTrafficPolicy: oneOf('Cluster', 'Local'),
      healthCheckNodePort: optionalPort,
    },
    open,
  ),
  status: object({ loadBalancer: object({ ingress: list(object({ ip: address }, open)) }, open) }, open),
});

/** By the slice's addressType: names mean nothing to a packet. */
const endpointAddresses: Check = (value, _, report) => {
  const type = textAt(value, 'addressType');
  if (type !== 'IPv4' && type !== 'IPv6') return;
  for (const [i, endpoint] of listAt(value, 'endpoints').entries()) {
    for (const [j, item] of listAt(endpoint, 'addresses').entries()) {
      const found = typeof item === 'string' ? tryParseAddress(item) : null;
      if (!found || `IPv${familyOf(found)}` !== type)
        report(`endpoints[${i}].addresses[${j}]`, `got ${shown(item)}, want an ${type} address`);
    }
  }
};

const endpoint: Check = object(
  {
    addresses: list(text()),
    conditions: object({ ready: flag, serving: flag, terminating: flag }, open),
    nodeName: text(),
    hostname: text(),
    zone: text(),
  },
  { open: true, required: ['addresses'] },
);

const endpointSlice = openResource(
  dnsNameText,
  true,
  {
    addressType: oneOf('IPv4', 'IPv6', 'FQDN'),
    endpoints: list(endpoint),
    ports: list(object({ name: text(), protocol: transport, port: optionalPort }, open)),
  },
  ['addressType', 'endpoints'],
);

export const openShapes: { readonly [K in OpenKind]: Check } = {
  Namespace: openResource(dnsLabelText, false),
  ServiceAccount: openResource(dnsNameText, true),
  Pod: every(pod, podAddresses),
  Node: node,
  Service: service,
  EndpointSlice: every(endpointSlice, endpointAddresses),
};
