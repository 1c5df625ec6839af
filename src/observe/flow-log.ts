// SPDX-License-Identifier: Apache-2.0
/**
 * The flow log: what data planes tell of packets (contract/flow.ts), counted by who spoke to whom.
 *
 *     const log = new FlowLog({ windowMs: 15_000, mostRows: 10_000 })
 *     log.add(record)              as they come
 *     log.close(now)               the windows that ended before: one row for each of their keys
 *
 * Owns:       the key. Two records are one row when they differ in time, source port, length and source's translation alone: a
 *             client that connects again makes no new row.
 * Invariants: every record is counted in exactly one window, in a row or in `uncounted`: a window of more than `mostRows` keys
 *             counts further keys together. A record that comes after its window was closed opens it anew.
 * Next:       flow-memory.ts keeps the last records as they came.
 */
import type { FlowEnd, FlowRecord } from '../contract/flow.ts';

/** Records that differ in nothing that people ask about. */
export interface FlowRow {
  /** The first of them; `src.port` is its own. */
  readonly flow: FlowRecord;
  readonly records: number;
  /** Bytes of the packets that were told of, not of the flows. */
  readonly bytes: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface FlowWindow {
  readonly fromMs: number;
  readonly toMs: number;
  /** The row with most records first. */
  readonly rows: readonly FlowRow[];
  /** Records of keys beyond the most that a window holds. */
  readonly uncounted: number;
}

export interface FlowLogLimits {
  readonly windowMs: number;
  readonly mostRows: number;
}

interface OpenRow {
  readonly flow: FlowRecord;
  records: number;
  bytes: number;
  firstMs: number;
  lastMs: number;
}

interface OpenWindow {
  readonly rows: Map<string, OpenRow>;
  uncounted: number;
}

export class FlowLog {
  readonly #limits: FlowLogLimits;
  /** By the time at which each begins. */
  readonly #windows = new Map<number, OpenWindow>();

  constructor(limits: FlowLogLimits) {
    this.#limits = limits;
  }

  add(flow: FlowRecord): void {
    const { windowMs, mostRows } = this.#limits;
    const window = this.#windowAt(Math.floor(flow.timeMs / windowMs) * windowMs);
    const key = keyOf(flow);
    const row = window.rows.get(key);
    if (row) return count(row, flow);
    if (window.rows.size >= mostRows) window.uncounted++;
    else window.rows.set(key, newRow(flow));
  }

  /** Takes out the windows that ended at that time or before, the oldest first; all of them without a time. */
  close(nowMs: number = Number.POSITIVE_INFINITY): readonly FlowWindow[] {
    const { windowMs } = this.#limits;
    const ended = [...this.#windows].filter(([fromMs]) => fromMs + windowMs <= nowMs);
    for (const [fromMs] of ended) this.#windows.delete(fromMs);
    return ended
      .sort(([a], [b]) => a - b)
      .map(([fromMs, { rows, uncounted }]) => ({
        fromMs,
        toMs: fromMs + windowMs,
        rows: [...rows.values()].sort((a, b) => b.records - a.records),
        uncounted,
      }));
  }

  #windowAt(fromMs: number): OpenWindow {
    const window = this.#windows.get(fromMs) ?? { rows: new Map<string, OpenRow>(), uncounted: 0 };
    this.#windows.set(fromMs, window);
    return window;
  }
}

function newRow(flow: FlowRecord): OpenRow {
  return { flow, records: 1, bytes: flow.length, firstMs: flow.timeMs, lastMs: flow.timeMs };
}

function count(row: OpenRow, { length, timeMs }: FlowRecord): void {
  row.records++;
  row.bytes += length;
  row.firstMs = Math.min(row.firstMs, timeMs);
  row.lastMs = Math.max(row.lastMs, timeMs);
}

/** Where the source's address was changed, its port may be anything too. */
function keyOf({
  family,
  protocol,
  src,
  dst,
  icmp,
  hook,
  verdict,
  reason,
  service,
  trace,
  logs,
}: FlowRecord) {
  return JSON.stringify([
    [family, protocol, icmp?.type, icmp?.code, hook, verdict, reason, service],
    [src.address, src.endpoint?.id],
    [...endKey(dst), dst.endpoint?.id],
    trace.map(({ endpoint, rule }) => [endpoint?.id, rule]),
    logs.map(({ rule }) => rule),
  ]);
}

function endKey({ address, port, translated }: FlowEnd): readonly unknown[] {
  return [address, port, translated?.address, translated?.port];
}
