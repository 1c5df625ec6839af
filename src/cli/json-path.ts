// SPDX-License-Identifier: Apache-2.0
/**
 * The part of kubectl's JSONPath that scripts use: `{.a.b}`, `['c.d']`, `[0]`, `[-1]`, `[*]`, `{@}`, `{"text\n"}`,
 * `{range .items[*]}...{end}`, and text outside braces as it stands. Filters, slices, unions and `..` are refused.
 *
 * @see "JSONPath Support", kubernetes.io/docs/reference/kubectl/jsonpath
 */
import { UsageError } from '../lib/errors.ts';
import { member } from '../model/json.ts';

type Step = { readonly member: string } | { readonly index: number } | 'each';
export type Path = readonly Step[];
type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'range'; readonly path: Path; readonly body: readonly Piece[] };
export type Template = readonly Piece[];

/** @throws {UsageError} */
export function parseTemplate(text: string): Template {
  const top: Piece[] = [];
  const open: { path: Path; body: Piece[] }[] = [];
  for (const token of text.matchAll(/\{((?:"(?:[^"\\]|\\.)*"|'[^']*'|[^{}"'])*)\}|([^{}]+)|([\s\S])/g)) {
    const [, inner, outside, stray] = token;
    if (stray !== undefined) throw wrongTemplate(text, `a ${stray} without its counterpart`);
    const body = open.at(-1)?.body ?? top;
    if (inner === undefined) body.push({ kind: 'text', text: outside ?? '' });
    else if (inner.trim() === 'end') {
      const range = open.pop();
      if (!range) throw wrongTemplate(text, 'an {end} without {range}');
      (open.at(-1)?.body ?? top).push({ kind: 'range', ...range });
    } else if (/^\s*range\s/.test(inner))
      open.push({ path: parsePath(inner.replace(/^\s*range/, '')), body: [] });
    else body.push(expression(inner.trim()));
  }
  if (open.length > 0) throw wrongTemplate(text, 'a {range} without {end}');
  return top;
}

export function renderTemplate(template: Template, value: unknown): string {
  return template.map((piece) => renderPiece(piece, value)).join('');
}

/** `.metadata.name`, with or without the first dot, `@` or `$`. @throws {UsageError} */
export function parsePath(text: string): Path {
  const trimmed = text.trim().replace(/^[@$]/, '');
  const dotted = /^[.[]|^$/.test(trimmed) ? trimmed : `.${trimmed}`;
  const steps: Step[] = [];
  let at = 0;
  for (const token of dotted.matchAll(
    /\.((?:[^.[\]'"\\\s]|\\.)+)|\[(-?\d+|\*)\]|\[(?:'([^']*)'|"([^"]*)")\]|\.(?=\[|$)/g,
  )) {
    if (token.index !== at) break;
    at += token[0].length;
    const [, name, index, single, double] = token;
    const quotedName = single ?? double;
    if (name !== undefined) steps.push(name === '*' ? 'each' : { member: name.replace(/\\(.)/g, '$1') });
    else if (quotedName !== undefined) steps.push({ member: quotedName });
    else if (index !== undefined) steps.push(index === '*' ? 'each' : { index: Number(index) });
  }
  if (at !== dotted.length) throw wrongTemplate(text, `${JSON.stringify(dotted.slice(at))}`);
  return steps;
}

/** Every value that the path leads to; none when there is none. */
export function valuesAt(path: Path, value: unknown): readonly unknown[] {
  return path.reduce<readonly unknown[]>(
    (found, step) => found.flatMap((each) => stepInto(step, each)),
    [value],
  );
}

/** Text as it is, all else as JSON. */
export function shownValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function stepInto(step: Step, value: unknown): readonly unknown[] {
  if (step === 'each') return typeof value === 'object' && value !== null ? Object.values(value) : [];
  const found =
    'member' in step ? member(value, step.member) : Array.isArray(value) ? value.at(step.index) : undefined;
  return found === undefined ? [] : [found];
}

function renderPiece(piece: Piece, value: unknown): string {
  switch (piece.kind) {
    case 'text':
      return piece.text;
    case 'path':
      return valuesAt(piece.path, value).map(shownValue).join(' ');
    case 'range':
      return valuesAt(piece.path, value)
        .map((each) => renderTemplate(piece.body, each))
        .join('');
  }
}

const escapes: { readonly [letter: string]: string } = { n: '\n', t: '\t', r: '\r' };

function expression(inner: string): Piece {
  const quoted = /^"((?:[^"\\]|\\.)*)"$|^'([^']*)'$/.exec(inner);
  if (!quoted) return { kind: 'path', path: parsePath(inner) };
  const text = (quoted[1] ?? quoted[2] ?? '').replace(
    /\\(.)/g,
    (_, letter: string) => escapes[letter] ?? letter,
  );
  return { kind: 'text', text };
}

function wrongTemplate(text: string, got: string): UsageError {
  return new UsageError(
    `path ${JSON.stringify(text)}: got ${got}, want .name, ['name'], [number], [*], {"text"}, {range PATH}...{end}`,
  );
}
