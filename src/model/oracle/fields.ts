// SPDX-License-Identifier: Apache-2.0
/** Reading members of resources whose shape no type states. Null is absent, as Go's JSON reads it. */

export type Fields = { readonly [name: string]: unknown };

/** No members at all where there is no object. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

export function fieldsIn(of: Fields, name: string): Fields {
  return fieldsOf(of[name]);
}

export function isPresent(of: Fields, name: string): boolean {
  return of[name] !== undefined && of[name] !== null;
}

export function isTrue(of: Fields, name: string): boolean {
  return of[name] === true;
}

export function listIn(of: Fields, name: string): readonly unknown[] {
  const value = of[name];
  return Array.isArray(value) ? value : [];
}

/** Empty where there is none: no field of a policy tells empty text from absent text. */
export function textIn(of: Fields, name: string): string {
  const value = of[name];
  return typeof value === 'string' ? value : '';
}

export function numberIn(of: Fields, name: string): number | undefined {
  const value = of[name];
  return typeof value === 'number' ? value : undefined;
}

export function textsIn(of: Fields, name: string): readonly string[] {
  return listIn(of, name).filter((item) => typeof item === 'string');
}

export function labelsIn(of: Fields, name: string): ReadonlyMap<string, string> {
  const pairs = Object.entries(fieldsIn(of, name));
  return new Map(pairs.flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : [])));
}
