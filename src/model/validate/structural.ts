// SPDX-License-Identifier: Apache-2.0
/**
 * A schema compiled into a check: each node once, into closures of the vocabulary of check.ts.
 *
 * Invariants: all faults at once. The rules of a node run after its members, and only those whose members have no fault
 *             of their own: one cause is told once. An unknown field spoils no rule. null is absent.
 */
import { assertNever } from '../../lib/errors.ts';
import { isObject, memberAt } from '../json.ts';
import type { Rule, Schema } from '../schema/schema.ts';
import { type CompiledRule, compileRule } from './cel/rule.ts';
import {
  anything,
  type Check,
  childPath,
  flag,
  judged,
  oneOf,
  quoteHint,
  type Report,
  shown,
  unknownField,
} from './check.ts';
import { formatChecks } from './formats.ts';
import { jsPattern, patternChoices, patternWords } from './pattern.ts';

/** @param overrides - by property of the schema's own root: what is checked otherwise, metadata for instance. */
export function compileSchema(schema: Schema, overrides: { readonly [name: string]: Check } = {}): Check {
  const value = compileValue(schema, overrides);
  const rules = (schema['x-kubernetes-validations'] ?? [])
    .map((rule) => new NodeRule(rule))
    .filter((rule) => !rule.compiled.isTransition);
  return rules.length === 0 ? value : withRules(value, rules);
}

export class NodeRule {
  readonly compiled: CompiledRule;
  readonly #field: readonly string[];
  readonly #message: string;

  constructor({ rule, message, fieldPath = '' }: Rule) {
    this.compiled = compileRule(rule);
    this.#field = fieldPath.split('.').slice(1);
    this.#message = message;
  }

