// SPDX-License-Identifier: Apache-2.0
/**
 * Where address management stands in etcd. Its resources have the names that Calico gives them in Kubernetes, so that
 * they can be carried from one store to the other; in etcd the place says the same in another way:
 *
 *     IPAMConfiguration  default                      /calico/ipam/v2/config
 *     IPAMBlock          10-65-0-0-26                 /calico/ipam/v2/assignment/ipv4/block/10.65.0.0-26
 *     IPAMHandle         k8s-pod-network.1a2b         /calico/ipam/v2/handle/k8s-pod-network.1a2b
 *     BlockAffinity      node1-10-65-0-0-26           /calico/ipam/v2/host/node1/ipv4/block/10.65.0.0-26
 *
 * The name of an affinity does not say where the node's ends and an IPv6 block begins (`node-1` and `a::`, or `node` and
 * `1:a::`), nor whether the node is a virtual one: whoever asks by name asks for each place that it may mean.
 */
import { familyOf } from '../../lib/address.ts';
import type { Cidr } from '../../lib/brand.ts';
import { tryParseCidr } from '../../lib/cidr.ts';
import { assertNever, InvalidError } from '../../lib/errors.ts';
import { textAt } from '../../model/json.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../model/types.ts';

export type IpamKind = 'IPAMConfiguration' | 'IPAMBlock' | 'IPAMHandle' | 'BlockAffinity';

const root = '/calico/ipam/v2/';
const configPath = `${root}config`;
/** Of a node, or of what is no node, a load balancer's. */
const owners = ['host', 'virtual'] as const;
const blockPath = /^assignment\/ipv[46]\/block\/([^/]+)$/;
const handlePath = /^handle\/([^/]+)$/;
const affinityPath = /^(?:host|virtual)\/([^/]+)\/ipv[46]\/block\/([^/]+)$/;
const affinityOwner = /^\/calico\/ipam\/v2\/(host|virtual)\/([^/]+)\/ipv[46]\/block\/([^/]+)$/;
/** Calico cuts longer names and adds a hash, which leads back to no place. */
const longestName = 252;

export function isIpamKind(kind: ResourceKind): kind is IpamKind {
  return (
    kind === 'IPAMConfiguration' || kind === 'IPAMBlock' || kind === 'IPAMHandle' || kind === 'BlockAffinity'
  );
}

export function ipamKeyAt(path: string): ResourceKey | null {
  if (path === configPath) return { kind: 'IPAMConfiguration', name: 'default' };
  if (!path.startsWith(root)) return null;
  const place = path.slice(root.length);
  const handle = handlePath.exec(place)?.[1];
  if (handle !== undefined) return { kind: 'IPAMHandle', name: handle };
  return blockAt(path, place) ?? affinityAt(path, place);
}

/** The block that a place is about; null for other places. */
export function cidrAt(path: string): Cidr | null {
  return blockAt(path, path.slice(root.length)) || affinityOwner.test(path)
    ? parsePlaceCidr(path.slice(path.lastIndexOf('/') + 1))
    : null;
}

/** Whose affinity a place is about. */
export function ownerAt(path: string): { readonly type: 'host' | 'virtual'; readonly node: string } | null {
  const [, type, node] = affinityOwner.exec(path) ?? [];
  return node === undefined ? null : { type: type === 'virtual' ? 'virtual' : 'host', node };
}

/** @throws {InvalidError} when the name has not the form of its kind, or what is in the resource is not what it tells. */
export function ipamPathOf(key: ResourceKey, resource: Resource): string {
  const paths = ipamPathsOf(key);
  const path = placeTold(key.kind as IpamKind, resource) ?? paths[0] ?? '';
  if (paths.includes(path)) return path;
  const told = ['node', 'cidr'].map((name) => `${name} ${JSON.stringify(textAt(resource, 'spec', name))}`);
  throw new InvalidError(
    `cannot store ${key.kind} ${key.name}: got ${told.join(', ')}, want what its name tells`,
  );
}

/** Where the spec says that it belongs; null for kinds of which the name says it all. */
function placeTold(kind: IpamKind, resource: Resource): string | null {
  if (kind !== 'BlockAffinity' && kind !== 'IPAMBlock') return null;
  const cidr = tryParseCidr(textAt(resource, 'spec', 'cidr'));
  if (!cidr) return '';
  if (kind === 'IPAMBlock') return placeOfBlock(cidr);
  const type = textAt(resource, 'spec', 'type') === 'virtual' ? 'virtual' : 'host';
  return placeOfAffinity(type, textAt(resource, 'spec', 'node'), cidr);
}

