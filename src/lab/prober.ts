// SPDX-License-Identifier: Apache-2.0
/**
 * Measures who reaches whom with real connections: hundreds at a time, from many namespaces, in one thread.
 *
 * A TCP probe connects, sends a word and wants it back; a UDP probe sends a datagram and wants it back; an ICMP probe is
 * an echo. What comes back from the destination itself, also "nobody listens here" (RST, port unreachable), proves that
 * the packet arrived: reached. Silence until the time-out: not reached, as policy drops without a word.
 */
import { NetNs } from '../kernel/netns.ts';
import {
  connectTcp,
  connectUdp,
  decodeEchoReply,
  echoRequest,
  encodeAddress,
  openIcmp,
  socketError,
} from '../kernel/socket.ts';
import { ECONNREFUSED, POLLIN, POLLOUT } from '../kernel/sys/constants.ts';
import type { Fd } from '../kernel/sys/fd.ts';
import { kernelError } from '../kernel/sys/linux.ts';
import { sys } from '../kernel/sys/open.ts';
import { familyOf } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import { KernelError } from '../lib/errors.ts';

export type ProbeProtocol = 'TCP' | 'UDP' | 'ICMP';

export interface Probe {
  /** Name of the network namespace that it starts in. */
  readonly netns: string;
  readonly address: Address;
  /** 0 for ICMP. */
  readonly port: number;
  readonly protocol: ProbeProtocol;
}

export interface ProbeResult {
  readonly allowed: boolean;
  /** From the first packet to the answer; null where none came. */
  readonly milliseconds: number | null;
  /** `refused`: the destination answered that nobody listens. An error text: the packet could not be sent. */
  readonly note: string | null;
}

export interface ProbeOptions {
  /** How long silence is waited out. */
  readonly timeoutMs: number;
  /** Probes under way at once. @defaultValue 512: each holds one descriptor */
  readonly parallel?: number;
}

interface Flight {
  readonly index: number;
  readonly probe: Probe;
  readonly fd: Fd;
  readonly startedMs: number;
  readonly id: number;
  sent: boolean;
}

const pollEveryMs = 1;
const word = new TextEncoder().encode('muslin');

/** In the order of `probes`. @throws {NotFoundError} when a namespace does not exist. */
export async function probeAll(
  probes: readonly Probe[],
  options: ProbeOptions,
): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  const waiting = probes.entries();
  const flights = new Set<Flight>();
  using netns = new OpenNamespaces();
  for (let more = true; more || flights.size > 0; ) {
    while (more && flights.size < (options.parallel ?? 512)) more = launch(waiting, netns, flights, results);
    land(flights, results, options.timeoutMs);
    if (flights.size > 0) await new Promise((resolve) => setTimeout(resolve, pollEveryMs));
  }
  return results;
}

class OpenNamespaces implements Disposable {
  readonly #open = new Map<string, NetNs>();

  get(name: string): NetNs {
    const found = this.#open.get(name) ?? NetNs.open(name);
    this.#open.set(name, found);
    return found;
  }

  [Symbol.dispose](): void {
    for (const netns of this.#open.values()) netns.close();
  }
}

/** @returns false when none was left to launch. */
function launch(
  waiting: Iterator<[number, Probe]>,
  netns: OpenNamespaces,
  flights: Set<Flight>,
  results: ProbeResult[],
): boolean {
  const next = waiting.next();
  if (next.done) return false;
  const [index, probe] = next.value;
  try {
    const fd = netns.get(probe.netns).run(() => openSocket(probe));
    const flight = { index, probe, fd, startedMs: performance.now(), id: index & 0xffff, sent: false };
    flights.add(flight);
    if (probe.protocol !== 'TCP') send(flight);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    results[index] = { allowed: false, milliseconds: null, note: error.message };
  }
  return true;
}

function openSocket(probe: Probe): Fd {
  const to = { address: probe.address, port: probe.port };
  if (probe.protocol === 'TCP') return connectTcp(to).fd;
  return probe.protocol === 'UDP' ? connectUdp(to) : openIcmp(familyOf(probe.address));
}

function send(flight: Flight): void {
  const { probe, fd } = flight;
  flight.sent = true;
  if (probe.protocol !== 'ICMP') return void sys.send(fd, word);
  const to = encodeAddress({ address: probe.address, port: 0 });
  sys.send(fd, echoRequest(familyOf(probe.address), flight.id, 1), 0, to);
}

function land(flights: Set<Flight>, results: ProbeResult[], timeoutMs: number): void {
  const list = [...flights];
  const events = sys.poll(
    list.map((flight) => ({ fd: flight.fd, events: flight.sent ? POLLIN : POLLOUT })),
    0,
  );
  for (const [i, flight] of list.entries()) {
    const result = events[i] ? step(flight) : null;
    const late = performance.now() - flight.startedMs > timeoutMs;
    if (!result && !late) continue;
    results[flight.index] = result ?? { allowed: false, milliseconds: null, note: null };
    flight.fd.close();
    flights.delete(flight);
  }
}

/** Null: not decided yet. */
function step(flight: Flight): ProbeResult | null {
  try {
    const errno = socketError(flight.fd);
    if (errno !== 0) throw kernelError('probe', errno);
    if (!flight.sent) {
      send(flight);
      return null;
    }
    return answered(flight) ? reached(flight, null) : null;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.errno === ECONNREFUSED) return reached(flight, 'refused');
    return { allowed: false, milliseconds: null, note: error.message };
  }
}

function answered(flight: Flight): boolean {
  const buffer = new Uint8Array(256);
  const received = sys.recv(flight.fd, buffer);
  if (received === null) return false;
  if (flight.probe.protocol !== 'ICMP') return true;
  const reply = decodeEchoReply(familyOf(flight.probe.address), buffer.subarray(0, received));
  return reply?.id === flight.id;
}

function reached(flight: Flight, note: string | null): ProbeResult {
  const milliseconds = Math.round((performance.now() - flight.startedMs) * 100) / 100;
  return { allowed: true, milliseconds, note };
}
