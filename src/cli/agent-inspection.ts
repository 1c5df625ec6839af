// SPDX-License-Identifier: Apache-2.0
/** Questions to agents about their data plane's inside: asked of each, over its socket. */
import { request } from 'node:http';
import type { InspectionAnswer, InspectionKind } from '../contract/inspect.ts';
import { ask } from '../lab/control.ts';
import {
  type AppError,
  InvalidError,
  NotFoundError,
  UnavailableError,
  UnsupportedError,
} from '../lib/errors.ts';
import { Told } from './command.ts';
import { errorText, exitCodes } from './exit.ts';
import type { Io } from './io.ts';

/** With the node that it is from: these are the objects of `-o json`. */
export type FromNode<T> = T & { readonly node: string };

export type AnswerOf<K extends InspectionKind> = FromNode<Extract<InspectionAnswer, { kind: K }>>;

export type Query = { readonly [name: string]: string | undefined };

/**
 * What an endpoint's or set's name means is known on its own node alone: others may not find it as long as one does.
 *
 * @returns the answers, and, as soon as these were shown, what there is to throw.
 * @throws {NotFoundError} {InvalidError} {UnsupportedError} {UnavailableError} when none answered.
 */
export async function askAll<T>(
  sockets: readonly string[],
  path: string,
  query: Query,
  io: Io,
): Promise<{ readonly answers: readonly FromNode<T>[]; readonly wantAll: () => void }> {
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  const suffix = given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
  const results = await Promise.allSettled(sockets.map((socket) => askOne<T>(socket, path + suffix)));
  const answers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  const grave = failures.filter((failure) => !(failure instanceof NotFoundError));
  if (answers.length === 0) throw grave[0] ?? failures[0] ?? new NotFoundError('there is no node to ask');
  for (const failure of grave) io.note(errorText(failure));
  return {
    answers,
    wantAll: () => {
      if (grave.length > 0) throw new Told(exitCodes.partial);
    },
  };
}

async function askOne<T>(socket: string, path: string): Promise<FromNode<T>> {
  const { status, body } = await ask(socket, path);
  if (status === 200) return body as FromNode<T>;
  throw errorOf(socket, status, body);
}

/**
 * Calls with each line of the answer until the agent ends it.
 *
 * @throws {UnavailableError} when it cannot be reached, or ended it. {UnsupportedError}
 */
export function follow(socketPath: string, path: string, onLine: (value: unknown) => void): Promise<never> {
  return new Promise((_, reject) => {
    const call = request({ socketPath, path }, (response) => {
      const isFollowing = response.statusCode === 200;
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (!isFollowing) return;
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) onLine(JSON.parse(line));
      });
      response.on('error', () => {}); // an agent that is killed ends in the middle; then it is closed too
      response.once('close', () => {
        if (isFollowing) reject(new UnavailableError(`the agent at ${socketPath} ended`));
        else reject(errorOf(socketPath, response.statusCode ?? 0, parsed(text)));
      });
    });
    call.on('error', (error) => reject(new UnavailableError(`cannot reach ${socketPath}: ${error.message}`)));
    call.end();
  });
}

function parsed(text: string): unknown {
  return text === '' ? null : JSON.parse(text);
}

/** An agent before this question was known answers 404 without a code. */
function errorOf(socket: string, status: number, body: unknown): AppError {
  const { code, reasons = [] } = (body ?? {}) as { code?: string; reasons?: readonly string[] };
  const message = reasons.join('; ');
  if (code === 'NOT_FOUND') return new NotFoundError(message);
  if (code === 'INVALID') return new InvalidError(message);
  if (code === 'UNSUPPORTED') return new UnsupportedError(message);
  return new UnavailableError(`agent at ${socket} answered ${status}${message === '' ? '' : `: ${message}`}`);
}
