// SPDX-License-Identifier: Apache-2.0
/** Bodies of requests: text of a media type to JSON. */
import type { Json } from '../model/types.ts';
import type { ApiRequest } from './answer.ts';
import { clauseOf, unsupportedMedia } from './media.ts';
import { duplicateFields } from './objects/decode.ts';
import { protobufBody } from './protobuf-body.ts';
import { badRequest } from './status.ts';
import { parseYaml } from './yaml-text.ts';

export interface Body {
  readonly value: Json;
  /** Paths of fields that stand twice. */
  readonly duplicates: readonly string[];
}

/** @throws {ApiError} 415 {SyntaxError} */
export function readBody({ headers, body }: Pick<ApiRequest, 'headers' | 'body'>): Body {
  switch (clauseOf(headers['content-type'] ?? 'application/json').type) {
    case 'application/json':
      return duplicateFields(body.toString('utf8'));
    case 'application/yaml':
      return { value: parseYaml(body.toString('utf8')), duplicates: [] };
    case 'application/vnd.kubernetes.protobuf':
      return { value: protobufBody(body), duplicates: [] };
    default:
      throw unsupportedMedia();
  }
}

/** @throws {ApiError} 400, 415 */
export function objectBody(request: Pick<ApiRequest, 'headers' | 'body'>, kind: string): Body {
  const unrecognized = `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind`;
  const body = syntaxChecked(() => readBody(request), unrecognized);
  if (isPlainObject(body.value)) return body;
  throw badRequest(
    `${unrecognized}; json parse error: want an object (${request.body.toString('utf8', 0, 64)})`,
  );
}

export function isPlainObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws {ApiError} 400 for what is no text of its format */
export function syntaxChecked<T>(read: () => T, prefix: string): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && (error instanceof SyntaxError || error.name.startsWith('YAML')))
      throw badRequest(`${prefix}; json parse error: ${error.message}`);
    throw error;
  }
}
