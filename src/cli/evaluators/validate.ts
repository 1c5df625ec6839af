// SPDX-License-Identifier: Apache-2.0
/** `validate` and `convert` as filters. */
import { InvalidError } from '../../lib/errors.ts';
import { convertKubernetes } from '../../model/kubernetes/convert.ts';
import type { Resource } from '../../model/types.ts';
import { validateResource } from '../../model/validate/resource.ts';
import { fieldsOf, own } from './request.ts';

export interface ValidateAnswer {
  readonly valid: boolean;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly resource: unknown;
}

/** @param defaults - answers with them filled in, where the resource is valid; else with the resource as it came. */
export function validateRequest(defaults: boolean): (request: unknown) => ValidateAnswer {
  return (request) => {
    const given = own(fieldsOf(request, 'request'), 'resource');
    const { faults, resource } = validateResource(given);
    const errors = faults.map(({ path, message }) => ({ path, message }));
    return { valid: errors.length === 0, errors, resource: (defaults ? resource : null) ?? given ?? null };
  };
}

/** @throws {InvalidError} for a resource that is none. {UnsupportedError} for one that v3 has no kind for. */
export function convertRequest(request: unknown): { readonly resource: Resource } {
  const { faults, resource } = validateResource(own(fieldsOf(request, 'request'), 'resource'));
  if (!resource) throw new InvalidError(`cannot convert: ${faults[0]?.path}: ${faults[0]?.message}`, faults);
  return { resource: convertKubernetes(resource) };
}
