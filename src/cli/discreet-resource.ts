// SPDX-License-Identifier: Apache-2.0
/** An object as it may be shown to strangers: who wrote it may have put a secret into what others only carry. */
import { isObject } from '../model/json.ts';
import { type Json, originAnnotation, type Resource } from '../model/types.ts';

const mask = '[left out]';
/** Of a container: what it is told at its start. */
const containerFields = ['args', 'command', 'lifecycle'];
const secretNames = /(password|passwd|token|secret|credential|privatekey)$/i;
const keptAnnotations = (name: string) => name === originAnnotation || /projectcalico\.org\//.test(name);

/** Annotations of strangers go (kubectl keeps a whole object in one), and so does what containers are told. */
export function discreetResource(resource: Resource): unknown {
  const annotations = Object.entries(resource.metadata?.annotations ?? {});
  const kept = Object.fromEntries(
    annotations.map(([name, value]) => [name, keptAnnotations(name) ? value : mask]),
  );
  const metadata = annotations.length === 0 ? resource.metadata : { ...resource.metadata, annotations: kept };
  return shown({ ...resource, metadata } as unknown as Json);
}

/** @param value - of a store that bounds its nesting. */
function shown(value: Json): Json {
  if (Array.isArray(value)) return value.map(shown);
  if (!isObject(value)) return value;
  const entries = Object.entries(value as { readonly [name: string]: Json });
  return Object.fromEntries(entries.map(([name, member]) => [name, shownMember(name, member)]));
}

function shownMember(name: string, value: Json): Json {
  if (containerFields.includes(name) && typeof value === 'object') return mask;
  if (secretNames.test(name) && typeof value === 'string') return mask;
  if (name === 'env' && Array.isArray(value)) return value.map(namedOnly);
  return shown(value);
}

/** An environment variable without its value. */
function namedOnly(variable: Json): Json {
  return isObject(variable) ? { ...(variable as { [name: string]: Json }), value: mask } : mask;
}
