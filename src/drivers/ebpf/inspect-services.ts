// SPDX-License-Identifier: Apache-2.0
/** The maps `frontends`, `backends` and `sources` as services with their backends. */
import type { Inspection, NatAnswer, NatBackend, NatFrontend } from '../../contract/inspect.ts';
import { familyOf } from '../../lib/address.ts';
import type { Address, Cidr } from '../../lib/brand.ts';
import type { FrontendName } from './events.ts';
import { type Inspected, Picked, unhurried } from './inspected.ts';
import {
  backendAt,
  backendKeyBytes,
  frontendAt,
  frontendFlags,
  frontendKeyAt,
  scopes,
  sourceKeyAt,
} from './layout.ts';
import { Row } from './row.ts';
import { addressAt, cidrAt, someAddressAt, viewOf } from './row-view.ts';

type Question = Extract<Inspection, { kind: 'nat' }>;

/** What stands before the address in a key of `sources`. */
const listBits = 32;

export async function natAnswer(of: Inspected, question: Question): Promise<NatAnswer> {
  const picked = new Picked<NatFrontend>(question.limit);
  const lists = new Lists(of);
  for await (const [key, value] of unhurried(of.map('frontends'))) {
    const name = of.names.frontend(viewOf(value).getBigUint64(frontendAt.name, true));
    if (question.service !== undefined && !isOf(question.service, name)) continue;
    const frontend = () => frontendOf(viewOf(key), viewOf(value), name, lists);
    if (question.address !== undefined && !has(frontend(), question.address)) continue;
    picked.add(frontend);
  }
  return { kind: 'nat', frontends: picked.rows.sort(byName), leftOut: picked.leftOut };
}

/** The namespace may be left out. */
function isOf(wanted: string, name: FrontendName | null): boolean {
  return name !== null && (name.service === wanted || name.service.endsWith(`/${wanted}`));
}

function has({ address, backends }: NatFrontend, wanted: Address): boolean {
  return address === wanted || backends.some((backend) => backend.address === wanted);
}

function byName(a: NatFrontend, b: NatFrontend): number {
  const text = ({ service, address, port, scope }: NatFrontend) => `${service} ${address} ${port} ${scope}`;
  return text(a) < text(b) ? -1 : 1;
}

function frontendOf(key: DataView, value: DataView, name: FrontendName | null, lists: Lists): NatFrontend {
  const address = someAddressAt(key, frontendKeyAt.address);
  const scope = key.getUint8(frontendKeyAt.scope);
  const flags = value.getUint32(frontendAt.flags, true);
  const list = value.getUint32(frontendAt.list, true);
  const familyOfPort = scope & scopes.ipv6 ? 6 : 4;
  return {
    service: name?.service ?? null,
    type: name?.type ?? null,
    address,
    family: address === null ? familyOfPort : familyOf(address),
    protocol: key.getUint8(frontendKeyAt.protocol),
    port: key.getUint16(frontendKeyAt.port, true),
    scope: scopeNames[scope & ~scopes.ipv6] ?? 'inside',
    without: flags & frontendFlags.reject ? 'reject' : 'drop',
    maglev: (flags & frontendFlags.maglev) !== 0,
    affinitySeconds: value.getUint32(frontendAt.affinity, true),
    sources: flags & frontendFlags.sources ? lists.sources(list) : null,
    backends: lists.backends(list, value.getUint32(frontendAt.count, true)),
  };
}

/** enum scope, from 0. */
const scopeNames = ['inside', 'outside', 'tunnel'] as const;

/** Frontends share them. */
class Lists {
  readonly #of: Inspected;
  readonly #backends = new Map<number, readonly NatBackend[]>();
  #sources: ReadonlyMap<number, readonly Cidr[]> | null = null;

  constructor(of: Inspected) {
    this.#of = of;
  }

  backends(list: number, count: number): readonly NatBackend[] {
    const known = this.#backends.get(list) ?? this.#read(list, count);
    this.#backends.set(list, known);
    return known;
  }

  sources(list: number): readonly Cidr[] {
    this.#sources ??= this.#readSources();
    return this.#sources.get(list) ?? [];
  }

  /** A Maglev table names each many times. */
  #read(list: number, count: number): readonly NatBackend[] {
    const found = new Map<string, NatBackend>();
    for (let index = 0; index < count; index++) {
      const row = this.#of.map('backends').get(new Row(backendKeyBytes).u32(0, list).u32(4, index).bytes);
      if (!row) continue;
      const backend = this.#backendOf(viewOf(row));
      const key = `${backend.address} ${backend.port}`;
      found.set(key, { ...backend, places: (found.get(key)?.places ?? 0) + 1 });
    }
    return [...found.values()];
  }

  #backendOf(view: DataView): NatBackend {
    const address = addressAt(view, backendAt.address);
    const local = (view.getUint16(backendAt.flags, true) & 1) !== 0;
    return {
      address,
      port: view.getUint16(backendAt.port, true),
      local,
      endpoint: this.#of.names.endpointOf(address),
      places: 1,
    };
  }

  #readSources(): ReadonlyMap<number, readonly Cidr[]> {
    const rows = [...this.#of.map('sources').entries()].map(([key]) => {
      const view = viewOf(key);
      const length = view.getUint32(sourceKeyAt.prefixLength, true) - listBits;
      const cidr = cidrAt(view, sourceKeyAt.address, length);
      return { list: view.getUint32(sourceKeyAt.list, true), cidr };
    });
    return new Map(
      [...Map.groupBy(rows, ({ list }) => list)].map(([list, all]) => [list, all.map(({ cidr }) => cidr)]),
    );
  }
}
