// SPDX-License-Identifier: Apache-2.0
/** Faults of an object by field, in the words of k8s.io/apimachinery's validation/field. */
import type { Json } from '../../model/types.ts';
import { ApiError, type Cause } from './api-error.ts';
import type { ServedResource } from './served-resource.ts';

export function required(field: string, detail = ''): Cause {
  return { reason: 'FieldValueRequired', message: worded('Required value', detail), field };
}

export function invalid(field: string, value: Json, detail: string): Cause {
  return {
    reason: 'FieldValueInvalid',
    message: worded(`Invalid value: ${JSON.stringify(value)}`, detail),
    field,
  };
}

export function forbidden(field: string, detail: string): Cause {
  return { reason: 'FieldValueForbidden', message: worded('Forbidden', detail), field };
}

export function duplicate(field: string, value: Json): Cause {
  return { reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(value)}`, field };
}

export function notSupported(field: string, value: Json, supported: readonly Json[]): Cause {
  const list = supported.map((each) => JSON.stringify(each)).join(', ');
  return {
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`,
    field,
  };
}

export function tooLong(field: string, bytes: number): Cause {
  return { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${bytes} bytes`, field };
}

export function tooMany(field: string, found: number, most: number): Cause {
  return {
    reason: 'FieldValueTooMany',
    message: `Too many: ${found}: must have at most ${most} items`,
    field,
  };
}

export function typeInvalid(field: string, found: Json, detail: string): Cause {
  return {
    reason: 'FieldValueTypeInvalid',
    message: worded(`Invalid value: ${JSON.stringify(found)}`, detail),
    field,
  };
}

function worded(what: string, detail: string): string {
  return detail === '' ? what : `${what}: ${detail}`;
}

/** `Kind.group "name" is invalid: field: message`, with every fault as a cause. */
export function refusal(
  resource: Pick<ServedResource, 'group' | 'kind'>,
  name: string,
  causes: readonly Cause[],
): ApiError {
  const { group, kind } = resource;
  const texts = causes.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`));
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const title = group === '' ? kind : `${kind}.${group}`;
  const details = {
    ...(name === '' ? {} : { name }),
    ...(group === '' ? {} : { group }),
    ...(kind === '' ? {} : { kind }),
  };
  return new ApiError(422, 'Invalid', `${title} ${JSON.stringify(name)} is invalid: ${list}`, {
    ...details,
    causes,
  });
}
