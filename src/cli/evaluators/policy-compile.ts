// SPDX-License-Identifier: Apache-2.0
/** `policy compile`: what the graph sends to one node, as one object. */
import { compiledNode, compileFor } from '../../calc/compile.ts';
import type { CompiledNode } from '../../contract/compiled.ts';
import { type Fault, InvalidError } from '../../lib/errors.ts';
import { builtinUpdates } from '../../model/builtin.ts';
import { keyOf } from '../../model/kinds.ts';
import type { Resource } from '../../model/types.ts';
import { updatesOf } from '../../model/updates.ts';
import { validateResource } from '../../model/validate/resource.ts';
import { fieldsOf, listAt, own, wrong } from './request.ts';

/** @throws {InvalidError} with every fault of every resource. */
export function compileRequest(request: unknown): CompiledNode {
  const fields = fieldsOf(request, 'request');
  const node = own(fields, 'node');
  if (node !== undefined && typeof node !== 'string') throw wrong('node', node, 'a name');
  const faults: Fault[] = [];
  const resources = listAt(fields, 'resources').flatMap((value, i) => {
    const validation = validateResource(value);
    for (const fault of validation.faults) faults.push({ ...fault, path: `resources[${i}].${fault.path}` });
    return validation.resource ? [validation.resource] : [];
  });
  if (faults.length > 0)
    throw new InvalidError(`${faults.length} faults: ${faults[0]?.path} ${faults[0]?.message}`, faults);
  return compileResources(node, resources);
}

/** @param node - left out: where the first placed Pod runs. */
export function compileResources(node: string | undefined, resources: readonly Resource[]): CompiledNode {
  const updates = resources.flatMap((resource) => updatesOf(keyOf(resource), resource).updates);
  const endpoint = updates.find((update) => update.kind === 'WorkloadEndpoint' && update.value !== null);
  const first = endpoint?.kind === 'WorkloadEndpoint' ? endpoint.value?.node : undefined;
  return compiledNode(compileFor(node ?? first ?? '', [...builtinUpdates(), ...updates]));
}
