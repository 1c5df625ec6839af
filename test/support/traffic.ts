// SPDX-License-Identifier: Apache-2.0
/**
 * Traffic that goes on while a test does harm: numbered messages that must all come back, connections that must all be
 * made, and probes that must never arrive.
 *
 * Invariants: what is forbidden is looked for at the victim, on sockets that would take it, and at the sender, where any
 *             answer counts as well. One timer drives everything; sockets live in the pods' namespaces.
 */
import assert from 'node:assert/strict';
import type { NetNs } from '../../src/kernel/netns.ts';
import {
  bindUdp,
  connectTcp,
  connectUdp,
  decodeAddress,
  listenTcp,
  type SocketAddress,
  socketError,
} from '../../src/kernel/socket.ts';
import { ECONNREFUSED, POLLOUT } from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { parseAddress } from '../../src/lib/address.ts';
import { KernelError } from '../../src/lib/errors.ts';

export interface Way {
  readonly name: string;
  readonly from: NetNs;
  readonly to: SocketAddress;
}

interface Flow extends Way {
  readonly fd: Fd;
  readonly protocol: 'TCP' | 'UDP';
  sent: number;
  /** Numbers that came back. For TCP in order; for UDP each once. */
  readonly back: Set<number>;
  rest: Uint8Array;
  failure: string | null;
}

interface Attempt {
  readonly way: Way;
  readonly fd: Fd;
  readonly startedMs: number;
}

/** TCP repeats what a closed moment swallowed, UDP does not. */
type MayLose = 'nothing' | 'datagrams';

const tickMs = 5;
const wordBytes = 8;
const datagramsPerTick = 4;
/** How long a forbidden connection is given: what passes on one machine does so at once. */
const forbiddenLastsMs = 60;
const freshLastsMs = 10_000;

export class Traffic implements Disposable {
  readonly #flows: Flow[] = [];
  readonly #freshWays: Way[] = [];
  readonly #forbidden: { way: Way; udp: Fd }[] = [];
  readonly #victims: { name: string; tcp: Fd; udp: Fd }[] = [];
  #fresh: Attempt[] = [];
  #tries: Attempt[] = [];
  #timer: NodeJS.Timeout | null = null;
  readonly #buffer = new Uint8Array(65_536);
  readonly delivered: string[] = [];
  readonly lost: string[] = [];
  readonly counts = { messages: 0, connections: 0, forbidden: 0 };

