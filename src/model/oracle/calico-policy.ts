// SPDX-License-Identifier: Apache-2.0
/** Policies of projectcalico.org/v3, read as their documentation tells them. */
import type { Resource } from '../types.ts';
import { calicoRule } from './calico-rule.ts';
import type { Directory } from './directory.ts';
import { type Fields, fieldsIn, fieldsOf, isTrue, listIn, numberIn, textIn, textsIn } from './fields.ts';
import {
  labelsOf,
  namespaceLabel,
  namespaceOf,
  namespaceOfOwner,
  serviceAccountOfEndpoint,
  serviceAccountOfOwner,
} from './owner.ts';
import type { Policy, Rule } from './policy.ts';
import { selects } from './selects.ts';

export function calicoPolicy(
  resource: Resource,
  kind: 'NetworkPolicy' | 'GlobalNetworkPolicy',
  directory: Directory,
): Policy {
  const spec = fieldsIn(resource, 'spec');
  const namespace = kind === 'NetworkPolicy' ? namespaceOf(resource) : '';
  const rules = (direction: string): Rule[] =>
    listIn(spec, direction).map((rule) => calicoRule(fieldsOf(rule), namespace, directory));
  const [ingress, egress] = [rules('ingress'), rules('egress')];
  return {
    kind,
    namespace,
    name: resource.metadata.name,
    tier: textIn(spec, 'tier') || 'default',
    traffic: trafficOf(spec),
    order: numberIn(spec, 'order') ?? Number.POSITIVE_INFINITY,
    governs: governs(textsIn(spec, 'types'), ingress.length, egress.length),
    rules: { ingress, egress },
    selects: endpointSelector(spec, namespace),
  };
}

function trafficOf(spec: Fields): Policy['traffic'] {
  if (isTrue(spec, 'doNotTrack')) return 'untracked';
  if (isTrue(spec, 'preDNAT')) return 'pre-dnat';
  return isTrue(spec, 'applyOnForward') ? 'normal-and-forward' : 'normal';
}

/** By the length of the lists, for `egress: []` is no egress rule. */
function governs(types: readonly string[], ingressRules: number, egressRules: number): Policy['governs'] {
  if (types.length > 0) return { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
  if (egressRules === 0) return { ingress: true, egress: false };
  return { ingress: ingressRules > 0, egress: true };
}

function endpointSelector(spec: Fields, namespace: string): Policy['selects'] {
  const bySelector = selects(textIn(spec, 'selector'));
  const namespaceSelector = textIn(spec, 'namespaceSelector');
  const accountSelector = textIn(spec, 'serviceAccountSelector');
  const byNamespace = namespaceSelector && !namespace ? selects(namespaceSelector) : null;
  const byAccount = accountSelector ? selects(accountSelector) : null;
  return (endpoint) =>
    (!namespace || endpoint.labels.get(namespaceLabel) === namespace) &&
    bySelector(labelsOf(endpoint)) &&
    (!byNamespace || byNamespace(namespaceOfOwner(endpoint))) &&
    (!byAccount ||
      byAccount(namespace ? serviceAccountOfOwner(endpoint) : serviceAccountOfEndpoint(endpoint)));
}
