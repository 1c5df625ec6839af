// SPDX-License-Identifier: Apache-2.0
/**
 * Address management's resources in the shapes that Calico's IPAM keeps in etcd (libcalico-go, backend/model: AllocationBlock,
 * IPAMHandle, BlockAffinity, IPAMConfig): the members of `spec` alone, without those that the place tells, and without
 * metadata. What these shapes have no room for stands beside them in one member of ours, which Calico's tools skip, and
 * lose when they write the value anew.
 */
import { assertNever, InvalidError } from '../../lib/errors.ts';
import { isObject, listAt, member } from '../../model/json.ts';
import { calicoVersion } from '../../model/kinds.ts';
import type { Resource, ResourceKey } from '../../model/types.ts';
import { cidrAt, type IpamKind, ownerAt } from './ipam-layout.ts';

type Members = { readonly [name: string]: unknown };

const besideName = 'muslin.dev/resource';

/** @throws {InvalidError} when it says something else than its name. */
export function ipamValueOf(key: ResourceKey, resource: Resource, path: string): Members {
  const { apiVersion: _, kind: _kind, metadata, spec, ...others } = resource;
  if (!isObject(spec)) throw new InvalidError(`cannot store ${key.kind} ${key.name}: got no spec, want one`);
  const { name: _name, ...ownMetadata } = metadata;
  const kind = key.kind as IpamKind;
  const type = kind === 'BlockAffinity' ? typeBeside(spec, path) : {};
  const beside = { ...others, ...type, metadata: ownMetadata };
  return { ...shapeOf(kind, key, spec), [besideName]: beside };
}

/** @param value - as it stands in etcd, trusted for nothing. */
export function ipamResourceOf(key: ResourceKey, value: Members, path: string): Resource {
  const kind = key.kind as IpamKind;
  const { [besideName]: kept, ...shape } = value;
  const { metadata, type, ...others } = isObject(kept) ? kept : {};
  const spec = specOf(kind, key, shape, path);
  return {
    apiVersion: calicoVersion,
    kind,
    metadata: { ...(isObject(metadata) ? metadata : {}), name: key.name },
    spec: kind === 'BlockAffinity' && type !== undefined ? withType(spec, type) : spec,
    ...others,
  };
}

function shapeOf(kind: IpamKind, key: ResourceKey, spec: Members): Members {
  switch (kind) {
    case 'IPAMConfiguration':
      return configShape(spec);
    case 'IPAMBlock':
      return spec;
    case 'IPAMHandle':
      return handleShape(key, spec);
    case 'BlockAffinity':
      return affinityShape(spec);
    default:
      return assertNever(kind);
  }
}

function specOf(kind: IpamKind, key: ResourceKey, shape: Members, path: string): Members {
  switch (kind) {
    case 'IPAMConfiguration':
      return configSpec(shape);
    case 'IPAMBlock':
      return blockSpec(shape, path);
    case 'IPAMHandle':
      return { ...shape, handleID: key.name };
    case 'BlockAffinity':
      return affinitySpec(shape, path);
    default:
      return assertNever(kind);
  }
}

function configShape({ strictAffinity, autoAllocateBlocks, ...others }: Members): Members {
  return { strict_affinity: strictAffinity, auto_allocate_blocks: autoAllocateBlocks, ...others };
}

/** Calico leaves out what is false, where the resource has a default of true. */
function configSpec({ strict_affinity, auto_allocate_blocks, ...others }: Members): Members {
  return {
    strictAffinity: strict_affinity ?? false,
    autoAllocateBlocks: auto_allocate_blocks ?? false,
    ...others,
  };
}

function handleShape(key: ResourceKey, { handleID, ...others }: Members): Members {
  if (handleID !== key.name)
    throw new InvalidError(
      `cannot store IPAMHandle ${key.name}: got handleID ${JSON.stringify(handleID)}, want its name: etcd's keys are handle ids`,
    );
  return others;
}

/** Go writes null where there is nothing; before 2018 the owner stood in `hostAffinity`. */
function blockSpec(shape: Members, path: string): Members {
  const { hostAffinity, ...others } = withoutNulls(shape);
  const owner = typeof hostAffinity === 'string' ? { affinity: `host:${hostAffinity}` } : {};
  return {
    ...owner,
    cidr: cidrAt(path),
    strictAffinity: false,
    ...others,
    allocations: listAt(shape, 'allocations'),
    unallocated: listAt(shape, 'unallocated'),
    attributes: listAt(shape, 'attributes').map((each) => (isObject(each) ? withoutNulls(each) : each)),
  };
}

function affinityShape({ node: _node, cidr: _cidr, type: _type, ...others }: Members): Members {
  return others;
}

function affinitySpec(shape: Members, path: string): Members {
  const owner = ownerAt(path);
  return { state: '', deleted: false, ...shape, node: owner?.node, cidr: cidrAt(path), type: owner?.type };
}

/** Kept where it is not the place's: absent (null here) and empty mean a node, too. */
function typeBeside(spec: Members, path: string): Members {
  const type = member(spec, 'type');
  return type === ownerAt(path)?.type ? {} : { type: type ?? null };
}

function withType({ type: _, ...others }: Members, type: unknown): Members {
  return type === null ? others : { ...others, type };
}

function withoutNulls(value: Members): Members {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null));
}
