// SPDX-License-Identifier: Apache-2.0
/** The part of an agent's socket that answers for the data plane's inside, before a data plane of the test's own. */
import { createServer, type ServerResponse } from 'node:http';
import { pino } from 'pino';
import { Looking } from '../../src/agent/looking.ts';
import type { DataplaneName } from '../../src/contract/config.ts';
import type { FlowRecord } from '../../src/contract/flow.ts';
import type { Inspection, InspectionAnswer } from '../../src/contract/inspect.ts';
import { UnsupportedError } from '../../src/lib/errors.ts';

export class FakeAgent implements AsyncDisposable {
  readonly socket: string;
  readonly asked: Inspection[] = [];
  /** Lines of the agent's log. */
  readonly log: string[] = [];
  readonly #streams: ServerResponse[] = [];
  #tell: (flows: readonly FlowRecord[], lost: number) => void = () => {};
  readonly #server: ReturnType<typeof createServer>;

  private constructor(
    socket: string,
    node: string,
    name: DataplaneName,
    answer: (question: Inspection) => InspectionAnswer,
  ) {
    this.socket = socket;
    const driver = {
      name,
      inspect: async (question: Inspection) => {
        if (name !== 'ebpf') throw new UnsupportedError(`cannot show ${question.kind}: want ebpf`);
        this.asked.push(question);
        return answer(question);
      },
      onFlows: (listener: (flows: readonly FlowRecord[], lost: number) => void) => {
        this.#tell = listener;
      },
    };
    const looking = new Looking(node, driver, pino({}, { write: (line) => void this.log.push(line) }));
    this.#server = createServer((request, response) => {
      void looking.answer(new URL(request.url ?? '/', 'http://agent'), response).then((isAnswered) => {
        if (request.url?.includes('follow=1')) this.#streams.push(response);
        if (!isAnswered) response.writeHead(404).end();
      });
    });
  }

  static async open(
    socket: string,
    node: string,
    answer: (question: Inspection) => InspectionAnswer,
    name: DataplaneName = 'ebpf',
  ): Promise<FakeAgent> {
    const agent = new FakeAgent(socket, node, name, answer);
    await new Promise<void>((resolve) => agent.#server.listen(socket, resolve));
    return agent;
  }

  /** So many followers listen. */
  async untilFollowed(count: number): Promise<void> {
    while (this.#streams.length < count) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /** Followers get what they were told before. */
  endStreams(): void {
    for (const response of this.#streams) response.end();
  }

  /** What followers did not read yet. */
  unsentBytes(): number {
    return this.#streams.reduce((sum, response) => sum + response.writableLength, 0);
  }

  tell(flows: readonly FlowRecord[], lost = 0): void {
    this.#tell(flows, lost);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
