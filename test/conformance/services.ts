// SPDX-License-Identifier: Apache-2.0
/**
 * What every data plane that balances services must do: who answers whom, from which address, and whom the Pod sees.
 *
 * Each kind of service address, asked by each kind of client, over each protocol and family, with the backend on the node that
 * is asked and on another, answers by the first node and straight, with and without balancing at connect time.
 */
import { Random, seedOfRun } from '../support/random.ts';
import type { OpenDriver, Outcomes, ServiceFabric } from '../support/service-rig.ts';
import { balanced, protocols, serviceSuite, settings } from '../support/service-suite.ts';

const backends = { near: 'a2', far: 'b' } as const;
const clients = ['a', 'b2', 'n1', 'n2', 'n3', 'out'] as const;

const ways = ['Tunnel', 'DSR'].flatMap((mode) =>
  ['Disabled', 'TCP', 'Enabled'].map((connect) => ({ mode, connect })),
);
type Way = (typeof ways)[number];

export function servicesConformance(name: string, open: OpenDriver): void {
  serviceSuite(`services ${name}, every way`, open, (it) => {
    for (const way of ways)
      it(`every address is answered to every client: ${way.mode}, connect time ${way.connect}`, async (fabric) => {
        await serve(fabric, way);
        await fabric.expect(matrix(way));
      });
  });
  serviceSuite(`services ${name}, source ports come again`, open, (it) => {
    const random = new Random(seedOfRun(`services ${name}, source ports`));
    for (const round of [1, 2, 3])
      for (const way of ways)
        it(`what a port was used for before does not matter: ${way.mode}, connect time ${way.connect}, round ${round}`, async (fabric) => {
          await serve(fabric, way);
          const outcomes = withPorts(matrix(way), random.below(portsInTurn));
          for (const family of [4, 6] as const) await fabric.expect(outcomes, [family]);
        });
  });
}

function serve(fabric: ServiceFabric, { mode, connect }: Way): Promise<void> {
  return fabric.become(
    settings({ bpfExternalServiceMode: mode, bpfConnectTimeLoadBalancing: connect }),
    ...balanced(fabric, 'near', 1, { to: { a2: {} } }),
    ...balanced(fabric, 'far', 2, { to: { b: {} } }),
  );
}

/** One for each question of a client. */
const portsInTurn = 24;

/** Each client asks from few ports, all different, and next time from the same ones in another order. */
function withPorts(outcomes: Outcomes, turn: number): Outcomes {
  const used = new Map<string, number>();
  const asked = Object.entries(outcomes).map(([question, outcome]) => {
    const client = question.split(' ', 1)[0] ?? '';
    const at = used.get(client) ?? 0;
    used.set(client, at + 1);
    return [`${question} from ${41_000 + ((at + turn) % portsInTurn)}`, outcome];
  });
  return Object.fromEntries(asked);
}

/** A node's own process asks the node's own port: only at connect time can it be led, as nothing leaves. */
function matrix({ connect }: Way): Outcomes {
  const reachesItself = connect !== 'Disabled';
  const outcomes: { [question: string]: string } = {};
  for (const [name, backend] of Object.entries(backends)) {
    const targets = ['cluster', 'external', 'balancer'].map((kind) => `${kind}_${name}:80`);
    const nodePort = name === 'near' ? 30081 : 30082;
    targets.push(...['n1', 'n2', 'n3'].map((node) => `${node}:${nodePort}`));
    for (const client of clients)
      for (const target of targets)
        for (const protocol of protocols)
          if (reachesItself || !target.startsWith(`${client}:`))
            outcomes[`${client} > ${target} ${protocol}`] = `${backend} sees ${client}`;
  }
  return outcomes;
}
