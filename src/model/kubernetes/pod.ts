// SPDX-License-Identifier: Apache-2.0
/**
 * A Pod as the workload endpoint that stands for it.
 *
 * @see libcalico-go/lib/backend/k8s/conversion, PodToWorkloadEndpoints
 */
import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { tryParseAddress } from '../../lib/address.ts';
import type { Address, IfName } from '../../lib/brand.ts';
import { addressOf, tryParseCidr } from '../../lib/cidr.ts';
import { parseIfName } from '../../lib/if-name.ts';
import { parseProtocol } from '../../lib/protocol.ts';
import { listAt, memberAt, recordOf, textAt, textMapAt } from '../json.ts';
import {
  namespaceLabel,
  namespacePrefix,
  orchestratorLabel,
  serviceAccountLabel,
  serviceAccountPrefix,
} from '../selector/rewrite.ts';
import type { Resource, WorkloadEndpointValue } from '../types.ts';
import { namespaceProfileName, serviceAccountProfileName } from './profiles.ts';

/** FelixConfiguration interfacePrefix. */
const interfacePrefix = 'cali';
const finished = ['Succeeded', 'Failed'];
const podIpAnnotation = 'cni.projectcalico.org/podIP';
const podIpsAnnotation = 'cni.projectcalico.org/podIPs';

/** `cali` and 11 hex digits of SHA-1 over `namespace.pod`: Calico's name for the host's end of the link. */
export function workloadInterfaceName(namespace: string, pod: string): IfName {
  return parseIfName(interfacePrefix + bytesToHex(sha1(utf8ToBytes(`${namespace}.${pod}`))).slice(0, 11));
}

/** Null for a Pod that has no endpoint: not placed, without address, finished, or in its node's own network. */
export function podEndpoint(pod: Resource): WorkloadEndpointValue | null {
  const node = textAt(pod, 'spec', 'nodeName');
  const addresses = podAddresses(pod);
  if (
    node === '' ||
    addresses.length === 0 ||
    isFinished(pod) ||
    memberAt(pod, 'spec', 'hostNetwork') === true
  )
    return null;
  const { name, namespace = 'default' } = pod.metadata;
  const account =
    textAt(pod, 'spec', 'serviceAccountName') || textAt(pod, 'spec', 'serviceAccount') || 'default';
  return {
    name: `${namespace}/${name}`,
    node,
    ifName: workloadInterfaceName(namespace, name),
    addresses,
    labels: labelsOf(pod, namespace, account),
    profiles: [namespaceProfileName(namespace), serviceAccountProfileName(namespace, account)],
    ports: namedPorts(pod),
    adminUp: true,
  };
}

/** The status, or what the CNI plug-in wrote until the kubelet fills the status in. */
export function podAddresses(pod: Resource): readonly Address[] {
  const annotations = textMapAt(pod, 'metadata', 'annotations');
  const sources = [
    listAt(pod, 'status', 'podIPs').map((item) => textAt(item, 'ip')),
    [textAt(pod, 'status', 'podIP')],
    (annotations.get(podIpsAnnotation) ?? '').split(','),
    [annotations.get(podIpAnnotation) ?? ''],
  ];
  const texts = sources
    .map((source) => source.filter((text) => text !== ''))
    .find((source) => source.length > 0);
  const addresses = (texts ?? []).map((text) => parseEither(text.trim()));
  return [...new Set(addresses.filter((address) => address !== null))];
}

/** Ended, or about to end with its address given back already, which the CNI plug-in tells by an empty annotation. */
function isFinished(pod: Resource): boolean {
  if (finished.includes(textAt(pod, 'status', 'phase'))) return true;
  const deleting = memberAt(pod, 'metadata', 'deletionTimestamp') !== undefined;
  return deleting && textMapAt(pod, 'metadata', 'annotations').get(podIpAnnotation) === '';
}

/** The annotations hold CIDRs of one address, the status bare addresses. */
function parseEither(text: string): Address | null {
  const cidr = text.includes('/') ? tryParseCidr(text) : null;
  return cidr ? addressOf(cidr) : tryParseAddress(text);
}

/** A Pod's author cannot take the names that its namespace, its account or Muslin gives. */
function labelsOf(pod: Resource, namespace: string, account: string): { readonly [key: string]: string } {
  const own = [...textMapAt(pod, 'metadata', 'labels')].filter(
    ([key]) => !key.startsWith(namespacePrefix) && !key.startsWith(serviceAccountPrefix),
  );
  return recordOf([
    ...own,
    [namespaceLabel, namespace],
    [orchestratorLabel, 'k8s'],
    [serviceAccountLabel, account],
  ]);
}

function namedPorts(pod: Resource): WorkloadEndpointValue['ports'] {
  const containers = [...listAt(pod, 'spec', 'containers'), ...sidecars(pod)];
  return containers.flatMap((container) =>
    listAt(container, 'ports').flatMap((port) => {
      const name = textAt(port, 'name');
      const number = Number(memberAt(port, 'containerPort'));
      const protocol = parseProtocol(textAt(port, 'protocol') || 'TCP');
      return name === '' || !Number.isInteger(number) ? [] : [{ name, protocol, port: number }];
    }),
  );
}

/** Init containers that stay: Kubernetes "Sidecar Containers", restartPolicy Always. */
function sidecars(pod: Resource): readonly unknown[] {
  return listAt(pod, 'spec', 'initContainers').filter(
    (container) => textAt(container, 'restartPolicy') === 'Always',
  );
}
