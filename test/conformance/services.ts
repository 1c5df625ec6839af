// SPDX-License-Identifier: Apache-2.0
/**
 * What every data plane that balances services must do: who answers whom, from which address, and whom the Pod sees.
 *
 * Each kind of service address, asked by each kind of client, over each protocol and family, with the backend on the node that
 * is asked and on another, answers by the first node and straight, with and without balancing at connect time.
 */
import type { OpenDriver, Outcomes } from '../support/service-rig.ts';
import { balanced, protocols, serviceSuite, settings } from '../support/service-suite.ts';

const backends = { near: 'a2', far: 'b' } as const;
const clients = ['a', 'b2', 'n1', 'n2', 'n3', 'out'] as const;

export function servicesConformance(name: string, open: OpenDriver): void {
  serviceSuite(`services ${name}, every way`, open, (it) => {
    for (const mode of ['Tunnel', 'DSR'])
      for (const connect of ['Disabled', 'TCP', 'Enabled'])
        it(`every address is answered to every client: ${mode}, connect time ${connect}`, async (fabric) => {
          await fabric.become(
            settings({ bpfExternalServiceMode: mode, bpfConnectTimeLoadBalancing: connect }),
            ...balanced(fabric, 'near', 1, { to: { a2: {} } }),
            ...balanced(fabric, 'far', 2, { to: { b: {} } }),
          );
          await fabric.expect(matrix(connect !== 'Disabled'));
        });
  });
}

/** @param reachesItself - a node's own process asks the node's own port: only at connect time can it be led, as nothing leaves. */
function matrix(reachesItself: boolean): Outcomes {
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
