// SPDX-License-Identifier: Apache-2.0
/**
 * Services in the maps `frontends`, `backends`, `members` and `sources`.
 *
 * Owns:       which list of backends has which number. A list's number follows from what it holds, so equal lists share one, a
 *             list is never changed under a frontend, and a restarted agent finds the numbers it would give.
 * Invariants: lists are written before a frontend names them and taken away after; a frontend is replaced in one stroke.
 * Next:       bpf/services.h chooses; maglev.ts spreads.
 */
import { hash } from 'node:crypto';
import type { ApplyFailure } from '../../contract/dataplane.ts';
import type { ResolvedService, ServiceBackend, ServiceFrontend } from '../../contract/services.ts';
import type { MapEntry } from '../../kernel/bpf/map.ts';
import type { Cidr, KeyPath } from '../../lib/brand.ts';
import { protocolNumbers } from '../../lib/protocol.ts';
import {
  backendAt,
  backendBytes,
  backendKeyBytes,
  frontendAt,
  frontendBytes,
  frontendFlags,
  frontendKeyAt,
  frontendKeyBytes,
  memberKeyAt,
  memberKeyBytes,
  scopes,
  sourceKeyAt,
  sourceKeyBytes,
} from './layout.ts';
import { maglevTable } from './maglev.ts';
import { keyText, type MapRows, reconciled, type TableMap } from './map-table.ts';
import { frontendId } from './names.ts';
import { mappedLength, Row } from './row.ts';

/** Of all lists' members together: what a flow may still go to. */
const anyList = 0;
const present = new Uint8Array([1, 0, 0, 0]);

type Scope = 'inside' | 'outside' | 'tunnel';

interface Rows {
  readonly frontends: readonly MapEntry[];
  readonly lists: readonly number[];
  /** Backends that flows may still go to. */
  readonly alive: readonly string[];
}

interface List {
  readonly content: string;
  readonly backends: readonly MapEntry[];
  readonly members: readonly MapEntry[];
  readonly sources: readonly MapEntry[];
  users: number;
}

export interface ServiceMaps {
  readonly frontends: TableMap;
  readonly backends: TableMap;
  readonly members: TableMap;
  readonly sources: TableMap;
}

export class Services {
  readonly #frontends: MapRows;
  readonly #backends: MapRows;
  readonly #members: MapRows;
  readonly #sources: MapRows;
  readonly #services = new Map<KeyPath, ResolvedService>();
  readonly #rows = new Map<KeyPath, Rows>();
  readonly #lists = new Map<number, List>();
  readonly #alive = new Map<string, number>();
  readonly #dirty = new Set<KeyPath>();
  readonly #failed = new Map<KeyPath, ApplyFailure>();
  readonly #names = new Map<bigint, string>();
  /** A backend went, so flows may lead nowhere. */
  #lostBackend = false;

  constructor(maps: ServiceMaps) {
    this.#frontends = reconciled(maps.frontends, 'eBPF services');
    this.#backends = reconciled(maps.backends, 'eBPF backends');
    this.#members = reconciled(maps.members, 'eBPF backends of services with affinity');
    this.#sources = reconciled(maps.sources, 'eBPF source ranges');
  }

  set(id: KeyPath, service: ResolvedService | null): void {
    if (service) this.#services.set(id, service);
    else this.#services.delete(id);
    this.#dirty.add(id);
  }

  /** `namespace/service` and port of a frontend's name in flows and events. */
  nameOf(frontend: bigint): string | undefined {
    return this.#names.get(frontend);
  }

  names(): Iterable<readonly [bigint, string]> {
    return this.#names;
  }

