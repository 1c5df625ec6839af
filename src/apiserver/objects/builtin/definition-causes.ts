// SPDX-License-Identifier: Apache-2.0
/**
 * What is wrong with a CustomResourceDefinition.
 *
 * Paths: what all versions have alike is told of the whole, `spec.validation.openAPIV3Schema`, as a real server does.
 *
 * @see k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation
 */
import type { Json, JsonObject } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { duplicate, invalid, notSupported, required } from '../causes.ts';
import { listAt, mapAt, memberOf, sameJson, textAt, valueAt } from '../json.ts';
import { labelFaults, subdomainFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import { childOf } from '../schema.ts';
import { schemaCauses } from './schema-causes.ts';

export function definitionCauses(crd: ApiObject): readonly Cause[] {
  const spec = mapAt(crd, 'spec');
  return [
    ...nameCauses(crd, spec),
    ...groupCauses(crd, textAt(spec, 'group')),
    ...namesCauses(mapAt(spec, 'names')),
    ...scopeCauses(textAt(spec, 'scope')),
    ...versionsCauses(spec, crd),
    ...partCauses(spec),
  ];
}

function nameCauses(crd: ApiObject, spec: JsonObject): readonly Cause[] {
  const want = `${textAt(spec, 'names', 'plural')}.${textAt(spec, 'group')}`;
  const { name } = crd.metadata;
  return name === want ? [] : [invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group')];
}

const approval = 'api-approved.kubernetes.io';

function groupCauses(crd: ApiObject, group: string): readonly Cause[] {
  if (group === '') return [required('spec.group')];
  const faults = subdomainFaults(group).map((fault) => invalid('spec.group', group, fault));
  if (!group.includes('.'))
    faults.push(invalid('spec.group', group, 'should be a domain with at least one dot'));
  const isProtected = /(^|\.)(k8s|kubernetes)\.io$/.test(group);
  const said = textAt(crd, 'metadata', 'annotations', approval);
  const field = `metadata.annotations[${approval}]`;
  if (!isProtected || said.startsWith('https://') || said.startsWith('unapproved')) return faults;
  const see = 'see https://github.com/kubernetes/enhancements/pull/1111';
  if (said !== '')
    return [
      ...faults,
      invalid(
        field,
        said,
        `protected groups must have approval annotation "${approval}" with either a URL or a reason starting with "unapproved", ${see}`,
      ),
    ];
  return [...faults, required(field, `protected groups must have approval annotation "${approval}", ${see}`)];
}

function namesCauses(names: JsonObject): readonly Cause[] {
  const wanted = ['plural', 'singular', 'kind', 'listKind'].flatMap((name) => {
    const value = textAt(names, name);
    if (value === '') return [required(`spec.names.${name}`)];
    return labelFaults(value.toLowerCase()).map((fault) => invalid(`spec.names.${name}`, value, fault));
  });
  const [kind, listKind] = [textAt(names, 'kind'), textAt(names, 'listKind')];
  const isSame = kind !== '' && kind === listKind;
  return [
    ...wanted,
    ...(isSame ? [invalid('spec.names.listKind', listKind, 'kind and listKind may not be the same')] : []),
    ...listAt(names, 'shortNames').flatMap((each, i) =>
      labelFaults(String(each)).map((fault) => invalid(`spec.names.shortNames[${i}]`, each, fault)),
    ),
  ];
}

function scopeCauses(scope: string): readonly Cause[] {
  const known = ['Cluster', 'Namespaced'];
  if (scope === '') return [required('spec.scope')];
  return known.includes(scope) ? [] : [notSupported('spec.scope', scope, known)];
}

function versionsCauses(spec: JsonObject, crd: ApiObject): readonly Cause[] {
  const versions = listAt(spec, 'versions');
  const names = versions.map((each) => textAt(each, 'name'));
  const stored = versions.filter((each) => memberOf(each, 'storage') === true).length;
  return [
    ...names.flatMap((name, i) =>
      versionNameCauses(name, names.indexOf(name) < i, `spec.versions[${i}].name`),
    ),
    ...(stored === 1
      ? []
      : [invalid('spec.versions', versions, 'must have exactly one version marked as storage version')]),
    ...(listAt(crd, 'status', 'storedVersions').length > 0
      ? []
      : [invalid('status.storedVersions', null, 'must have at least one stored version')]),
    ...storedCauses(listAt(crd, 'status', 'storedVersions'), names),
  ];
}

function versionNameCauses(name: string, isRepeated: boolean, field: string): readonly Cause[] {
  if (isRepeated) return [duplicate(field, name)];
  return labelFaults(name).map((fault) => invalid(field, name, fault));
}

function storedCauses(stored: readonly Json[], names: readonly string[]): readonly Cause[] {
  return stored.flatMap((version, i) =>
    names.includes(String(version))
      ? []
      : [invalid(`status.storedVersions[${i}]`, version, 'must appear in spec.versions')],
  );
}

// ---- what versions have of their own, or all alike -------------------------------------------------------------------

function partCauses(spec: JsonObject): readonly Cause[] {
  const versions = listAt(spec, 'versions');
  const place = (name: string, whole: string) => {
    const isAlike = versions.every((each) => sameJson(memberOf(each, name), memberOf(versions[0], name)));
    return (i: number) => (isAlike ? `spec.${whole}` : `spec.versions[${i}].${name}`);
  };
  const [schemas, columns, fields] = [
    place('schema', 'validation'),
    place('additionalPrinterColumns', 'additionalPrinterColumns'),
    place('selectableFields', 'selectableFields'),
  ];
  const causes = versions.flatMap((each, i) => [
    ...schemaPartCauses(each, i, schemas(i)),
    ...listAt(each, 'additionalPrinterColumns').flatMap((one, j) => columnCauses(one, `${columns(i)}[${j}]`)),
    ...listAt(each, 'selectableFields').flatMap((one, j) =>
      selectableCauses(one, mapAt(each, 'schema', 'openAPIV3Schema'), `${fields(i)}[${j}].jsonPath`),
    ),
  ]);
  return causes.filter((cause, i) => causes.findIndex((each) => sameCause(each, cause)) === i);
}

function sameCause(a: Cause, b: Cause): boolean {
  return a.reason === b.reason && a.field === b.field && a.message === b.message;
}

function schemaPartCauses(version: Json, i: number, field: string): readonly Cause[] {
  const schema = valueAt(version, 'schema', 'openAPIV3Schema');
  if (schema === undefined) return [required(`spec.versions[${i}].schema.openAPIV3Schema`)];
  return schemaCauses(mapAt(schema), `${field}.openAPIV3Schema`);
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];

function columnCauses(column: Json, field: string): readonly Cause[] {
  const [name, type, path] = [textAt(column, 'name'), textAt(column, 'type'), textAt(column, 'jsonPath')];
  const causes: Cause[] = [];
  if (name === '') causes.push(required(`${field}.name`));
  if (type === '') causes.push(required(`${field}.type`, `must be one of ${columnTypes.join(',')}`));
  else if (!columnTypes.includes(type))
    causes.push(invalid(`${field}.type`, type, `must be one of ${columnTypes.join(',')}`));
  if (path === '') causes.push(required(`${field}.JSONPath`));
  else if (!path.startsWith('.'))
    causes.push(invalid(`${field}.JSONPath`, path, 'must be a simple json path starting with .'));
  return causes;
}

function selectableCauses(one: Json, schema: JsonObject, field: string): readonly Cause[] {
  const path = textAt(one, 'jsonPath');
  const names = path.split('.').slice(1);
  if (path === '') return [required(field)];
  if (!path.startsWith('.'))
    return [invalid(field, path, 'is an invalid path: must be a simple json path starting with .')];
  if (names[0] === 'metadata')
    return [invalid(field, path, 'is an invalid path: must not point to fields in metadata')];
  const found = names.reduce<JsonObject | undefined>((at, name) => at && childOf(at, name), schema);
  if (!found) return [invalid(field, path, 'is an invalid path: does not refer to a valid field')];
  const isPlain = ['string', 'integer', 'boolean'].includes(textAt(found, 'type'));
  return isPlain ? [] : [invalid(field, path, 'must point to a field of type string, boolean or integer')];
}

export function definitionUpdateCauses(next: ApiObject, previous: ApiObject): readonly Cause[] {
  const fixed: [string, ...string[]][] = [['group'], ['scope'], ['names', 'kind'], ['names', 'plural']];
  return fixed.flatMap((path) => {
    const [found, before] = [textAt(next, 'spec', ...path), textAt(previous, 'spec', ...path)];
    return found === before ? [] : [invalid(`spec.${path.join('.')}`, found, 'field is immutable')];
  });
}
