// SPDX-License-Identifier: Apache-2.0
/**
 * What the agent's socket answers about the data plane's inside:
 *
 *     GET /ebpf/conntrack|nat|routes|ipsets|ipset|counters|policy|links?...   contract/inspect.ts, with the node's name
 *     GET /flows             the last records of the flow log, `forgotten` older ones, `lost` that could not be told
 *     GET /flows?follow=1    records as they come, one JSON object a line; `{"node", "lost"}` where some are missing
 *
 * An error is `{code, reasons}`. A follower that reads too slowly loses records, and is told how many; the agent keeps none for it.
 */
import type { ServerResponse } from 'node:http';
import type { DataplaneName } from '../contract/config.ts';
import type { FlowRecord, ObservedDataplane } from '../contract/flow.ts';
import type { InspectableDataplane } from '../contract/inspect.ts';
import { AppError, InvalidError, UnsupportedError } from '../lib/errors.ts';
import { FlowTap } from './flow-tap.ts';
import { inspectionOf } from './inspection-query.ts';
import type { Log } from './log.ts';

type LookedInto = InspectableDataplane & ObservedDataplane & { readonly name: DataplaneName };

/** What a follower may be behind. */
const mostUnreadBytes = 1 << 22;

export class Looking {
  readonly #node: string;
  readonly #driver: LookedInto;
  readonly #flows: FlowTap;

  constructor(node: string, driver: LookedInto, log: Log) {
    this.#node = node;
    this.#driver = driver;
    this.#flows = new FlowTap(driver, log);
  }

  /** @returns false for a path that is someone else's. */
  async answer(url: URL, response: ServerResponse): Promise<boolean> {
    const isFlows = url.pathname === '/flows';
    if (!isFlows && !url.pathname.startsWith('/ebpf/')) return false;
    try {
      if (isFlows) this.#answerFlows(url, response);
      else end(response, 200, { node: this.#node, ...(await this.#driver.inspect(inspectionOf(url))) });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      end(response, statusOf(error), { code: error.code, reasons: [error.message] });
    }
    return true;
  }

  #answerFlows(url: URL, response: ServerResponse): void {
    const { name } = this.#driver;
    if (name !== 'ebpf')
      throw new UnsupportedError(
        `cannot show flows: this node's data plane is ${name}, want ebpf, which tells of them`,
      );
    const unknown = [...url.searchParams.keys()].find((each) => each !== 'follow');
    if (unknown !== undefined) throw new InvalidError(`flows: got parameter ${unknown}, want follow=1`);
    if (url.searchParams.get('follow') === '1') this.#stream(response);
    else end(response, 200, { node: this.#node, ...this.#flows.last() });
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    let missing = 0;
    const stop = this.#flows.follow((flows, lost) => {
      missing += lost;
      if (response.writableLength > mostUnreadBytes) {
        missing += flows.length;
        return;
      }
      response.write(this.#lines(flows, missing));
      missing = 0;
    });
    response.once('close', stop);
  }

  #lines(flows: readonly FlowRecord[], missing: number): string {
    const objects = missing > 0 ? [{ lost: missing }, ...flows] : flows;
    return objects.map((each) => `${JSON.stringify({ node: this.#node, ...each })}\n`).join('');
  }
}

function statusOf(error: AppError): number {
  const codes: { readonly [C in AppError['code']]?: number } = {
    NOT_FOUND: 404,
    INVALID: 400,
    UNSUPPORTED: 501,
  };
  return codes[error.code] ?? 503;
}

function end(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
