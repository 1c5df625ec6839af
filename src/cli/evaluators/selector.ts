// SPDX-License-Identifier: Apache-2.0
/** `selector parse` and `selector eval`. */

import { matches, parseSelector, SelectorError } from '../../model/selector/parse.ts';
import { fieldsOf, textAt, textMapAt } from './request.ts';

export type ParseAnswer =
  | { readonly canonical: string; readonly id: string }
  | { readonly error: { readonly message: string; readonly position: number } };

/** What does not parse is an answer here, as it is what was asked. */
export function parseRequest(request: unknown): ParseAnswer {
  try {
    const { canonical, id } = parseSelector(textAt(fieldsOf(request, 'request'), 'selector'));
    return { canonical, id };
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    return { error: { message: error.message, position: error.position } };
  }
}

/** @throws {InvalidError} */
export function evalRequest(request: unknown): { readonly match: boolean } {
  const fields = fieldsOf(request, 'request');
  const labels = new Map(Object.entries(textMapAt(fields, 'labels')));
  return { match: matches(parseSelector(textAt(fields, 'selector')), labels) };
}
