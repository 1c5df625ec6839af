// SPDX-License-Identifier: Apache-2.0
/**
 * Maps as C defines them in section `.maps`: a variable whose type says everything and whose value says nothing. A number N is
 * the type "pointer to array of N ints" (`__uint`), a type T is "pointer to T" (`__type`): conventions of libbpf's bpf_helpers.h.
 */
import { InvalidError } from '../../lib/errors.ts';
import type { Btf, BtfMember, BtfVariable } from './btf.ts';
import { type MapSpec, mapTypeOf } from './map-spec.ts';

export interface MapDefinition {
  readonly name: string;
  readonly spec: MapSpec;
  /** In `.maps`. */
  readonly offset: number;
  /** Types in the object's BTF, where the definition names them. */
  readonly keyType: number | null;
  readonly valueType: number | null;
}

/** @throws {InvalidError} {UnsupportedError} naming the map. */
export function mapDefinitions(btf: Btf): MapDefinition[] {
  return btf.variables('.maps').map((variable) => definition(btf, variable));
}

function definition(btf: Btf, variable: BtfVariable): MapDefinition {
  const members = new Map(btf.members(btf.resolve(variable.type)).map((member) => [member.name, member]));
  checkMembers(variable.name, [...members.keys()]);
  const count = (name: string): number => countOf(btf, members.get(name)) ?? 0;
  const type = countOf(btf, members.get('type'));
  if (type === null)
    throw new InvalidError(`map ${variable.name}: got no type, want __uint(type, BPF_MAP_TYPE_...)`);
  const keyType = pointee(btf, members.get('key'));
  const valueType = pointee(btf, members.get('value'));
  return {
    name: variable.name,
    offset: variable.offset,
    keyType,
    valueType,
    spec: {
      name: variable.name,
      type: mapTypeOf(type, `map ${variable.name}`),
      keySize: keyType === null ? count('key_size') : btf.sizeOf(keyType),
      valueSize: valueType === null ? count('value_size') : btf.sizeOf(valueType),
      maxEntries: count('max_entries'),
      flags: count('map_flags'),
    },
  };
}

/** `pinning` is read over: where a map is pinned is for the one who loads it to say. */
const known = ['type', 'key', 'key_size', 'value', 'value_size', 'max_entries', 'map_flags', 'pinning'];

function checkMembers(map: string, names: readonly string[]): void {
  const strange = names.filter((name) => !known.includes(name));
  if (strange.length === 0) return;
  throw new InvalidError(`map ${map}: got ${strange.join(', ')}, want only ${known.join(', ')}`);
}

function countOf(btf: Btf, member: BtfMember | undefined): number | null {
  const target = pointee(btf, member);
  if (target === null || !member) return null;
  const array = btf.resolve(target);
  if (array.kind !== 'array')
    throw new InvalidError(`member ${member.name} of a map: want it written with __uint`);
  return btf.array(array).length;
}

function pointee(btf: Btf, member: BtfMember | undefined): number | null {
  if (!member) return null;
  const pointer = btf.resolve(member.type);
  if (pointer.kind !== 'ptr') {
    throw new InvalidError(
      `member ${member.name} of a map: got ${pointer.kind}, want it written with __uint or __type`,
    );
  }
  return pointer.sizeOrType;
}
