// SPDX-License-Identifier: Apache-2.0
/** `/ebpf/conntrack?address=10.0.0.1&limit=50` as a question to the data plane. */
import type { Inspection, InspectionKind } from '../contract/inspect.ts';
import { parseAddress } from '../lib/address.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';

const parameters: { readonly [K in InspectionKind]: readonly string[] } = {
  conntrack: ['address', 'endpoint', 'limit'],
  nat: ['address', 'service', 'limit'],
  routes: ['address', 'endpoint', 'limit'],
  ipsets: ['limit'],
  ipset: ['id', 'address', 'limit'],
  counters: ['limit'],
  policy: ['endpoint', 'direction', 'family'],
  links: ['endpoint'],
};
const kinds = Object.keys(parameters) as InspectionKind[];
const usualLimit = 1000;
const mostLimit = 1_000_000;

/** @throws {NotFoundError} for a question that nobody can answer. {InvalidError} */
export function inspectionOf(url: URL): Inspection {
  const kind = kinds.find((each) => url.pathname === `/ebpf/${each}`);
  if (kind === undefined) {
    throw new NotFoundError(`got ${url.pathname}, want /ebpf/ and one of ${kinds.join(', ')}`);
  }
  const query = url.searchParams;
  for (const name of query.keys()) {
    if (parameters[kind].includes(name)) continue;
    throw new InvalidError(`${kind}: got parameter ${name}, want ${parameters[kind].join(', ')}`);
  }
  return questionOf(kind, query);
}

function questionOf(kind: InspectionKind, query: URLSearchParams): Inspection {
  switch (kind) {
    case 'conntrack':
    case 'routes':
      return { kind, ...addressIn(query), ...textIn(query, 'endpoint'), limit: limitIn(query) };
    case 'nat':
      return { kind, ...addressIn(query), ...textIn(query, 'service'), limit: limitIn(query) };
    case 'ipsets':
    case 'counters':
      return { kind, limit: limitIn(query) };
    case 'ipset':
      return { kind, id: wanted(query, 'id'), ...addressIn(query), limit: limitIn(query) };
    case 'policy':
      return { kind, endpoint: wanted(query, 'endpoint'), ...directionIn(query), ...familyIn(query) };
    case 'links':
      return { kind, ...textIn(query, 'endpoint') };
  }
}

function textIn<N extends string>(query: URLSearchParams, name: N): { readonly [K in N]?: string } {
  const value = query.get(name);
  return value === null ? {} : ({ [name]: value } as { readonly [K in N]: string });
}

function addressIn(query: URLSearchParams): Pick<Extract<Inspection, { kind: 'nat' }>, 'address'> {
  const value = query.get('address');
  return value === null ? {} : { address: parseAddress(value) };
}

function limitIn(query: URLSearchParams): number {
  const text = query.get('limit') ?? String(usualLimit);
  const limit = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= mostLimit) return limit;
  throw new InvalidError(`limit: got ${JSON.stringify(text)}, want 1 to ${mostLimit}`);
}

function wanted(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value !== null && value !== '') return value;
  throw new InvalidError(`${name}: got nothing, want one`);
}

function directionIn(query: URLSearchParams): Pick<Extract<Inspection, { kind: 'policy' }>, 'direction'> {
  const value = query.get('direction');
  if (value === null) return {};
  if (value === 'ingress' || value === 'egress') return { direction: value };
  throw new InvalidError(`direction: got ${JSON.stringify(value)}, want ingress or egress`);
}

function familyIn(query: URLSearchParams): Pick<Extract<Inspection, { kind: 'policy' }>, 'family'> {
  const value = query.get('family');
  if (value === null) return {};
  if (value === '4' || value === '6') return { family: value === '4' ? 4 : 6 };
  throw new InvalidError(`family: got ${JSON.stringify(value)}, want 4 or 6`);
}