  /** One connection that lives until the end, or one stream of datagrams. */
  flow(protocol: 'TCP' | 'UDP', way: Way): void {
    const fd = way.from.run(() => (protocol === 'TCP' ? connectTcp(way.to).fd : connectUdp(way.to)));
    this.#flows.push({
      ...way,
      fd,
      protocol,
      sent: 0,
      back: new Set(),
      rest: new Uint8Array(),
      failure: null,
    });
  }

  /** New connections, one per tick, that must all be made. */
  fresh(way: Way): void {
    this.#freshWays.push(way);
  }

  /** Sockets at the victim that take what must not come. */
  victim(name: string, netns: NetNs, port: number): void {
    const at = { address: parseAddress('::'), port };
    const [tcp, udp] = netns.run(() => [listenTcp(at), bindUdp(at)] as const);
    this.#victims.push({ name, tcp, udp });
  }

  forbid(way: Way): void {
    this.#forbidden.push({ way, udp: way.from.run(() => connectUdp(way.to)) });
  }

  async start(): Promise<void> {
    for (const flow of this.#flows) await connected(flow);
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** Until that many more messages were sent on every flow, so that what is done meanwhile is done under traffic. */
  async goOn(messages: number): Promise<void> {
    const wanted = this.#flows.map((flow) => flow.sent + messages);
    const deadline = Date.now() + 10_000;
    while (this.#flows.some((flow, i) => flow.failure === null && flow.sent < (wanted[i] ?? 0))) {
      assert.ok(Date.now() < deadline, 'traffic stands still');
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
  }

  /** Sends no more and waits for what is under way. */
  async stop(mayLose: MayLose = 'nothing'): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    const deadline = Date.now() + 5000;
    while (
      Date.now() < deadline &&
      (this.#missing(mayLose) > 0 || this.#fresh.length > 0 || this.#tries.length > 0)
    ) {
      this.#listen();
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
    this.#listen();
  }

  /** Nothing lost, nothing broken, nothing forbidden delivered, and all of it really was under way. */
  assertUnharmed(mayLose: MayLose = 'nothing'): void {
    const broken = this.#flows.flatMap((flow) =>
      flow.failure === null ? [] : [`${flow.name}: ${flow.failure}`],
    );
    const missing = this.#flows
      .filter((flow) => flow.back.size < flow.sent && (flow.protocol === 'TCP' || mayLose === 'nothing'))
      .map((flow) => `${flow.protocol} ${flow.name}: ${flow.sent - flow.back.size} of ${flow.sent}`);
    assert.deepEqual(broken, [], 'connections that broke');
    assert.deepEqual(missing, [], 'messages lost');
    assert.deepEqual(this.lost, [], 'connections that were not made');
    assert.deepEqual(this.delivered, [], 'forbidden packets delivered');
    for (const flow of this.#flows) assert.ok(flow.sent > 0, `nothing was sent on ${flow.name}`);
  }

  [Symbol.dispose](): void {
    if (this.#timer) clearInterval(this.#timer);
    for (const fd of this.#descriptors()) fd.close();
  }

  *#descriptors(): Iterable<Fd> {
    for (const { fd } of [...this.#flows, ...this.#fresh, ...this.#tries]) yield fd;
    for (const { udp } of this.#forbidden) yield udp;
    for (const { tcp, udp } of this.#victims) yield* [tcp, udp];
  }

  #tick(): void {
    for (const flow of this.#flows) if (flow.failure === null) this.#say(flow);
    for (const way of this.#freshWays) this.#fresh.push(attempt(way));
    for (const { way, udp } of this.#forbidden) this.#attack(way, udp);
    this.#listen();
  }

  #say(flow: Flow): void {
    const word = new Uint8Array(wordBytes);
    new DataView(word.buffer).setFloat64(0, flow.sent + 1);
    try {
      const taken = sys.send(flow.fd, word);
      if (taken === null) return; // the buffer is full: later
      assert.equal(taken, wordBytes);
      flow.sent++;
      this.counts.messages++;
    } catch (error) {
      flow.failure = failureText(error);
    }
  }

  #attack(way: Way, udp: Fd): void {
    for (let i = 0; i < datagramsPerTick; i++) {
      try {
        sys.send(udp, new TextEncoder().encode(way.name));
      } catch (error) {
        this.#judgeRefusal(way, error);
      }
    }
    this.#tries.push(attempt(way));
    this.counts.forbidden += datagramsPerTick + 1;
  }

  #judgeRefusal(way: Way, error: unknown): void {
    if (!(error instanceof KernelError)) throw error;
    if (error.errno === ECONNREFUSED) this.delivered.push(`${way.name}: refused by the victim`);
  }

  #listen(): void {
    for (const flow of this.#flows) if (flow.failure === null) this.#hear(flow);
    this.#fresh = this.#fresh.filter((each) => !this.#madeOrLate(each));
    this.#tries = this.#tries.filter((each) => !this.#repelled(each));
    for (const victim of this.#victims) this.#search(victim);
  }

  #hear(flow: Flow): void {
    try {
      for (
        let length = sys.recv(flow.fd, this.#buffer);
        length !== null;
        length = sys.recv(flow.fd, this.#buffer)
      ) {
        if (length === 0) throw new KernelError('receive', 0, 'the other end closed');
        this.#take(flow, this.#buffer.slice(0, length));
      }
    } catch (error) {
      flow.failure = failureText(error);
    }
  }

  #take(flow: Flow, bytes: Uint8Array): void {
    const all = Uint8Array.of(...flow.rest, ...bytes);
    const view = new DataView(all.buffer);
    let at = 0;
    for (; at + wordBytes <= all.length; at += wordBytes) {
      const number = view.getFloat64(at);
      if (flow.protocol === 'TCP' && number !== flow.back.size + 1)
        flow.failure = `message ${number} out of order`;
      flow.back.add(number);
    }
    flow.rest = all.slice(at);
  }

  #madeOrLate({ way, fd, startedMs }: Attempt): boolean {
    const [events] = sys.poll([{ fd, events: POLLOUT }], 0);
    const late = performance.now() - startedMs > freshLastsMs;
    if (!events && !late) return false;
    const errno = events ? socketError(fd) : 0;
    if (late && !events) this.lost.push(`${way.name}: no answer`);
    else if (errno !== 0) this.lost.push(`${way.name}: errno ${errno}`);
    else this.counts.connections++;
    fd.close();
    return true;
  }

  #repelled({ way, fd, startedMs }: Attempt): boolean {
    const [events] = sys.poll([{ fd, events: POLLOUT }], 0);
    if (!events && performance.now() - startedMs < forbiddenLastsMs) return false;
    const errno = events ? socketError(fd) : null;
    if (errno === 0 || errno === ECONNREFUSED) this.delivered.push(`${way.name}: connected, errno ${errno}`);
    fd.close();
    return true;
  }

  #search({ name, tcp, udp }: { name: string; tcp: Fd; udp: Fd }): void {
    using connection = sys.accept(tcp);
    if (connection) this.delivered.push(`${name}: took a connection`);
    const from = new Uint8Array(28);
    const length = sys.recv(udp, this.#buffer, 0, from);
    if (length === null) return;
    const text = new TextDecoder().decode(this.#buffer.subarray(0, length));
    this.delivered.push(`${name}: got a datagram of ${text} from ${decodeAddress(from).address}`);
  }

  #missing(mayLose: MayLose): number {
    const counted = this.#flows.filter((flow) => flow.protocol === 'TCP' || mayLose === 'nothing');
    return counted.reduce((sum, flow) => sum + (flow.failure === null ? flow.sent - flow.back.size : 0), 0);
  }
}

function attempt(way: Way): Attempt {
  const { fd } = way.from.run(() => connectTcp(way.to));
  return { way, fd, startedMs: performance.now() };
}

async function connected(flow: Flow): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!sys.poll([{ fd: flow.fd, events: POLLOUT }], 0)[0]) {
    assert.ok(Date.now() < deadline, `${flow.name}: cannot connect to begin with`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.equal(socketError(flow.fd), 0, `${flow.name}: cannot connect to begin with`);
}

function failureText(error: unknown): string {
  if (!(error instanceof KernelError)) throw error;
  return error.message;
}
