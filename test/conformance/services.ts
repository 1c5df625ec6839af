// SPDX-License-Identifier: Apache-2.0
/**
 * What every data plane that balances services must do: who answers whom, from which address, and whom the Pod sees.
 *
 * Each kind of service address, asked by each kind of client, over each protocol and family, with the backend on the node that
 * is asked and on another, answers by the first node and straight, with and without balancing at connect time.
 */
import { after, before, describe, test } from 'node:test';
import type { Resource } from '../../src/model/types.ts';
import { calico } from '../support/oracle-cluster.ts';
import {
  echoPort,
  type OpenDriver,
  type Outcomes,
  ServiceFabric,
  serviceAddress,
} from '../support/service-rig.ts';
import { service, slice } from '../support/services.ts';

const protocols = ['tcp', 'udp'] as const;
const backends = { near: 'a2', far: 'b' } as const;

export function servicesConformance(name: string, open: OpenDriver): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF';
  describe(`services ${name}`, () => {
    let fabric: ServiceFabric;
    before(async () => {
      if (!skip) fabric = await ServiceFabric.open(open);
    });
    after(async () => {
      if (!skip) await fabric[Symbol.asyncDispose]();
    });
    for (const mode of ['Tunnel', 'DSR'])
      for (const connect of ['Disabled', 'TCP', 'Enabled'])
        test(`every address is answered to every client: ${mode}, connect time ${connect}`, {
          skip,
        }, async () => {
          const settings = { bpfExternalServiceMode: mode, bpfConnectTimeLoadBalancing: connect };
          await fabric.become(calico('FelixConfiguration', 'default', settings), ...matrixServices(fabric));
          await fabric.expect(matrix(connect !== 'Disabled'));
        });
  });
}

/** Two services, `near` with a backend beside the node that is asked, `far` with one on another. */
function matrixServices(fabric: ServiceFabric): readonly Resource[] {
  return Object.entries(backends).flatMap(([name, backend], i) => {
    const number = i + 1;
    const [cluster, external, balancer] = (['cluster', 'external', 'balancer'] as const).map((kind) => {
      const pair = serviceAddress(kind, number);
      fabric.call(`${kind}_${name}`, pair);
      return pair;
    });
    const ports = protocols.map((protocol) => ({
      name: protocol,
      protocol: protocol.toUpperCase(),
      port: echoPort,
    }));
    return [
      service(`red/${name}`, {
        type: 'LoadBalancer',
        clusterIPs: cluster,
        externalIPs: external,
        ports: ports.map((port) => ({ ...port, port: 80, nodePort: 30080 + number })),
        status: { loadBalancer: { ingress: balancer?.map((ip) => ({ ip })) } },
      }),
      ...([4, 6] as const).map((family) =>
        slice(
          `${name}-${family}`,
          { of: `red/${name}`, ports },
          { [fabric.address(backend, family)]: { node: backend === 'b' ? 'n2' : 'n1' } },
        ),
      ),
    ];
  });
}

/** @param reachesItself - a node's own process asks the node's own port: only at connect time can it be led, as nothing leaves. */
function matrix(reachesItself: boolean): Outcomes {
  const outcomes: { [question: string]: string } = {};
  for (const [name, backend] of Object.entries(backends)) {
    const targets = ['cluster', 'external', 'balancer'].map((kind) => `${kind}_${name}:80`);
    const nodePort = name === 'near' ? 30081 : 30082;
    targets.push(...['n1', 'n2', 'n3'].map((node) => `${node}:${nodePort}`));
    for (const client of ['a', 'b2', 'n1', 'n2', 'n3', 'out'])
      for (const target of targets)
        for (const protocol of protocols)
          if (reachesItself || !target.startsWith(`${client}:`))
            outcomes[`${client} > ${target} ${protocol}`] = `${backend} sees ${client}`;
  }
  return outcomes;
}
