// SPDX-License-Identifier: Apache-2.0
/**
 * The shapes of Kubernetes' kinds. NetworkPolicy is read strictly, as its API server does; of the others only what
 * Muslin reads is checked, since real manifests hold much that is not ours.
 *
 * @see k8s.io/kubernetes pkg/apis/networking/validation
 */
import { tryParseAddress } from '../../lib/address.ts';
import { cidrContains, tryParseCidr } from '../../lib/cidr.ts';
import { listAt, member, memberAt, textAt } from '../json.ts';
import type { KubernetesKind } from '../types.ts';
import { dnsLabelText, dnsNameText, labelKeyFault, labelText, metadata } from './names.ts';
import { isPortName, maxRules } from './rule.ts';
import {
  anything,
  type Check,
  every,
  flag,
  integer,
  isIntegerBetween,
  judged,
  list,
  map,
  object,
  oneOf,
  type Report,
  shown,
  text,
} from './schema.ts';

function openResource(
  name: Check,
  namespaced: boolean,
  members: { readonly [name: string]: Check } = {},
): Check {
  return object(
    { apiVersion: text(), kind: text(), metadata: metadata(name, { namespaced, open: true }), ...members },
    { required: ['apiVersion', 'kind', 'metadata'], open: true },
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

const labelKeyText: Check = judged((value) => {
  const fault = typeof value === 'string' ? labelKeyFault(value) : 'want a label key';
  return fault && `got ${shown(value)}, ${fault}`;
});

const requirement: Check = every(
  object(
    { key: labelKeyText, operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist'), values: list(labelText) },
    { required: ['key', 'operator'] },
  ),
  (value, path, report) => {
    const wantsValues = /^(In|NotIn)$/.test(textAt(value, 'operator'));
    const count = listAt(value, 'values').length;
    if (wantsValues && count === 0)
      report(`${path}.values`, 'got nothing, want at least one value with In and NotIn');
    if (!wantsValues && count > 0)
      report(`${path}.values`, 'got values, want none with Exists and DoesNotExist');
  },
);

const labelSelector: Check = object({
  matchLabels: map(labelKeyFault, labelText),
  matchExpressions: list(requirement),
});

const cidrText: Check = judged((value) =>
  typeof value === 'string' && value.includes('/') && tryParseCidr(value)
    ? null
    : `got ${shown(value)}, want a CIDR`,
);

const ipBlock: Check = every(
  object({ cidr: cidrText, except: list(cidrText) }, { required: ['cidr'] }),
  (value, path, report) => {
    const cidr = tryParseCidr(textAt(value, 'cidr'));
    for (const [i, item] of listAt(value, 'except').entries()) {
      const except = typeof item === 'string' ? tryParseCidr(item) : null;
      if (!cidr || !except || (cidrContains(cidr, except) && cidr !== except)) continue;
      report(`${path}.except[${i}]`, `got ${shown(item)}, want a part of ${cidr}`);
    }
  },
);

const peer: Check = every(
  object({ podSelector: labelSelector, namespaceSelector: labelSelector, ipBlock }),
  (value, path, report) => {
    const used = ['podSelector', 'namespaceSelector', 'ipBlock'].filter(
      (name) => member(value, name) !== undefined,
    );
    if (used.length === 0) report(path, 'got nothing, want podSelector, namespaceSelector or ipBlock');
    if (used.length > 1 && used.includes('ipBlock'))
      report(path, `got ${used.join(' and ')}, want ipBlock alone`);
  },
);

const policyPort: Check = every(
  object({ protocol: oneOf('TCP', 'UDP', 'SCTP'), port: judged(portFault), endPort: integer(1, 65535) }),
  (value, path, report) => {
    const endPort = member(value, 'endPort');
    if (endPort === undefined) return;
    const first = member(value, 'port');
    if (typeof first !== 'number')
      report(`${path}.endPort`, `got port ${shown(first)}, want a number with endPort`);
    else if (typeof endPort === 'number' && endPort < first)
      report(`${path}.endPort`, `got ${endPort}, want at least ${first}`);
  },
);

function portFault(value: unknown): string | null {
  const good = typeof value === 'string' ? isPortName(value) : isIntegerBetween(value, 1, 65535);
  return good ? null : `got ${shown(value)}, want a port from 1 to 65535 or the name of a port`;
}

function ruleList(peers: 'from' | 'to'): Check {
  return list(object({ [peers]: list(peer), ports: list(policyPort) }), { max: maxRules });
}

const networkPolicy: Check = object(
  {
    apiVersion: text(),
    kind: text(),
    metadata: metadata(dnsNameText, { namespaced: true, open: true }),
    spec: object(
      {
        podSelector: labelSelector,
        policyTypes: list(oneOf('Ingress', 'Egress'), { unique: true, max: 2 }),
        ingress: ruleList('from'),
        egress: ruleList('to'),
      },
      { required: ['podSelector'] },
    ),
    status: anything,
  },
  { required: ['apiVersion', 'kind', 'metadata', 'spec'] },
);

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

export const kubernetesShapes: { readonly [K in KubernetesKind]: Check } = {
  Namespace: openResource(dnsLabelText, false),
  ServiceAccount: openResource(dnsNameText, true),
  Pod: every(pod, podAddresses),
  Node: node,
  KubernetesNetworkPolicy: networkPolicy,
  Service: openResource(dnsNameText, true),
  EndpointSlice: openResource(dnsNameText, true),
  ClusterNetworkPolicy: openResource(dnsNameText, false),
};
