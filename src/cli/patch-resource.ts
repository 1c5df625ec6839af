// SPDX-License-Identifier: Apache-2.0
/**
 * `muslin patch`: what one of the three kinds of patch makes of an object.
 *
 * Calico's kinds have no merge keys, so a strategic merge of them is a merge, as in calicoctl, whose default it is.
 *
 * @see RFC 6902 (json), RFC 7386 (merge), Kubernetes documentation, "Update API Objects in Place Using kubectl patch"
 */
import { readFileSync } from 'node:fs';
import { ApiError } from '../apiserver/objects/api-error.ts';
import { builtinResources } from '../apiserver/objects/builtin.ts';
import type { ApiObject } from '../apiserver/objects/object.ts';
import { jsonPatch, mergePatch, strategicMergePatch } from '../apiserver/objects/patch.ts';
import type { ServedResource } from '../apiserver/objects/served-resource.ts';
import { assertNever, InvalidError, NotFoundError, UsageError } from '../lib/errors.ts';
import { documentsOf, Source } from '../model/manifest/documents.ts';
import { TreeReader } from '../model/manifest/node-value.ts';
import type { Json, Resource } from '../model/types.ts';
import { type ChangeOptions, changeResources } from './change-resources.ts';
import type { Io } from './io.ts';
import { type ChoiceOptions, parseChoice } from './object-choice.ts';

export const patchTypes = ['strategic', 'merge', 'json'] as const;
export type PatchType = (typeof patchTypes)[number];

export interface PatchOptions extends ChangeOptions, Pick<ChoiceOptions, 'namespace'> {
  readonly patch?: string;
  readonly patchFile?: string;
  readonly type: PatchType;
}

/** @throws {UsageError} {NotFoundError} {InvalidError} {ConflictError} */
export async function patchResource(words: readonly string[], options: PatchOptions, io: Io): Promise<void> {
  const { namespace, type } = options;
  const patch = readPatch(options, io);
  const choose = parseChoice(words, namespace === undefined ? {} : { namespace });
  const change = (resource: Resource) => patched(resource, patch, type);
  const outcomes = { changed: 'patched', same: 'patched (no change)' };
  await changeResources({ choose, change, words: outcomes }, options, io);
}

function patched(resource: Resource, patch: Json, type: PatchType): Resource {
  try {
    return applied(resource as unknown as ApiObject, patch, type) as unknown as Resource;
  } catch (error) {
    if (error instanceof ApiError) throw new InvalidError(`cannot patch by ${type}: ${error.message}`);
    throw error;
  }
}

function applied(object: ApiObject, patch: Json, type: PatchType): ApiObject {
  switch (type) {
    case 'json':
      return jsonPatch(object, patch);
    case 'merge':
      return mergePatch(object, patch);
    case 'strategic': {
      const served = servedAs(object);
      return served ? strategicMergePatch(served, object, patch) : mergePatch(object, patch);
    }
    default:
      return assertNever(type);
  }
}

function servedAs({ apiVersion, kind }: ApiObject): ServedResource | undefined {
  return builtinResources.find(
    (each) =>
      each.kind === kind &&
      (each.group === '' ? each.version : `${each.group}/${each.version}`) === apiVersion,
  );
}

function readPatch({ patch, patchFile }: PatchOptions, io: Io): Json {
  if ((patch === undefined) === (patchFile === undefined))
    throw new UsageError('want one of -p PATCH and --patch-file FILE');
  return patch === undefined
    ? parsedPatch(patchFile ?? '', fileText(patchFile ?? '', io))
    : parsedPatch('--patch', patch);
}

function fileText(path: string, io: Io): string {
  if (path === '-') return io.readStdin();
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new NotFoundError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** JSON or YAML, as kubectl takes it. @throws {InvalidError} */
function parsedPatch(name: string, text: string): Json {
  const source = new Source(name);
  const faults = [];
  const tree = new TreeReader(source);
  const values: unknown[] = [];
  for (const document of documentsOf(text, source, (fault) => faults.push(fault))) {
    for (const { message, pos } of document.errors)
      faults.push(source.fault('', message.split('\n')[0] ?? '', pos[0]));
    values.push(tree.read(document.contents));
  }
  faults.push(...tree.faults);
  if (faults.length > 0) throw new InvalidError(`${name}: no JSON and no YAML`, faults);
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'object' || value === null)
    throw new InvalidError(
      `${name}: got ${JSON.stringify(text)}, want one JSON or YAML object, or a list of operations`,
    );
  return value as Json;
}
