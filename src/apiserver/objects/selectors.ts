// SPDX-License-Identifier: Apache-2.0
/**
 * Label and field selectors as query parameters carry them.
 *
 * @see k8s.io/apimachinery/pkg/labels/selector.go and pkg/fields/selector.go for the languages
 */

import { assertNever } from '../../lib/errors.ts';
import type { JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import { memberOf, textAt } from './json.ts';
import { labelValueFaults, qualifiedFaults } from './names.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

/** All of them must hold. */
export type LabelSelector = readonly LabelRequirement[];

export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  readonly values: readonly string[];
}

export type FieldSelector = readonly FieldRequirement[];

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** @throws {ApiError} 400 */
export function parseLabelSelector(text: string): LabelSelector {
  return new LabelParser(text).selector();
}

export function matchesLabels(selector: LabelSelector, labels: JsonObject | undefined): boolean {
  return selector.every((requirement) => holds(requirement, memberOf(labels, requirement.key)));
}

function holds({ operator, values }: LabelRequirement, found: unknown): boolean {
  const label = typeof found === 'string' ? found : null;
  switch (operator) {
    case 'In':
      return label !== null && values.includes(label);
    case 'NotIn':
      return label === null || !values.includes(label);
    case 'Exists':
      return label !== null;
    case 'DoesNotExist':
      return label === null;
    case 'Gt':
      return isInteger(label) && BigInt(label) > BigInt(values[0] ?? 0);
    case 'Lt':
      return isInteger(label) && BigInt(label) < BigInt(values[0] ?? 0);
    default:
      return assertNever(operator);
  }
}

function isInteger(text: string | null): text is string {
  return text !== null && /^[-+]?\d{1,19}$/.test(text);
}

const words = /\s*(==|!=|[!(),=<>]|[^\s!(),=<>]+)/y;

class LabelParser {
  readonly #words: readonly string[];
  #next = 0;

  constructor(text: string) {
    const found: string[] = [];
    words.lastIndex = 0;
    for (let match = words.exec(text); match; match = words.exec(text)) found.push(match[1] ?? '');
    this.#words = found;
  }

  selector(): LabelSelector {
    const requirements: LabelRequirement[] = [];
    while (this.#peek() !== '') {
      requirements.push(this.#requirement());
      const after = this.#take();
      if (after === '') break;
      if (after !== ',') throw refused(`found '${after}', expected: ',' or 'end of string'`);
      if (!isIdentifier(this.#peek()) && this.#peek() !== '!')
        throw refused(`found '${this.#peek()}', expected: identifier after ','`);
    }
    return requirements;
  }

  #requirement(): LabelRequirement {
    const isNegated = this.#peek() === '!';
    if (isNegated) this.#next++;
    const key = this.#take();
    if (!isIdentifier(key)) throw unparsable(`found '${key}', expected: identifier`);
    checkKey(key);
    if (isNegated) return { key, operator: 'DoesNotExist', values: [] };
    if (['', ','].includes(this.#peek())) return { key, operator: 'Exists', values: [] };
    return checkedValues(this.#comparison(key));
  }

  #comparison(key: string): LabelRequirement {
    const operator = this.#take();
    switch (operator) {
      case '=':
      case '==':
        return { key, operator: 'In', values: [this.#value()] };
      case '!=':
        return { key, operator: 'NotIn', values: [this.#value()] };
      case '>':
        return { key, operator: 'Gt', values: [this.#value()] };
      case '<':
        return { key, operator: 'Lt', values: [this.#value()] };
      case 'in':
        return { key, operator: 'In', values: this.#set() };
      case 'notin':
        return { key, operator: 'NotIn', values: this.#set() };
      default:
        throw unparsable(`found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  #value(): string {
    if (['', ','].includes(this.#peek())) return '';
    const value = this.#take();
    if (!isIdentifier(value)) throw unparsable(`found '${value}', expected: identifier`);
    return value;
  }

  /** `(a, b)`; nothing between two signs is the empty value. */
  #set(): readonly string[] {
    const open = this.#take();
    if (open !== '(') throw unparsable(`found '${open}' expected: '('`);
    const values: string[] = [];
    for (;;) {
      values.push(isIdentifier(this.#peek()) ? this.#take() : '');
      const after = this.#take();
      if (after === ')') return [...new Set(values)];
      if (after !== ',') throw unparsable(`found '${after}', expected: ',' or ')'`);
    }
  }

  #peek(): string {
    return this.#words[this.#next] ?? '';
  }

  #take(): string {
    const word = this.#peek();
    this.#next++;
    return word;
  }
}

function isIdentifier(word: string): boolean {
  return /^[^!(),=<>]/.test(word);
}

function checkKey(key: string): void {
  const [fault] = qualifiedFaults(key);
  if (fault !== undefined) throw unparsable(`key: Invalid value: ${JSON.stringify(key)}: ${fault}`);
}

function checkedValues(requirement: LabelRequirement): LabelRequirement {
  const { key, operator, values } = requirement;
  for (const [i, value] of values.entries()) {
    if ((operator === 'Gt' || operator === 'Lt') && !isInteger(value))
      throw unparsable(
        `values[${i}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    const [fault] = labelValueFaults(value);
    if (fault !== undefined)
      throw unparsable(`values[${i}][${key}]: Invalid value: ${JSON.stringify(value)}: ${fault}`);
  }
  return requirement;
}

function unparsable(message: string): ApiError {
  return refused(`unable to parse requirement: ${message}`);
}

function refused(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

// ---- fields --------------------------------------------------------------------------------------------------------

/** @throws {ApiError} 400 */
export function parseFieldSelector(text: string, resource: ServedResource): FieldSelector {
  return termsOf(text).map((term) => {
    const requirement = fieldRequirement(term, text);
    checkField(requirement.field, resource);
    return requirement;
  });
}

export function matchesFields(selector: FieldSelector, resource: ServedResource, object: ApiObject): boolean {
  if (selector.length === 0) return true;
  const fields: Readonly<Record<string, string>> = {
    ...resource.rules.selectableFields(object),
    'metadata.name': object.metadata.name,
    'metadata.namespace': textAt(object, 'metadata', 'namespace'),
  };
  return selector.every(
    ({ field, operator, value }) => ((fields[field] ?? '') === value) === (operator === '='),
  );
}

/** Between commas; a backslash before a comma, an equals sign or a backslash takes its meaning away. */
function termsOf(text: string): readonly string[] {
  return [...text.matchAll(/(?:[^,\\]|\\.)+/g)].map(([term]) => term);
}

function fieldRequirement(term: string, whole: string): FieldRequirement {
  const match = /^(?<field>(?:[^=!\\]|\\.)*?)(?<operator>!=|==|=)(?<value>.*)$/s.exec(term);
  const { field = '', operator = '', value = '' } = match?.groups ?? {};
  if (!match) throw refused(`invalid selector: '${whole}'; can't understand '${term}'`);
  return { field, operator: operator === '!=' ? '!=' : '=', value: value.replace(/\\([\\,=])/g, '$1') };
}

const everyKinds = ['metadata.name', 'metadata.namespace'];

function checkField(field: string, { custom, rules }: ServedResource): void {
  const names = rules.selectableFieldNames;
  if (everyKinds.includes(field) || names?.includes(field)) return;
  if (custom || names) throw refused(`field label not supported: ${field}`);
  throw refused(
    `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
  );
}
