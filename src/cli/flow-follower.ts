// SPDX-License-Identifier: Apache-2.0
/** `muslin flows --follow`: records of several nodes as they come, until their agents end. */
import { FlowLog } from '../observe/flow-log.ts';
import { follow } from './agent-inspection.ts';
import { errorText } from './exit.ts';
import { type FlowQuestion, lostText, mostRows, windowText } from './flow-output.ts';
import { flowColumns, flowLine, type NodeFlow } from './flow-view.ts';
import type { Io } from './io.ts';

interface Lost {
  readonly node: string;
  /** Records that are missing here. */
  readonly lost: number;
}

/** How long a record may take from the kernel to here. */
const lateMs = 1000;

/** @throws {UnavailableError} when all agents ended. {UnsupportedError} when none tells of flows. */
export async function followFlows(
  sockets: readonly string[],
  question: FlowQuestion,
  io: Io,
): Promise<never> {
  using printer =
    question.perMs === null ? eachFlow(sockets, question, io) : eachWindow(question.perMs, question, io);
  const onLine = (value: unknown) => {
    if (isLost(value)) tellLost(value, question, io);
    else if (question.wanted(value as NodeFlow)) printer.add(value as NodeFlow);
  };
  const ended = await Promise.all(
    sockets.map((socket) => untilEnded(socket, sockets.length > 1, io, onLine)),
  );
  throw ended[0];
}

/** One node that ends, or tells of no flows, does not keep the others from being heard. @returns why. */
function untilEnded(
  socket: string,
  isOfSeveral: boolean,
  io: Io,
  onLine: (value: unknown) => void,
): Promise<unknown> {
  return follow(socket, '/flows?follow=1', onLine).catch((error: unknown) => {
    if (isOfSeveral) io.note(errorText(error));
    return error;
  });
}

function isLost(value: unknown): value is Lost {
  return typeof value === 'object' && value !== null && 'lost' in value;
}

function tellLost({ node, lost }: Lost, { output }: FlowQuestion, io: Io): void {
  if (output === 'json') io.out(`${JSON.stringify({ node, lost })}\n`);
  else io.note(`note: ${node}: ${lostText(lost)}`);
}

interface Printer extends Disposable {
  add(flow: NodeFlow): void;
}

function eachFlow(sockets: readonly string[], { output }: FlowQuestion, io: Io): Printer {
  const ofNode = { title: 'NODE', cell: ({ node }: NodeFlow) => node };
  const columns = flowColumns.filter(({ wide }) => output === 'wide' || !wide);
  const shown = sockets.length > 1 ? [ofNode, ...columns] : columns;
  const text = (flow: NodeFlow) => (output === 'json' ? `${JSON.stringify(flow)}\n` : flowLine(flow, shown));
  return { add: (flow) => io.out(text(flow)), [Symbol.dispose]: () => {} };
}

/** Prints each a little after it ended. */
function eachWindow(perMs: number, { output }: FlowQuestion, io: Io): Printer {
  const logs = new Map<string, FlowLog>();
  const text = (window: Parameters<typeof windowText>[0]) =>
    output === 'json' ? `${JSON.stringify(window)}\n` : `${windowText(window, output === 'wide')}\n`;
  const print = (nowMs: number) => {
    for (const [node, log] of logs) for (const window of log.close(nowMs)) io.out(text({ node, ...window }));
  };
  const timer = setInterval(() => print(Date.now() - lateMs), Math.min(perMs, lateMs));
  return {
    add: ({ node, ...flow }) => {
      const log = logs.get(node) ?? new FlowLog({ windowMs: perMs, mostRows });
      logs.set(node, log);
      log.add(flow);
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
      print(Number.POSITIVE_INFINITY);
    },
  };
}