  queueResync(): void {
    for (const rows of this.#tables()) rows.queueResync();
  }

  /** Someone else wrote one of the maps. */
  differs(): boolean {
    return this.#tables().some((rows) => rows.differs());
  }

  /** True once after a backend went. */
  takeLostBackend(): boolean {
    const lost = this.#lostBackend;
    this.#lostBackend = false;
    return lost;
  }

  apply(): { changed: number; failed: readonly ApplyFailure[] } {
    const old: number[] = [];
    for (const id of this.#dirty) old.push(...this.#make(id));
    this.#dirty.clear();
    const reports = [this.#backends, this.#members, this.#sources, this.#frontends].map((rows) =>
      rows.apply(),
    );
    for (const list of old) this.#release(list);
    reports.push(...[this.#backends, this.#members, this.#sources].map((rows) => rows.apply()));
    return {
      changed: reports.reduce((sum, report) => sum + report.changed, 0),
      failed: [...reports.flatMap((report) => report.failed), ...this.#failed.values()],
    };
  }

  #tables(): readonly MapRows[] {
    return [this.#frontends, this.#backends, this.#members, this.#sources];
  }

  /** @returns lists that the service needs no more, once its frontends are written. */
  #make(id: KeyPath): readonly number[] {
    const before = this.#rows.get(id);
    const service = this.#services.get(id);
    this.#failed.delete(id);
    const after = service ? this.#rowsOf(id, service) : null;
    const kept = new Set((after?.frontends ?? []).map(([key]) => keyText(key)));
    for (const [key] of before?.frontends ?? [])
      if (!kept.has(keyText(key))) this.#frontends.deleteDesired(keyText(key));
    for (const [key, value] of after?.frontends ?? []) this.#frontends.setDesired(keyText(key), value);
    for (const key of before?.alive ?? []) this.#lose(key);
    if (after) this.#rows.set(id, after);
    else this.#rows.delete(id);
    return before?.lists ?? [];
  }

  #rowsOf(id: KeyPath, service: ResolvedService): Rows {
    const lists: number[] = [];
    const alive: string[] = [];
    const frontends = service.frontends.flatMap((frontend) => {
      const refusal = refusalOf(frontend);
      if (refusal) {
        this.#failed.set(id, { table: 'eBPF services', key: service.name, message: refusal });
        return [];
      }
      for (const backend of [...frontend.inside, ...frontend.outside]) {
        const key = keyText(memberKey(anyList, frontend.protocol, backend));
        alive.push(key);
        this.#live(key);
      }
      return scopesOf.map((scope): MapEntry => {
        const list = this.#listOf(frontend, scope);
        lists.push(list);
        return [frontendKey(frontend, scope), this.#frontendRow(service, frontend, scope, list)];
      });
    });
    return { frontends, lists, alive };
  }

  #frontendRow(service: ResolvedService, frontend: ServiceFrontend, scope: Scope, list: number): Uint8Array {
    const { affinitySeconds, kind } = frontend;
    const backends = backendsOf(frontend, scope);
    const without = scope === 'inside' ? frontend.withoutInside : frontend.withoutOutside;
    const flags =
      (without === 'reject' && scope !== 'tunnel' ? frontendFlags.reject : 0) |
      (isRanged(frontend, scope) ? frontendFlags.sources : 0) |
      (isMaglev(frontend, scope) ? frontendFlags.maglev : 0) |
      (kind === 'cluster-ip' ? 0 : frontendFlags.external);
    const title = `${service.name} ${frontend.kind} ${frontend.address ?? 'any node'} ${frontend.protocol}:${frontend.port}`;
    const name = frontendId(title);
    this.#names.set(name, title);
    const count = isMaglev(frontend, scope) && backends.length > 0 ? maglevSize : backends.length;
    return new Row(frontendBytes)
      .u64(frontendAt.name, name)
      .u32(frontendAt.list, list)
      .u32(frontendAt.count, count)
      .u32(frontendAt.flags, flags)
      .u32(frontendAt.affinity, affinitySeconds).bytes;
  }

  #listOf(frontend: ServiceFrontend, scope: Scope): number {
    const backends = backendsOf(frontend, scope);
    const ranges = isRanged(frontend, scope) ? frontend.sources : null;
    const content = JSON.stringify([
      isMaglev(frontend, scope),
      frontend.affinitySeconds > 0 && frontend.protocol,
      backends,
      ranges,
    ]);
    const number = this.#numberOf(content);
    const known = this.#lists.get(number);
    if (known) {
      known.users++;
      return number;
    }
    const list = { ...listRows(number, frontend, scope, backends, ranges ?? []), content, users: 1 };
    this.#lists.set(number, list);
    for (const [rows, entries] of this.#partsOf(list))
      for (const [key, value] of entries) rows.setDesired(keyText(key), value);
    return number;
  }

  /** 32 bits of its hash; the next free one where another list has that number. */
  #numberOf(content: string): number {
    let number = hash('sha256', content, 'buffer').readUInt32LE() || 1;
    while (this.#lists.has(number) && this.#lists.get(number)?.content !== content)
      number = (number + 1) >>> 0 || 1;
    return number;
  }

  #release(number: number): void {
    const list = this.#lists.get(number);
    if (!list || --list.users > 0) return;
    this.#lists.delete(number);
    for (const [rows, entries] of this.#partsOf(list))
      for (const [key] of entries) rows.deleteDesired(keyText(key));
  }

  #partsOf(list: List): readonly (readonly [MapRows, readonly MapEntry[]])[] {
    return [
      [this.#backends, list.backends],
      [this.#members, list.members],
      [this.#sources, list.sources],
    ];
  }

  #live(key: string): void {
    this.#alive.set(key, (this.#alive.get(key) ?? 0) + 1);
    this.#members.setDesired(key, present);
  }

  #lose(key: string): void {
    const users = (this.#alive.get(key) ?? 1) - 1;
    if (users > 0) {
      this.#alive.set(key, users);
      return;
    }
    this.#alive.delete(key);
    this.#members.deleteDesired(key);
    this.#lostBackend = true;
  }
}

const scopesOf: readonly Scope[] = ['inside', 'outside', 'tunnel'];
const maglevSize = 1009; // felix/config: bpfMaglev, a prime some hundred times the usual number of backends

/** What our programs cannot do, in words for the user. */
function refusalOf({ protocol, port, inside, outside, portName }: ServiceFrontend): string | null {
  if (protocol !== protocolNumbers.SCTP) return null;
  const other = [...inside, ...outside].find((backend) => backend.port !== port);
  if (!other) return null;
  const name = portName === '' ? `port ${port}` : `port ${portName}`;
  return `${name}: got SCTP with target port ${other.port}, want target port ${port}: SCTP's checksum covers its ports and eBPF cannot compute it`;
}

function backendsOf(frontend: ServiceFrontend, scope: Scope): readonly ServiceBackend[] {
  if (scope === 'inside') return frontend.inside;
  // another node chose this one, for clients inside and outside; by the same table it finds whom that one meant
  if (scope === 'tunnel' && !frontend.maglev)
    return distinct([...frontend.outside, ...frontend.inside].filter(({ local }) => local));
  return frontend.outside;
}

function distinct(backends: readonly ServiceBackend[]): readonly ServiceBackend[] {
  return [...new Map(backends.map((backend) => [`${backend.address} ${backend.port}`, backend])).values()];
}

/** What another node sent on it has admitted. */
function isRanged({ sources }: ServiceFrontend, scope: Scope): boolean {
  return sources !== null && scope !== 'tunnel';
}

function isMaglev({ maglev }: ServiceFrontend, scope: Scope): boolean {
  return maglev && scope !== 'inside';
}

function listRows(
  number: number,
  frontend: ServiceFrontend,
  scope: Scope,
  backends: readonly ServiceBackend[],
  ranges: readonly Cidr[],
): Pick<List, 'backends' | 'members' | 'sources'> {
  const spread = isMaglev(frontend, scope)
    ? maglevTable(
        backends.map(({ address, port }) => `${address} ${port}`),
        maglevSize,
      ).flatMap((index) => backends[index] ?? [])
    : backends;
  return {
    backends: spread.map((backend, index) => [backendKey(number, index), backendRow(backend)]),
    members:
      frontend.affinitySeconds > 0
        ? backends.map((backend) => [memberKey(number, frontend.protocol, backend), present])
        : [],
    sources: ranges.map((range) => [sourceKey(number, range), present]),
  };
}

function frontendKey({ address, family, port, protocol }: ServiceFrontend, scope: Scope): Uint8Array {
  const row = new Row(frontendKeyBytes)
    .u16(frontendKeyAt.port, port)
    .u8(frontendKeyAt.protocol, protocol)
    .u8(frontendKeyAt.scope, scopes[scope] | (address === null && family === 6 ? scopes.ipv6 : 0));
  return address === null ? row.bytes : row.address(frontendKeyAt.address, address).bytes;
}

function backendKey(list: number, index: number): Uint8Array {
  return new Row(backendKeyBytes).u32(0, list).u32(4, index).bytes;
}

function backendRow({ address, port, local }: ServiceBackend): Uint8Array {
  return new Row(backendBytes)
    .address(backendAt.address, address)
    .u16(backendAt.port, port)
    .u16(backendAt.flags, local ? 1 : 0).bytes;
}

function memberKey(list: number, protocol: number, { address, port }: ServiceBackend): Uint8Array {
  return new Row(memberKeyBytes)
    .u32(memberKeyAt.list, list)
    .u16(memberKeyAt.port, port)
    .u8(memberKeyAt.protocol, protocol)
    .address(memberKeyAt.address, address).bytes;
}

function sourceKey(list: number, range: Cidr): Uint8Array {
  return new Row(sourceKeyBytes)
    .u32(sourceKeyAt.prefixLength, 32 + mappedLength(range))
    .u32(sourceKeyAt.list, list)
    .net(sourceKeyAt.address, range).bytes;
}
