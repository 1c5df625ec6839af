// SPDX-License-Identifier: Apache-2.0
/** metav1.DeleteOptions, from the body or the query. */
import type { Json, JsonObject } from '../model/types.ts';
import type { ApiRequest } from './answer.ts';
import { isPlainObject, readBody, syntaxChecked } from './body.ts';
import type { Cause } from './objects/api-error.ts';
import { invalid, notSupported, refusal } from './objects/causes.ts';
import { dryRunCauses } from './options.ts';
import { flagOf } from './request-path.ts';
import { badRequest } from './status.ts';

export interface DeleteOptions {
  readonly dryRun: boolean;
  /** null: the kind's own. */
  readonly gracePeriodSeconds: number | null;
  readonly propagationPolicy: 'Orphan' | 'Background' | 'Foreground' | null;
  readonly uid: string | null;
  readonly resourceVersion: string | null;
}

const policies = ['Foreground', 'Background', 'Orphan'] as const;

export const plainDeletion: DeleteOptions = {
  dryRun: false,
  gracePeriodSeconds: null,
  propagationPolicy: null,
  uid: null,
  resourceVersion: null,
};

/** @throws {ApiError} 400, 422 */
export function deleteOptions(request: ApiRequest): DeleteOptions {
  const fields = request.body.length === 0 ? fromQuery(request.query) : fromBody(request);
  return checkedOptions(fields);
}

/** @throws {ApiError} 422 */
export function checkedOptions(fields: JsonObject): DeleteOptions {
  const policy = fields.propagationPolicy ?? null;
  const orphan = fields.orphanDependents ?? null;
  const dryRun = (fields.dryRun ?? []) as readonly string[];
  const causes: Cause[] = [...dryRunCauses(dryRun)];
  if (policy !== null && orphan !== null)
    causes.push(
      invalid('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'),
    );
  else if (policy !== null && !isPolicy(policy))
    causes.push(notSupported('propagationPolicy', policy, [...policies, 'nil']));
  if (causes.length > 0) throw refusal({ kind: 'DeleteOptions', group: 'meta.k8s.io' }, '', causes);
  const preconditions = (fields.preconditions ?? {}) as JsonObject;
  return {
    dryRun: dryRun.length > 0,
    gracePeriodSeconds: numberOrNull(fields.gracePeriodSeconds),
    propagationPolicy: isPolicy(policy) ? policy : orphan === true ? 'Orphan' : null,
    uid: textOrNull(preconditions.uid),
    resourceVersion: textOrNull(preconditions.resourceVersion),
  };
}

function fromQuery(query: URLSearchParams): JsonObject {
  const grace = query.get('gracePeriodSeconds');
  return {
    dryRun: query.getAll('dryRun'),
    ...(grace === null ? {} : { gracePeriodSeconds: wholeNumber(grace) }),
    ...(query.has('propagationPolicy') ? { propagationPolicy: query.get('propagationPolicy') ?? '' } : {}),
    ...(query.has('orphanDependents') ? { orphanDependents: flagOf(query, 'orphanDependents') } : {}),
  };
}

function wholeNumber(text: string): number {
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text);
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function fromBody(request: ApiRequest): JsonObject {
  const { value } = syntaxChecked(() => readBody(request), "couldn't get version/kind");
  if (!isPlainObject(value)) throw badRequest('cannot read DeleteOptions: want an object');
  const { kind = 'DeleteOptions', apiVersion } = value;
  if (kind !== 'DeleteOptions')
    throw badRequest(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
    );
  return value;
}

function isPolicy(value: Json): value is (typeof policies)[number] {
  return policies.some((policy) => policy === value);
}

function numberOrNull(value: Json | undefined): number | null {
  return typeof value === 'number' ? value : null;
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
