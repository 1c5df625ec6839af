// SPDX-License-Identifier: Apache-2.0
/**
 * Namespaces and service accounts as profiles: what lets an unselected Pod talk, and how their labels reach its selectors.
 *
 * @see libcalico-go/lib/backend/k8s/conversion, NamespaceToProfile and ServiceAccountToProfile
 */
import { recordOf, textMapAt } from '../json.ts';
import { nameLabel, namespacePrefix, serviceAccountPrefix } from '../selector/rewrite.ts';
import type { Resource } from '../types.ts';

export function namespaceProfileName(namespace: string): string {
  return `kns.${namespace}`;
}

export function serviceAccountProfileName(namespace: string, name: string): string {
  return `ksa.${namespace}.${name}`;
}

/** Allows both ways: Kubernetes isolates only Pods that a policy selects. */
export function namespaceProfile(namespace: Resource): Resource {
  const allow = [{ action: 'Allow', source: {}, destination: {} }];
  return profile(namespaceProfileName(namespace.metadata.name), namespace, namespacePrefix, {
    ingress: allow,
    egress: allow,
  });
}

export function serviceAccountProfile(account: Resource): Resource {
  const { namespace = 'default', name } = account.metadata;
  return profile(serviceAccountProfileName(namespace, name), account, serviceAccountPrefix, {});
}

function profile(name: string, of: Resource, prefix: string, rules: object): Resource {
  const labels = [...textMapAt(of, 'metadata', 'labels')].map(
    ([key, value]) => [prefix + key, value] as const,
  );
  const labelsToApply = recordOf([...labels, [prefix + nameLabel, of.metadata.name] as const]);
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'Profile',
    metadata: { name },
    spec: { ...rules, labelsToApply },
  };
}