  tell(value: unknown, path: string, report: Report): void {
    const at = this.#field.reduce(childPath, path);
    const found = memberAt(value, ...this.#field);
    report(at, this.#message.startsWith('want') ? `got ${shown(found)}, ${this.#message}` : this.#message);
  }

  /** @param spoilt - paths of faults. */
  isAbout(path: string, spoilt: readonly string[]): boolean {
    const { members } = this.compiled;
    if (spoilt.length === 0) return false;
    if (!members) return true;
    if (spoilt.includes(path)) return true;
    return spoilt.some((fault) => [...members].some((name) => isWithin(fault, childPath(path, name))));
  }
}

/** `a.b[0]` is within `a.b`, within itself, and not within `a.bc`. */
export function isWithin(path: string, outer: string): boolean {
  return path.startsWith(outer) && /^($|[.[])/.test(path.slice(outer.length));
}

function withRules(check: Check, rules: readonly NodeRule[]): Check {
  return (value, path, report) => {
    const spoilt: string[] = [];
    check(value, path, (at, message) => {
      if (!isUnknownField(message)) spoilt.push(at);
      report(at, message);
    });
    for (const rule of rules) {
      if (rule.compiled.holds(value) || rule.isAbout(path, spoilt)) continue;
      rule.tell(value, path, report);
    }
  };
}

function isUnknownField(message: string): boolean {
  return message.startsWith('unknown field ');
}

function compileValue(schema: Schema, overrides: { readonly [name: string]: Check }): Check {
  const format = schema.format === undefined ? undefined : formatChecks.get(schema.format);
  if (schema['x-kubernetes-int-or-string']) return format ?? judged(numberOrText);
  switch (schema.type) {
    case 'object':
      // maps with a format of their own: of keys and values together
      return format ?? compileObject(schema, overrides);
    case 'array':
      return compileList(schema);
    case 'string':
      return compileText(schema, format);
    case 'integer':
    case 'number':
      return schema.enum ? oneOf(...schema.enum) : compileNumber(schema);
    case 'boolean':
      return flag;
    case undefined:
      return format ?? anything;
    default:
      return assertNever(schema.type);
  }
}

function numberOrText(value: unknown): string | null {
  const good = typeof value === 'string' || Number.isInteger(value);
  return good ? null : `got ${shown(value)}, want a number or a string`;
}

function compileObject(schema: Schema, overrides: { readonly [name: string]: Check }): Check {
  const members = new Map(
    Object.entries(schema.properties ?? {}).map(([name, child]) => [
      name,
      overrides[name] ?? compileSchema(child),
    ]),
  );
  const names = [...members.keys()];
  const other = schema.additionalProperties && compileSchema(schema.additionalProperties);
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true || (names.length === 0 && !other);
  const required = requiredOf(schema);
  const count = countCheck(schema);
  return (value, path, report) => {
    if (!isObject(value)) return report(path, `got ${shown(value)}, want an object`);
    for (const name of Object.keys(value)) {
      const child = value[name];
      if (child === null || child === undefined) continue;
      const check = members.get(name) ?? other;
      if (check) check(child, childPath(path, name), report);
      else if (!isOpen) report(childPath(path, name), unknownField(name, names));
    }
    for (const name of required) {
      if (!Object.hasOwn(value, name) || (value[name] ?? null) === null)
        report(childPath(path, name), 'got nothing, want a value: the field is required');
    }
    count?.(value, path, report);
  };
}

/** A default is filled in before an API server looks for what is required. */
function requiredOf({ required = [], properties = {} }: Schema): readonly string[] {
  return required.filter((name) => properties[name]?.default === undefined);
}

/** With a field that nobody knows the count is not what is wrong. */
function countCheck({ minProperties = 0, maxProperties, properties = {} }: Schema): Check | null {
  if (minProperties === 0 && maxProperties === undefined) return null;
  const max = maxProperties ?? Number.POSITIVE_INFINITY;
  const want = `want ${max === 1 ? 'one' : 'at least one'} of ${Object.keys(properties).join(', ')}`;
  return (value, path, report) => {
    const set = isObject(value) ? Object.keys(value).filter((name) => (value[name] ?? null) !== null) : [];
    if (set.some((name) => !Object.hasOwn(properties, name))) return;
    if (set.length < minProperties || set.length > max)
      report(path, `got ${set.length === 0 ? 'nothing' : set.join(' and ')}, ${want}`);
  };
}

function compileList(schema: Schema): Check {
  const item = schema.items ? compileSchema(schema.items) : () => {};
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
  const identity = identityOf(schema);
  return (value, path, report) => {
    if (!Array.isArray(value)) return report(path, `got ${shown(value)}, want a list`);
    if (value.length > maxItems) return report(path, `got ${value.length} items, want at most ${maxItems}`);
    if (value.length < minItems)
      return report(path, `got ${value.length || 'no'} items, want at least ${minItems}`);
    const seen = new Set<unknown>();
    for (let i = 0; i < value.length; i++) {
      const child: unknown = value[i];
      const at = `${path}[${i}]`;
      if (identity) {
        const id = identity(child);
        if (seen.has(id)) report(at, `got ${shown(child)} twice, want it once`);
        seen.add(id);
      }
      if (child !== null || !schema.items?.nullable) item(child, at, report);
    }
  };
}

/** What no two items may share; null when they may share everything. */
function identityOf(schema: Schema): ((item: unknown) => unknown) | null {
  const kind = schema['x-kubernetes-list-type'];
  if (kind === 'set')
    return (item) => (typeof item === 'object' && item !== null ? JSON.stringify(item) : item);
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  return kind === 'map' ? (item) => JSON.stringify(keys.map((key) => memberAt(item, key) ?? null)) : null;
}

function compileText(schema: Schema, format: Check | undefined): Check {
  if (schema.enum) return oneOf(...schema.enum);
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  const expression = pattern === undefined ? null : jsPattern(pattern);
  const mismatch = pattern === undefined ? null : patternCheck(pattern);
  return (value, path, report) => {
    if (typeof value !== 'string') {
      if (format) return format(value, path, report);
      return report(path, `got ${shown(value)}, want a string${quoteHint(value)}`);
    }
    if (value.length > maxLength && [...value].length > maxLength)
      return report(path, `got ${value.length} characters, want at most ${maxLength}`);
    if (value.length < minLength) return report(path, 'got "", want a text');
    if (expression && !expression.test(value)) return mismatch?.(value, path, report);
    format?.(value, path, report);
  };
}

/** For a text that does not match: in words, where the pattern has some. */
function patternCheck(pattern: string): Check {
  const choices = patternChoices(pattern);
  if (choices) return oneOf(...choices);
  const words = patternWords.get(pattern) ?? `a text that matches ${pattern}`;
  return (value, path, report) => report(path, `got ${shown(value)}, want ${words}`);
}

function compileNumber({ type, minimum, maximum, format }: Schema): Check {
  const isWhole = type === 'integer';
  const [least, most] = format === 'int32' ? [-(2 ** 31), 2 ** 31 - 1] : [-(2 ** 53), 2 ** 53];
  const min = minimum ?? (isWhole ? least : Number.NEGATIVE_INFINITY);
  const max = maximum ?? (isWhole ? most : Number.POSITIVE_INFINITY);
  const want = `want ${isWhole ? 'an integer' : 'a number'}${rangeText(minimum, maximum)}`;
  return judged((value) => {
    const good =
      typeof value === 'number' &&
      (isWhole ? Number.isInteger(value) : Number.isFinite(value)) &&
      value >= min &&
      value <= max;
    return good ? null : `got ${shown(value)}, ${want}`;
  });
}

function rangeText(minimum: number | undefined, maximum: number | undefined): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? '' : ` of at most ${maximum}`;
}
