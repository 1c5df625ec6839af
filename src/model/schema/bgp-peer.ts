// SPDX-License-Identifier: Apache-2.0
/** BGPPeer: sessions of one node, of some, or of all. */
import {
  apart,
  asNumber,
  flag,
  goDuration,
  listOf,
  name,
  object,
  oneOf,
  password,
  resource,
  selector,
} from './fragments.ts';
import type { Rule, Schema } from './schema.ts';

const isEmpty = (field: string) => `!has(self.${field}) || size(self.${field}) == 0`;

const rules: readonly Rule[] = [
  apart('node', 'nodeSelector', 'want none beside node'),
  apart('peerIP', 'peerSelector', 'want none beside peerIP'),
  {
    rule: `${isEmpty('peerSelector')} || !has(self.asNumber) || self.asNumber == 0`,
    message: 'want none beside peerSelector: the nodes have their own',
    fieldPath: '.asNumber',
    reason: 'FieldValueForbidden',
  },
  apart('localWorkloadSelector', 'peerIP', 'want none beside localWorkloadSelector'),
  apart('localWorkloadSelector', 'peerSelector', 'want none beside localWorkloadSelector'),
  {
    rule: `${isEmpty('localWorkloadSelector')} || (has(self.asNumber) && self.asNumber != 0)`,
    message: 'want the AS number of the workloads with localWorkloadSelector',
    fieldPath: '.asNumber',
    reason: 'FieldValueRequired',
  },
  {
    rule: `${isEmpty('reachableBy')} || (has(self.peerIP) && size(self.peerIP) > 0)`,
    message: 'want none without peerIP',
    fieldPath: '.reachableBy',
    reason: 'FieldValueForbidden',
  },
  {
    rule: '!has(self.keepOriginalNextHop) || !self.keepOriginalNextHop || !has(self.nextHopMode)',
    message: 'want false or nothing: nextHopMode says it',
    fieldPath: '.keepOriginalNextHop',
    reason: 'FieldValueForbidden',
  },
];

export const bgpPeer: Schema = resource(
  object(
    {
      node: name,
      nodeSelector: selector,
      peerIP: { type: 'string', maxLength: 64, format: 'peer-address' },
      peerSelector: selector,
      localWorkloadSelector: selector,
      asNumber,
      localASNumber: asNumber,
      nextHopMode: oneOf('Auto', 'Self', 'Keep'),
      keepOriginalNextHop: flag,
      password,
      sourceAddress: oneOf('UseNodeIP', 'None'),
      maxRestartTime: goDuration,
      keepaliveTime: goDuration,
      numAllowedLocalASNumbers: { type: 'integer', format: 'int32', minimum: 0 },
      ttlSecurity: { type: 'integer', minimum: 0, maximum: 255 },
      reachableBy: { type: 'string', maxLength: 64, format: 'ip' },
      filters: listOf({ type: 'string', format: 'dns-name' }, { 'x-kubernetes-list-type': 'atomic' }),
      reversePeering: oneOf('Auto', 'Manual'),
    },
    { 'x-kubernetes-validations': rules },
  ),
);
