// SPDX-License-Identifier: Apache-2.0
/** A request with its credentials understood, and what is answered: what requests are handled in terms of, whatever the wire. */
import type { JsonObject } from '../model/types.ts';
import type { Shape } from './media.ts';
import type { User } from './user.ts';

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** In small letters. */
  readonly headers: { readonly [name: string]: string | undefined };
  readonly body: Buffer;
  readonly user: User;
}

export type Answer = JsonAnswer | TextAnswer | StreamAnswer;

export interface JsonAnswer {
  readonly type: 'json';
  readonly status: number;
  readonly body: JsonObject;
  /** Texts of Warning headers. */
  readonly warnings?: readonly string[];
  readonly headers?: { readonly [name: string]: string };
  /** Protobuf is for a Status alone. */
  readonly encoding?: Shape['encoding'] | 'protobuf';
  /** Where it is not that of the encoding. */
  readonly contentType?: string;
}

export interface TextAnswer {
  readonly type: 'text';
  readonly status: number;
  readonly text: string;
  readonly contentType: string;
  readonly headers?: { readonly [name: string]: string };
}

export interface StreamAnswer {
  readonly type: 'stream';
  /** Begins to write; gives what stops it, for when the client has gone. */
  readonly start: (sink: EventSink) => () => void;
}

export interface EventSink {
  write(line: string): void;
  end(): void;
}

export function json(status: number, body: JsonObject, warnings: readonly string[] = []): JsonAnswer {
  return { type: 'json', status, body, warnings };
}

export function text(status: number, value: string): TextAnswer {
  return { type: 'text', status, text: value, contentType: 'text/plain; charset=utf-8' };
}
