// SPDX-License-Identifier: Apache-2.0
/** `config parse`: what a word for one of Felix's parameters comes to. */

import type { Effect } from '../../model/felix/parameters.ts';
import { effectOf, parameterOf, readParameter } from '../../model/felix/parameters.ts';
import type { Json } from '../../model/types.ts';
import { fieldsOf, own, wrong } from './request.ts';

export interface ParsedSetting {
  /** As FelixConfiguration spells it. */
  readonly name: string;
  /** The effective one: the default, when the word cannot be read. */
  readonly value: Json;
  readonly effect: Effect;
  readonly error?: { readonly message: string };
}

/** @throws {InvalidError} when no parameter has that name. */
export function parseSetting(request: unknown): ParsedSetting {
  const fields = fieldsOf(request, 'request');
  const [name, value] = [own(fields, 'name'), own(fields, 'value')];
  const parameter = typeof name === 'string' ? parameterOf(name) : null;
  if (!parameter) throw wrong('name', name, "the name of one of Felix's parameters");
  const read = readParameter(parameter, typeof value === 'string' ? value : JSON.stringify(value ?? ''));
  const common = { name: parameter.name, effect: effectOf(parameter.name) };
  if ('value' in read) return { ...common, value: read.value };
  return { ...common, value: parameter.fallback, error: { message: read.fault } };
}
