// SPDX-License-Identifier: Apache-2.0
/** BGPConfiguration: what all sessions of a cluster, or of one node, share. */
import {
  anyCaseOf,
  anyText,
  asNumber,
  enabled,
  flag,
  goDuration,
  listOf,
  object,
  oneOf,
  password,
  resource,
  routePriority,
  setOf,
} from './fragments.ts';
import type { Rule, Schema } from './schema.ts';

const cidr: Schema = { type: 'string', format: 'masked-cidr' };
const blocks: Schema = setOf(object({ cidr }, { 'x-kubernetes-map-type': 'atomic' }));

const community: Schema = object(
  { name: { type: 'string', format: 'dns-name' }, value: { type: 'string', format: 'community' } },
  { 'x-kubernetes-map-type': 'atomic', required: ['name', 'value'] },
);

const advertisement: Schema = object(
  { cidr, communities: listOf(anyText) },
  { 'x-kubernetes-map-type': 'atomic', required: ['cidr', 'communities'] },
);

/** Settings of the mesh mean nothing without it. */
function needsMesh(field: string): Rule {
  return {
    rule: `!has(self.${field}) || !has(self.nodeToNodeMeshEnabled) || self.nodeToNodeMeshEnabled`,
    message: 'want nothing: nodeToNodeMeshEnabled is false',
    fieldPath: `.${field}`,
    reason: 'FieldValueForbidden',
  };
}

/** The mesh is one: what makes it up is said for the whole cluster. */
function globalOnly(field: string): Rule {
  return {
    rule: `self.metadata.name == 'default' || !has(self.spec) || !has(self.spec.${field})`,
    message: `want nothing: ${field} is set in the BGPConfiguration "default" alone`,
    fieldPath: `.spec.${field}`,
    reason: 'FieldValueForbidden',
  };
}

export const bgpConfiguration: Schema = resource(
  object(
    {
      logSeverityScreen: {
        ...anyCaseOf('Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal'),
        default: 'Info',
      },
      nodeToNodeMeshEnabled: flag,
      asNumber,
      listenPort: { type: 'integer', minimum: 1, maximum: 65535 },
      bindMode: oneOf('None', 'NodeIP'),
      communities: setOf(community, { maxItems: 500 }),
      prefixAdvertisements: setOf(advertisement, { maxItems: 500 }),
      serviceClusterIPs: blocks,
      serviceExternalIPs: blocks,
      serviceLoadBalancerIPs: blocks,
      serviceLoadBalancerAggregation: { ...enabled, default: 'Enabled' },
      nodeMeshPassword: password,
      nodeMeshMaxRestartTime: goDuration,
      ignoredInterfaces: setOf({ type: 'string', format: 'interface-pattern' }),
      localWorkloadPeeringIPV4: { type: 'string', format: 'ipv4' },
      localWorkloadPeeringIPV6: { type: 'string', format: 'ipv6' },
      programClusterRoutes: oneOf('Enabled', 'Disabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly'),
      ipv4NormalRoutePriority: routePriority,
      ipv6NormalRoutePriority: routePriority,
    },
    {
      'x-kubernetes-validations': [
        needsMesh('nodeMeshPassword'),
        needsMesh('nodeMeshMaxRestartTime'),
        {
          rule: '!has(self.communities) || size(self.communities) == 0 || (has(self.prefixAdvertisements) && size(self.prefixAdvertisements) > 0)',
          message: 'got communities without prefixAdvertisements, want prefixes that carry them',
          fieldPath: '.communities',
          reason: 'FieldValueInvalid',
        },
      ],
    },
  ),
  {
    'x-kubernetes-validations': [
      globalOnly('nodeToNodeMeshEnabled'),
      globalOnly('asNumber'),
      globalOnly('nodeMeshPassword'),
      globalOnly('nodeMeshMaxRestartTime'),
    ],
  },
);
