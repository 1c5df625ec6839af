// SPDX-License-Identifier: Apache-2.0
/** Many clients that ask at once, from inside their namespaces and control groups, and what came of each. */
import { Socket } from 'node:net';
import { startInCgroup } from '../../src/kernel/cgroup.ts';
import type { NetNs } from '../../src/kernel/netns.ts';
import {
  bindUdp,
  connectTcp,
  connectUdp,
  decodeAddress,
  encodeAddress,
  type SocketAddress,
  socketError,
} from '../../src/kernel/socket.ts';
import {
  ECONNREFUSED,
  ENETUNREACH,
  ENOBUFS,
  EPERM,
  POLLOUT,
  SOL_SOCKET,
} from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { KernelError } from '../../src/lib/errors.ts';
import { readLine } from './service-echo.ts';

const SO_LINGER = 13; // include/uapi/asm-generic/socket.h
const EHOSTUNREACH = 113; // include/uapi/asm-generic/errno.h
/** On one machine an answer is there at once; this is for a loaded one. */
const answersWithinMs = 4000;

/** Where a client is. */
export interface Seat {
  readonly netns: NetNs;
  /** Folder of the control group that its sockets belong to; null: this process' own. */
  readonly cgroup: string | null;
}

export interface Question {
  readonly from: Seat;
  readonly to: SocketAddress;
  readonly protocol: 'tcp' | 'udp';
  /** Absent: the kernel chooses. */
  readonly source?: SocketAddress;
  /** Of a UDP datagram. */
  readonly bytes?: number;
  /** A UDP socket that hears of ICMP errors, as it talks to one peer alone. */
  readonly isConnected?: boolean;
}

export interface Heard {
  readonly kind: 'answer';
  /** Name of who answered. */
  readonly by: string;
  /** The client as the server sees it. */
  readonly sees: SocketAddress;
  /** As the client sees its peer. */
  readonly peer: SocketAddress;
  /** Of the answer. */
  readonly bytes: number;
}

export type Outcome =
  | Heard
  | { readonly kind: 'refused' | 'unreachable' | 'no-route' | 'not-permitted' | 'silent' };

interface Asked {
  readonly question: Question;
  readonly fd: Fd;
  connecting: boolean;
  outcome: Outcome | null;
}

const kinds = new Map<number, Exclude<Outcome['kind'], 'answer'>>([
  [ECONNREFUSED, 'refused'],
  [EHOSTUNREACH, 'unreachable'],
  [ENETUNREACH, 'no-route'],
  [EPERM, 'not-permitted'],
  [ENOBUFS, 'not-permitted'], // a program at the link said no
]);

/** @param settleMs - once those who will not be answered are alone, so long they are waited for. @param silent - indices of those. */
export async function askAll(
  questions: readonly Question[],
  silent: ReadonlySet<number> = new Set(),
  settleMs = 150,
): Promise<readonly Outcome[]> {
  const all = begin(questions);
  const buffer = new Uint8Array(65_536);
  const deadline = Date.now() + answersWithinMs;
  try {
    while (all.some(({ outcome }, i) => outcome === null && !silent.has(i)) && Date.now() < deadline)
      await look(all, buffer, 2);
    if (silent.size > 0) await look(all, buffer, settleMs);
    return all.map(({ outcome }) => outcome ?? { kind: 'silent' });
  } finally {
    for (const { fd } of all) fd.close();
  }
}

/** A seat is entered once for all who ask from there: changing the control group takes the kernel some milliseconds. */
function begin(questions: readonly Question[]): readonly Asked[] {
  const asked: Asked[] = new Array(questions.length);
  const seats = Map.groupBy(questions.keys(), (i) => questions[i]?.from);
  for (const [seat, indices] of seats) {
    const open = () => {
      for (const i of indices) {
        const question = questions[i];
        if (question) asked[i] = ask(question);
      }
    };
    if (seat) inSeat(seat, open);
  }
  return asked;
}

export function inSeat<T>({ netns, cgroup }: Seat, open: () => T): T {
  return cgroup === null ? netns.run(open) : startInCgroup(cgroup, () => netns.run(open));
}

function ask(question: Question): Asked {
  const { to, protocol, source, bytes = 64, isConnected = false } = question;
  const options = source ? { source } : {};
  if (protocol === 'tcp') {
    try {
      const { fd } = connectTcp(to, options);
      sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0])); // no TIME_WAIT is left
      return { question, fd, connecting: true, outcome: null };
    } catch (error) {
      return failedAtOnce(question, error);
    }
  }
  const any = { address: parseAddress(familyOf(to.address) === 4 ? '0.0.0.0' : '::'), port: 0 };
  const fd = isConnected ? connectUdp(to, options) : bindUdp(source ?? any);
  const asked: Asked = { question, fd, connecting: false, outcome: null };
  attempt(
    asked,
    () => void sys.send(fd, new Uint8Array(bytes), 0, ...(isConnected ? [] : [encodeAddress(to)])),
  );
  return asked;
}

function failedAtOnce(question: Question, error: unknown): Asked {
  const outcome = outcomeOf(error);
  return { question, fd: bindUdp({ address: parseAddress('::'), port: 0 }), connecting: false, outcome };
}

async function look(all: readonly Asked[], buffer: Uint8Array, ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  const waiting = all.filter(({ outcome }) => outcome === null);
  const events = sys.poll(
    waiting.map(({ fd }) => ({ fd, events: POLLOUT })),
    0,
  );
  for (const [i, asked] of waiting.entries()) {
    if (asked.connecting && events[i]) finish(asked);
    if (!asked.connecting && asked.outcome === null) attempt(asked, () => read(asked, buffer));
  }
}

function finish(asked: Asked): void {
  const errno = socketError(asked.fd);
  asked.connecting = false;
  if (errno !== 0) asked.outcome = outcomeOf(new KernelError('connect', errno, 'it failed'));
}

function read(asked: Asked, buffer: Uint8Array): void {
  const from = new Uint8Array(28);
  const length = sys.recv(asked.fd, buffer, 0, from);
  if (length === null) return;
  const line = readLine(buffer.subarray(0, length));
  if (!line) return;
  const peer = asked.question.protocol === 'tcp' ? peerOf(sys.dup(asked.fd)) : unmapped(decodeAddress(from));
  const sees = { address: parseAddress(line.sees), port: line.port };
  asked.outcome = { kind: 'answer', by: line.by, sees, peer, bytes: length };
}

/** getpeername(2), which programs for connect-time balancing answer as well. */
function peerOf(fd: Fd): SocketAddress {
  const socket = new Socket({ fd: fd.release() });
  const { remoteAddress = '::', remotePort = 0 } = socket;
  socket.destroy();
  return unmapped({ address: parseAddress(remoteAddress), port: remotePort });
}

function unmapped({ address, port }: SocketAddress): SocketAddress {
  return { address: address.replace(/^::ffff:(?=\d+\.)/, '') as Address, port };
}

function attempt(asked: Asked, action: () => void): void {
  try {
    action();
  } catch (error) {
    asked.outcome = outcomeOf(error);
  }
}

function outcomeOf(error: unknown): Outcome {
  const kind = error instanceof KernelError ? kinds.get(error.errno) : undefined;
  if (kind === undefined) throw error;
  return { kind };
}
