// SPDX-License-Identifier: Apache-2.0
/** Runs the steps of a transcript against a server of ours, strictly one after another. */

import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { ApiServer } from '../../src/apiserver/server.ts';
import type { JsonObject } from '../../src/model/types.ts';
import { type Answered, Comparison } from './comparison.ts';
import type { RequestStep, Step, Transcript } from './transcript.ts';

export interface Outcome {
  /** `topic/step`. */
  readonly step: string;
  /** Empty: the step is met. */
  readonly faults: readonly string[];
}

export class Replay {
  readonly #server: ApiServer;
  readonly #agents: { readonly admin: Agent; readonly anonymous: Agent };
  readonly #answers = new Map<string, Answered>();
  readonly #running = new Map<string, Promise<Answered>>();

  constructor(server: ApiServer) {
    this.#server = server;
    const keys = server.adminKeys();
    const { ca } = server;
    this.#agents = { admin: new Agent({ ca, ...keys, keepAlive: true }), anonymous: new Agent({ ca }) };
  }

  async run(transcript: Transcript): Promise<readonly Outcome[]> {
    const comparison = new Comparison(transcript.keepManagedFields === true);
    const outcomes: Outcome[] = [];
    for (const step of transcript.steps) {
      const faults = await this.#step(step, comparison);
      if (faults) outcomes.push({ step: `${transcript.topic}/${step.name}`, faults });
    }
    return outcomes;
  }

  close(): void {
    this.#agents.admin.destroy();
    this.#agents.anonymous.destroy();
  }

  /** null for what has no answer. */
  async #step(step: Step, comparison: Comparison): Promise<readonly string[] | null> {
    if ('pause' in step) return null; // it is consistent at once
    if ('compact' in step) {
      this.#server.store.compact();
      return null;
    }
    if ('collect' in step) {
      const found = await this.#running.get(step.collect);
      return found ? comparison.of({ method: 'GET' }, step.response, found) : ['no such stream'];
    }
    const { headers, done } = this.#start(step);
    if (step.watch?.background) {
      this.#running.set(step.name, done);
      await headers;
      return null;
    }
    const found = await done;
    this.#answers.set(step.name, found);
    return step.response ? comparison.of(step, step.response, found) : null;
  }

  #start(step: RequestStep): { readonly headers: Promise<void>; readonly done: Promise<Answered> } {
    const { promise: headers, resolve: opened } = Promise.withResolvers<void>();
    const done = new Promise<Answered>((resolve, reject) => {
      const request = httpsRequest(this.#optionsOf(step), (response) => {
        opened();
        if (step.watch && response.statusCode === 200 && !step.response?.body)
          readEvents(response, step.watch, resolve);
        else readWhole(response, resolve);
      });
      request.on('error', reject);
      const body = this.#bodyOf(step);
      // Node says nothing of the body of a DELETE by itself
      if (body !== '') request.setHeader('content-length', Buffer.byteLength(body));
      request.end(body);
    });
    done.catch(() => opened());
    return { headers, done };
  }

  #optionsOf(step: RequestStep): RequestOptions {
    const query = Object.entries(step.query ?? {}).map(
      ([name, value]) => [name, this.#filled(value)] as [string, string],
    );
    const search = query.length > 0 ? `?${new URLSearchParams(query)}` : '';
    const url = new URL(this.#server.url);
    return {
      host: url.hostname,
      port: url.port,
      method: step.method,
      path: `${this.#filled(step.path)}${search}`,
      agent: step.as === undefined ? this.#agents.admin : this.#agents.anonymous,
      headers: this.#headersOf(step),
    };
  }

  #headersOf(step: RequestStep): { readonly [name: string]: string } {
    const as = this.#filled(step.as ?? '');
    const given = Object.entries(step.headers ?? {}).map(([name, value]) => [name, this.#filled(value)]);
    return {
      accept: 'application/json',
      'user-agent': 'golden/1.0',
      ...(step.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(as.startsWith('bearer ') ? { authorization: `Bearer ${as.slice('bearer '.length)}` } : {}),
      ...Object.fromEntries(given),
    };
  }

  #bodyOf({ body }: RequestStep): string {
    if (body === undefined) return '';
    return this.#filled(typeof body === 'string' ? body : JSON.stringify(body));
  }

  #filled(text: string): string {
    return text.replaceAll(/\$\{(rv|uid|name|continue|token):([^}]+)\}/g, (_, what: string, step: string) =>
      this.#captured(what, step),
    );
  }

  #captured(what: string, step: string): string {
    const answer = parsed(this.#answers.get(step)?.text ?? '');
    const { metadata = {}, status = {} } = answer as { metadata?: JsonObject; status?: JsonObject };
    const found = {
      rv: metadata.resourceVersion,
      uid: metadata.uid,
      name: metadata.name,
      continue: metadata.continue,
      token: status.token,
    }[what];
    return typeof found === 'string' ? found : `no-${what}-of-${step}`;
  }
}

function parsed(text: string): JsonObject {
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return {};
  }
}

function readWhole(response: IncomingMessage, resolve: (answer: Answered) => void): void {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('end', () => resolve(answerOf(response, Buffer.concat(chunks).toString('utf8'))));
}

function answerOf(response: IncomingMessage, text: string): Answered {
  const headers = Object.entries(response.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : value,
  ]);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), text };
}

function readEvents(
  response: IncomingMessage,
  { maxEvents, timeoutMs }: NonNullable<RequestStep['watch']>,
  resolve: (answer: Answered) => void,
): void {
  const events: JsonObject[] = [];
  let rest = '';
  const finish = (closedBy: 'server' | 'client') => {
    clearTimeout(timer);
    resolve({ ...answerOf(response, ''), events, closedBy });
    response.destroy();
  };
  const timer = setTimeout(() => finish('client'), timeoutMs);
  response.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (events.length < maxEvents) events.push(JSON.parse(line) as JsonObject);
    if (events.length >= maxEvents) finish('client');
  });
  response.on('end', () => finish('server'));
  response.on('error', () => finish('server'));
}
