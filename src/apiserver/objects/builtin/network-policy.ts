// SPDX-License-Identifier: Apache-2.0
/** networking.k8s.io/v1 NetworkPolicy. @see kubernetes pkg/apis/networking/validation/validation.go */

import { cidrContains, isStrictCidr, tryParseCidr } from '../../../lib/cidr.ts';
import type { Json } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { forbidden, invalid, notSupported, required } from '../causes.ts';
import { isMap, listAt, mapAt, memberOf, textAt, valueAt } from '../json.ts';
import { badCidr, badPort, portNameFaults } from '../names.ts';
import type { ServedResource } from '../served-resource.ts';
import { textColumn } from './core.ts';
import {
  defaulted,
  integer,
  intOrString,
  kept,
  labelSelector,
  listOf,
  object,
  text,
  texts,
  written,
} from './fields.ts';
import { builtinKind } from './kind.ts';
import { labelSelectorCauses, labelSelectorText } from './label-selector.ts';

const port = object({
  protocol: kept(defaulted(text, 'TCP')),
  port: kept(intOrString),
  endPort: kept(integer),
});
const peer = object({
  podSelector: labelSelector,
  namespaceSelector: labelSelector,
  ipBlock: object({ cidr: written(text), except: texts }),
});

export const networkPolicies: ServedResource = builtinKind({
  group: 'networking.k8s.io',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  shortNames: ['netpol'],
  namespaced: true,
  counts: true,
  fields: {
    spec: written(
      object({
        podSelector: written(labelSelector),
        ingress: listOf(object({ ports: listOf(port), from: listOf(peer) })),
        egress: listOf(object({ ports: listOf(port), to: listOf(peer) })),
        policyTypes: texts,
      }),
    ),
  },
  columns: [
    textColumn('Pod-Selector', 'Selects the pods that this NetworkPolicy is about.', (each) =>
      labelSelectorText(valueAt(each, 'spec', 'podSelector')),
    ),
  ],
  fillIn: (each) => {
    if (listAt(each, 'spec', 'policyTypes').length > 0) return each;
    const hasEgress = listAt(each, 'spec', 'egress').length > 0;
    return {
      ...each,
      spec: { ...mapAt(each, 'spec'), policyTypes: hasEgress ? ['Ingress', 'Egress'] : ['Ingress'] },
    };
  },
  validate: (each) => specCauses(mapAt(each, 'spec')),
});

function specCauses(spec: Json): readonly Cause[] {
  const types = listAt(spec, 'policyTypes');
  return [
    ...labelSelectorCauses(memberOf(spec, 'podSelector'), 'spec.podSelector'),
    ...ruleCauses(spec, 'ingress', 'from'),
    ...ruleCauses(spec, 'egress', 'to'),
    ...(types.length > 2
      ? [invalid('spec.policyTypes', types, 'may not specify more than two policyTypes')]
      : types.flatMap((type, i) =>
          type === 'Ingress' || type === 'Egress'
            ? []
            : [notSupported(`spec.policyTypes[${i}]`, type, ['Ingress', 'Egress'])],
        )),
  ];
}

function ruleCauses(spec: Json, direction: string, side: string): readonly Cause[] {
  return listAt(spec, direction).flatMap((rule, i) => {
    const field = `spec.${direction}[${i}]`;
    return [
      ...listAt(rule, 'ports').flatMap((each, j) => portCauses(each, `${field}.ports[${j}]`)),
      ...listAt(rule, side).flatMap((each, j) => peerCauses(each, `${field}.${side}[${j}]`)),
    ];
  });
}

function portCauses(each: Json, field: string): readonly Cause[] {
  const protocol = textAt(each, 'protocol');
  const known = ['TCP', 'UDP', 'SCTP'];
  return [
    ...(known.includes(protocol) ? [] : [notSupported(`${field}.protocol`, protocol, known)]),
    ...numberCauses(memberOf(each, 'port'), `${field}.port`),
    ...endPortCauses(memberOf(each, 'port'), memberOf(each, 'endPort'), `${field}.endPort`),
  ];
}

function numberCauses(found: Json | undefined, field: string): readonly Cause[] {
  if (typeof found === 'number') return found >= 1 && found <= 65535 ? [] : [invalid(field, found, badPort)];
  if (typeof found !== 'string') return [];
  return portNameFaults(found).map((fault) => invalid(field, found, fault));
}

function endPortCauses(from: Json | undefined, end: Json | undefined, field: string): readonly Cause[] {
  if (typeof end !== 'number') return [];
  if (from === undefined) return [invalid(field, end, 'may not be specified when `port` is not specified')];
  if (typeof from !== 'number')
    return [invalid(field, end, 'may not be specified when `port` is non-numeric')];
  if (end < from) return [invalid(field, from, 'must be greater than or equal to `port`')];
  return end <= 65535 ? [] : [invalid(field, end, badPort)];
}

function peerCauses(each: Json, field: string): readonly Cause[] {
  const count = Object.keys(isMap(each) ? each : {}).length;
  if (count === 0) return [required(field, 'must specify a peer')];
  const block = memberOf(each, 'ipBlock');
  if (block !== undefined && count > 1)
    return [forbidden(field, 'may not specify both ipBlock and another peer')];
  if (block !== undefined) return blockCauses(block, `${field}.ipBlock`);
  return ['podSelector', 'namespaceSelector'].flatMap((name) =>
    labelSelectorCauses(memberOf(each, name), `${field}.${name}`),
  );
}

function blockCauses(block: Json, field: string): readonly Cause[] {
  const cidr = textAt(block, 'cidr');
  if (cidr === '') return [required(`${field}.cidr`)];
  const fault = cidrFault(cidr);
  if (fault !== null) return [invalid(`${field}.cidr`, cidr, fault)];
  return listAt(block, 'except').flatMap((except, i) =>
    exceptCauses(cidr, String(except), `${field}.except[${i}]`),
  );
}

function exceptCauses(cidr: string, except: string, field: string): readonly Cause[] {
  const fault = cidrFault(except);
  if (fault !== null) return [invalid(field, except, fault)];
  const [outer, inner] = [tryParseCidr(cidr), tryParseCidr(except)];
  if (outer && inner && outer !== inner && cidrContains(outer, inner)) return [];
  return [invalid(field, except, 'must be a strict subset of `cidr`')];
}

function cidrFault(cidr: string): string | null {
  if (/^0\d|[./]0\d/.test(cidr.split(':').length > 1 ? '' : cidr))
    return 'must not have leading 0s in IP or prefix length';
  if (!cidr.includes('/') || tryParseCidr(cidr) === null) return badCidr;
  return isStrictCidr(cidr) ? null : 'must not have bits set beyond the prefix length';
}
