// SPDX-License-Identifier: Apache-2.0
/** The recorded requests with parts of them harmed: everything is answered, and no answer is a fault of ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../../src/apiserver/answer.ts';
import { bootstrap } from '../../src/apiserver/bootstrap.ts';
import { Catalog } from '../../src/apiserver/catalog.ts';
import { startControllers } from '../../src/apiserver/controllers/controllers.ts';
import { builtinResources } from '../../src/apiserver/objects/builtin.ts';
import { Requests } from '../../src/apiserver/requests.ts';
import { ApiStore } from '../../src/apiserver/store.ts';
import { Tokens } from '../../src/apiserver/tokens.ts';
import type { Json, JsonObject } from '../../src/model/types.ts';
import { isObject } from './resemblance.ts';
import { type RequestStep, readTranscripts, widgetDefinitions } from './transcript.ts';

const rounds = Number(process.env.MUSLIN_RUNS ?? 10);
const seed = Number(process.env.MUSLIN_SEED ?? Date.now() % 1_000_000);
const harm = 0.05;
const methods = ['GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'];
const oddNames = ['__proto__', 'constructor', 'metadata', 'spec', ''];
const oddValues: readonly Json[] = [
  null,
  true,
  -1,
  1.5,
  1e30,
  '',
  '\u0000',
  '__proto__',
  [],
  {},
  [null],
  [[]],
  [{}],
  { a: null },
  { matchLabels: 5 },
  'a'.repeat(300),
  '10.0.0.0/8',
  '999.1.1.1',
];

/** Numerical Recipes' generator: the same from the same seed. */
class Chance {
  #state: number;

  constructor(start: number) {
    this.#state = start >>> 0;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  happens(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000;
  }

  of<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined) throw new RangeError('cannot choose from an empty list');
    return found;
  }
}

function harmed(value: Json, chance: Chance): Json {
  if (chance.happens(harm)) return chance.of(oddValues);
  if (Array.isArray(value)) return value.map((item: Json) => harmed(item, chance));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).flatMap(([name, child]): [string, Json][] => {
    if (chance.happens(harm)) return [];
    return [[chance.happens(harm) ? chance.of(oddNames) : name, harmed(child, chance)]];
  });
  return Object.fromEntries(entries);
}

class Server {
  readonly #requests: Requests;

  constructor() {
    const services = { ranges: ['10.96.0.0/12'], nodePorts: { first: 30_000, last: 32_767 } };
    const catalog = new Catalog(builtinResources);
    const serving = { store: new ApiStore(), catalog, services, bookmarkInterval: 5000 };
    bootstrap(serving);
    startControllers(serving, [], '');
    this.#requests = new Requests(serving, new Tokens(serving.store, new Map()));
  }

  ask(step: Pick<RequestStep, 'method' | 'path' | 'query' | 'headers'>, body: string): Answer {
    const answer = this.#requests.answer({
      method: step.method,
      path: step.path.replaceAll(/\$\{[^}]*\}/g, 'x'),
      query: new URLSearchParams(step.query),
      headers: { 'content-type': 'application/json', ...step.headers },
      body: Buffer.from(body.replaceAll(/\$\{[^}]*\}/g, '1')),
      certificate: null,
      trusted: true,
    });
    if (answer.type === 'stream') answer.start({ write: () => {}, end: () => {} })();
    return answer;
  }

  define(): void {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    for (const each of widgetDefinitions()) this.ask({ method: 'POST', path }, JSON.stringify(each));
  }
}

function bodyOf({ body }: RequestStep, chance: Chance): string {
  if (body === undefined) return '';
  return typeof body === 'string' ? body : JSON.stringify(harmed(body, chance));
}

function faultOf(answer: Answer): string | null {
  const body: JsonObject = answer.type === 'json' ? answer.body : {};
  return body.reason === 'InternalError' ? String(body.message) : null;
}

test(`harmed requests, seed ${seed}`, async () => {
  const steps = readTranscripts().flatMap((transcript) =>
    transcript.steps.filter((step): step is RequestStep => 'method' in step),
  );
  const chance = new Chance(seed);
  const server = new Server();
  const faults = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    server.define();
    await Promise.resolve();
    for (const step of steps) {
      const method = chance.happens(harm) ? chance.of(methods) : step.method;
      const body = bodyOf(step, chance);
      const fault = faultOf(server.ask({ ...step, method }, body));
      if (fault !== null) faults.add(`${method} ${step.path} ${body.slice(0, 300)}: ${fault}`);
    }
  }
  assert.deepEqual([...faults], []);
});
