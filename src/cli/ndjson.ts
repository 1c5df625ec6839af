// SPDX-License-Identifier: Apache-2.0
/**
 * Every evaluating command as a filter: one JSON request per line in, one JSON answer per line out, in order, in one
 * process. A bad request gets `{"error": ...}` and the next is served.
 */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { AppError, InvalidError } from '../lib/errors.ts';

/** Answers one request. @throws {InvalidError} for a request that is none. */
export type Evaluator = (request: unknown) => unknown;

/** A resource may have 64 levels, and requests hold resources. */
const maxRequestNesting = 80;
const maxLineBytes = 256 * 1024 * 1024; // a matrix request of some thousand pods stays far below

export async function filter(
  input: Readable,
  out: (text: string) => void,
  evaluate: Evaluator,
): Promise<void> {
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) out(`${JSON.stringify(answer(line, evaluate))}\n`);
}

function answer(line: string, evaluate: Evaluator): unknown {
  try {
    if (line.length > maxLineBytes)
      throw new InvalidError(`request of ${line.length} bytes: want at most ${maxLineBytes}`);
    return evaluate(parseRequest(line));
  } catch (error) {
    return { error: errorObject(error) };
  }
}

function parseRequest(line: string): unknown {
  const request = parsedJson(line);
  if (isDeeperThan(request, maxRequestNesting))
    throw new InvalidError(`request is nested too deep: want at most ${maxRequestNesting} levels`);
  return request;
}

function parsedJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new InvalidError(`request is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Level by level: JSON.parse takes any depth, JSON.stringify and whoever else recurses do not. */
function isDeeperThan(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []));
  }
  return false;
}

/** A fault of ours is told as such and does not end the filter either. */
export function errorObject(
  error: unknown,
): { code: string; message: string } & Partial<Pick<InvalidError, 'faults'>> {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof AppError)) return { code: 'INTERNAL', message };
  const faults = error instanceof InvalidError && error.faults.length > 0 ? { faults: error.faults } : {};
  return { code: error.code, message, ...faults };
}