/** @throws {InvalidError} when the name has not the form of its kind. */
export function ipamPathsOf(key: ResourceKey): readonly string[] {
  const kind = key.kind as IpamKind;
  const paths = placesNamed(kind, key.name);
  if (paths.length === 0 || key.name === '')
    throw new InvalidError(`cannot find ${kind} ${JSON.stringify(key.name)}: want ${wantedName(kind)}`);
  return paths;
}

export function ipamRanges(kind: IpamKind): readonly { readonly start: string; readonly end: string }[] {
  switch (kind) {
    case 'IPAMConfiguration':
      return [{ start: configPath, end: '' }];
    case 'IPAMBlock':
      return [{ start: `${root}assignment/`, end: `${root}assignment0` }];
    case 'IPAMHandle':
      return [{ start: `${root}handle/`, end: `${root}handle0` }];
    case 'BlockAffinity':
      return owners.map((owner) => ({ start: `${root}${owner}/`, end: `${root}${owner}0` }));
    default:
      return assertNever(kind);
  }
}

function placesNamed(kind: IpamKind, name: string): readonly string[] {
  switch (kind) {
    case 'IPAMConfiguration':
      return name === 'default' ? [configPath] : [];
    case 'IPAMBlock':
      return cidrsNamed(name).map(placeOfBlock);
    case 'IPAMHandle':
      return name.includes('/') ? [] : [`${root}handle/${name}`];
    case 'BlockAffinity':
      return affinitiesNamed(name);
    default:
      return assertNever(kind);
  }
}

function wantedName(kind: IpamKind): string {
  switch (kind) {
    case 'IPAMConfiguration':
      return '"default"';
    case 'IPAMBlock':
      return 'the block with dashes for dots, colons and slash, like "10-65-0-0-26"';
    case 'IPAMHandle':
      return "a name without '/'";
    case 'BlockAffinity':
      return 'node and block with dashes for dots, colons and slash, like "node1-10-65-0-0-26"';
    default:
      return assertNever(kind);
  }
}

function blockAt(path: string, place: string): ResourceKey | null {
  const cidr = parsePlaceCidr(blockPath.exec(place)?.[1] ?? '');
  const key = cidr && ({ kind: 'IPAMBlock', name: nameOfCidr(cidr) } as const);
  return key && placesNamed('IPAMBlock', key.name).includes(path) ? key : null;
}

function affinityAt(path: string, place: string): ResourceKey | null {
  const [, node = '', dashedCidr = ''] = affinityPath.exec(place) ?? [];
  const cidr = parsePlaceCidr(dashedCidr);
  const name = cidr && `${node}-${nameOfCidr(cidr)}`;
  if (name === null || name.length > longestName) return null;
  return affinitiesNamed(name).includes(path) ? { kind: 'BlockAffinity', name } : null;
}

/** `10.65.0.0-26`. */
function parsePlaceCidr(text: string): Cidr | null {
  const dash = text.lastIndexOf('-');
  const cidr = tryParseCidr(`${text.slice(0, dash)}/${text.slice(dash + 1)}`);
  return dash > 0 && cidr && dashed(cidr) === text ? cidr : null;
}

function dashed(cidr: Cidr): string {
  return cidr.replace('/', '-');
}

function nameOfCidr(cidr: Cidr): string {
  return cidr.replaceAll(/[./:]/g, '-');
}

/** At most one: five numbers are IPv4, and a block of IPv6 has more dashes. */
function cidrsNamed(name: string): readonly Cidr[] {
  const dash = name.lastIndexOf('-');
  const [address, length] = [name.slice(0, dash), name.slice(dash + 1)];
  return ['.', ':'].flatMap((separator) => {
    const cidr = tryParseCidr(`${address.replaceAll('-', separator)}/${length}`);
    return dash > 0 && cidr && nameOfCidr(cidr) === name ? [cidr] : [];
  });
}

/** Cuts the name at each dash that leaves a block behind it. */
function affinitiesNamed(name: string): readonly string[] {
  if (name.includes('/')) return [];
  return [...name.matchAll(/-/g)].flatMap(({ index }) =>
    index === 0
      ? []
      : cidrsNamed(name.slice(index + 1)).flatMap((cidr) =>
          owners.map((owner) => placeOfAffinity(owner, name.slice(0, index), cidr)),
        ),
  );
}

function placeOfBlock(cidr: Cidr): string {
  return `${root}assignment/ipv${familyOf(cidr)}/block/${dashed(cidr)}`;
}

function placeOfAffinity(owner: 'host' | 'virtual', node: string, cidr: Cidr): string {
  return `${root}${owner}/${node}/ipv${familyOf(cidr)}/block/${dashed(cidr)}`;
}
