// SPDX-License-Identifier: Apache-2.0
/**
 * JSON text with the fields that it says twice, which JSON.parse keeps to itself.
 *
 * The text is scanned once for keys and their places; values are read by JSON.parse.
 */
import type { Json } from '../../model/types.ts';

export interface ReadText {
  readonly value: Json;
  /** Paths as a strict decoder tells them, each once: `data.a`, `spec.parts[0].name`. */
  readonly duplicates: readonly string[];
}

/** @throws {SyntaxError} */
export function readJson(text: string): ReadText {
  const value = JSON.parse(text) as Json;
  return { value, duplicates: duplicatesOf(text) };
}

interface Level {
  readonly keys: Set<string> | null;
  readonly path: string;
  /** The key or the index that is being read. */
  at: string;
  index: number;
}

const signs = /"(?:[^"\\]|\\.)*"|[{}[\],]/gs;

/** @param text - well-formed: JSON.parse took it */
function duplicatesOf(text: string): readonly string[] {
  const found = new Set<string>();
  const levels: Level[] = [];
  for (const { 0: sign, index } of text.matchAll(signs)) {
    const top = levels.at(-1);
    if (sign === '{' || sign === '[') levels.push(opened(sign, top));
    else if (sign === '}' || sign === ']') levels.pop();
    else if (sign === ',') next(top);
    else if (top?.keys && isKey(text, index + sign.length))
      named(top, top.keys, JSON.parse(sign) as string, found);
  }
  return [...found];
}

function opened(sign: string, top: Level | undefined): Level {
  const path = top ? pathIn(top) : '';
  return { keys: sign === '{' ? new Set() : null, path, at: '', index: 0 };
}

function pathIn({ keys, path, at, index }: Level): string {
  if (!keys) return `${path}[${index}]`;
  return path === '' ? at : `${path}.${at}`;
}

function next(top: Level | undefined): void {
  if (top) top.index++;
}

function isKey(text: string, from: number): boolean {
  let at = from;
  while (' \t\r\n'.includes(text.charAt(at)) && at < text.length) at++;
  return text.charAt(at) === ':';
}

function named(top: Level, keys: Set<string>, key: string, found: Set<string>): void {
  top.at = key;
  if (keys.has(key)) found.add(pathIn(top));
  keys.add(key);
}
