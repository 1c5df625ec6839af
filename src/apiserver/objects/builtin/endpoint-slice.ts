// SPDX-License-Identifier: Apache-2.0
/** discovery.k8s.io/v1 EndpointSlice and the older core Endpoints. */

import { familyOf, tryParseAddress } from '../../../lib/address.ts';
import type { Json } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { invalid, notSupported, required } from '../causes.ts';
import { listAt, mapAt, memberOf, sameJson, textAt } from '../json.ts';
import { badAddress, labelFaults, loopbackAddress, subdomainFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import type { ServedResource } from '../served-resource.ts';
import { textColumn } from './core.ts';
import {
  atomic,
  defaulted,
  flag,
  integer,
  kept,
  listByKey,
  listOf,
  object,
  objectReference,
  text,
  textMap,
  texts,
  written,
} from './fields.ts';
import { builtinKind, withGeneration } from './kind.ts';

const endpoint = object({
  addresses: written(texts),
  conditions: written(object({ ready: kept(flag), serving: kept(flag), terminating: kept(flag) })),
  hostname: kept(text),
  targetRef: objectReference,
  deprecatedTopology: textMap,
  nodeName: kept(text),
  zone: kept(text),
  hints: object({
    forZones: listOf(object({ name: written(text) })),
    forNodes: listOf(object({ name: written(text) })),
  }),
});

const slicePort = atomic(
  object({
    name: kept(defaulted(text, '')),
    protocol: kept(defaulted(text, 'TCP')),
    port: kept(integer),
    appProtocol: kept(text),
  }),
);

export const endpointSlices: ServedResource = builtinKind({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  namespaced: true,
  counts: true,
  fields: {
    addressType: written(text),
    endpoints: written(listOf(endpoint)),
    ports: written(listOf(slicePort)),
  },
  columns: [
    textColumn('AddressType', 'The type of address carried by this EndpointSlice.', (each) =>
      textAt(each, 'addressType'),
    ),
    textColumn('Ports', 'The ports of each endpoint.', (each) => portsText(listAt(each, 'ports'))),
    textColumn('Endpoints', 'The addresses of the endpoints.', (each) =>
      fewText(listAt(each, 'endpoints').flatMap((one) => listAt(one, 'addresses').map(String))),
    ),
  ],
  prepareForUpdate: (next, previous) => {
    const generation = previous.metadata.generation ?? 1;
    const hasSameLabels = sameJson(mapAt(next, 'metadata', 'labels'), mapAt(previous, 'metadata', 'labels'));
    return hasSameLabels ? next : withGeneration(next, generation + 1);
  },
  validate: sliceCauses,
  validateUpdate: (next, previous) =>
    textAt(next, 'addressType') === textAt(previous, 'addressType')
      ? []
      : [invalid('addressType', textAt(next, 'addressType'), 'field is immutable')],
});

function portsText(ports: readonly Json[]): string {
  return fewText(ports.map((port) => String(memberOf(port, 'port') ?? '*')));
}

/** kubectl's tables name three and count the rest. */
export function fewText(words: readonly string[]): string {
  if (words.length === 0) return '<none>';
  const rest = words.length > 3 ? ` + ${words.length - 3} more...` : '';
  return `${words.slice(0, 3).join(',')}${rest}`;
}

const addressTypes = ['FQDN', 'IPv4', 'IPv6'];

function sliceCauses(each: ApiObject): readonly Cause[] {
  const type = textAt(each, 'addressType');
  return [
    ...typeCauses(type),
    ...listAt(each, 'endpoints').flatMap((one, i) => endpointCauses(one, type, `endpoints[${i}]`)),
    ...listAt(each, 'ports').flatMap((port, i) => portCauses(port, `ports[${i}]`)),
  ];
}

function typeCauses(type: string): readonly Cause[] {
  if (type === '') return [required('addressType')];
  return addressTypes.includes(type) ? [] : [notSupported('addressType', type, addressTypes)];
}

function endpointCauses(one: Json, type: string, field: string): readonly Cause[] {
  const addresses = listAt(one, 'addresses');
  if (addresses.length === 0) return [required(`${field}.addresses`, 'must contain at least 1 address')];
  return addresses.flatMap((address, i) => addressCauses(String(address), type, `${field}.addresses`, i));
}

function addressCauses(address: string, type: string, field: string, i: number): readonly Cause[] {
  if (type === 'FQDN')
    return subdomainFaults(address).map((fault) => invalid(`${field}[${i}]`, address, fault));
  if (!addressTypes.includes(type)) return [];
  const family = type === 'IPv4' ? 4 : 6;
  const parsed = tryParseAddress(address);
  if (!parsed || familyOf(parsed) !== family) return [invalid(field, address, `must be an ${type} address`)];
  return specialAddressCauses(address, `${field}[${i}]`);
}

/** Addresses that no endpoint can have. */
export function specialAddressCauses(address: string, field: string): readonly Cause[] {
  const parsed = tryParseAddress(address);
  if (!parsed) return [invalid(field, address, badAddress)];
  const fault = specialFault(parsed);
  return fault === null ? [] : [invalid(field, address, fault)];
}

function specialFault(address: string): string | null {
  if (address === '0.0.0.0' || address === '::') return `may not be unspecified (${address})`;
  if (address.startsWith('127.') || address === '::1') return loopbackAddress;
  if (address.startsWith('169.254.') || /^fe[89ab]/.test(address))
    return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
  if (address.startsWith('224.0.0.') || address.startsWith('ff02:'))
    return 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
  return null;
}

function portCauses(port: Json, field: string): readonly Cause[] {
  const name = textAt(port, 'name');
  const protocol = textAt(port, 'protocol');
  const known = ['SCTP', 'TCP', 'UDP'];
  return [
    ...(name === '' ? [] : labelFaults(name).map((fault) => invalid(`${field}.name`, name, fault))),
    ...(known.includes(protocol) ? [] : [notSupported(`${field}.protocol`, protocol, known)]),
  ];
}

// ---- Endpoints -------------------------------------------------------------------------------------------------------

const endpointAddress = atomic(
  object({ ip: written(text), hostname: text, nodeName: kept(text), targetRef: objectReference }),
);
const endpointPort = atomic(
  object({ name: text, port: written(integer), protocol: defaulted(text, 'TCP'), appProtocol: kept(text) }),
);

export const endpoints: ServedResource = {
  ...builtinKind({
    group: '',
    kind: 'Endpoints',
    plural: 'endpoints',
    shortNames: ['ep'],
    namespaced: true,
    createOnUpdate: true,
    fields: {
      subsets: listOf(
        object({
          addresses: listOf(endpointAddress),
          notReadyAddresses: listOf(endpointAddress),
          ports: listByKey(endpointPort, ['port', 'protocol']),
        }),
      ),
    },
    columns: [
      textColumn('Endpoints', 'The addresses and ports of the endpoints.', (each) =>
        fewText(listAt(each, 'subsets').flatMap(subsetTexts)),
      ),
    ],
    warnings: () => ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
  }),
  listKind: 'EndpointsList',
};

function subsetTexts(subset: Json): readonly string[] {
  const ports = listAt(subset, 'ports');
  return listAt(subset, 'addresses').flatMap((address) =>
    ports.map((port) => `${textAt(address, 'ip')}:${String(memberOf(port, 'port'))}`),
  );
}
