// SPDX-License-Identifier: Apache-2.0
/** Cases that share one fabric of nodes, and services in few words. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openFds } from '../../src/kernel/sys/fd.ts';
import type { Resource } from '../../src/model/types.ts';
import { calico } from './oracle-cluster.ts';
import {
  echoPort,
  nodeNames,
  type OpenDriver,
  podNodes,
  ServiceFabric,
  serviceAddress,
} from './service-rig.ts';
import { type EndpointShort, type ServiceShort, service, slice } from './services.ts';

export const protocols = ['tcp', 'udp'] as const;

/** A case in the fabric that its suite shares; it says all anew that it stands on. */
export type ServiceCase = (promise: string, run: (fabric: ServiceFabric) => Promise<void>) => void;

export function serviceSuite(title: string, open: OpenDriver, cases: (it: ServiceCase) => void): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF';
  describe(title, () => {
    let fabric: ServiceFabric;
    let fdsBefore = 0;
    before(async () => {
      if (skip) return;
      fdsBefore = openFds();
      fabric = await ServiceFabric.open(open);
    });
    after(async () => {
      if (skip) return;
      await fabric[Symbol.asyncDispose]();
      assert.equal(openFds(), fdsBefore, 'descriptors left open');
    });
    cases((promise, run) => test(promise, { skip }, () => run(fabric)));
  });
}

export interface Balanced extends ServiceShort {
  /** By place; on the node where that is, if it is on one. */
  readonly to: { readonly [place: string]: EndpointShort };
  /** @defaultValue what all places listen on */
  readonly targetPort?: number;
}

/**
 * Service number `number` of both families and protocols, answering at `cluster_NAME`, `external_NAME`, `balancer_NAME`, port 80,
 * and at node port 30080 + number.
 */
export function balanced(
  fabric: ServiceFabric,
  name: string,
  number: number,
  spec: Balanced,
): readonly Resource[] {
  const { to, targetPort = echoPort, ...rest } = spec;
  const [cluster, external, balancer] = (['cluster', 'external', 'balancer'] as const).map((kind) => {
    const pair = serviceAddress(kind, number);
    fabric.call(`${kind}_${name}`, pair);
    return pair;
  });
  const ports = protocols.map((protocol) => ({ name: protocol, protocol: protocol.toUpperCase() }));
  return [
    service(`red/${name}`, {
      type: 'LoadBalancer',
      clusterIPs: cluster,
      externalIPs: external,
      ports: ports.map((port) => ({ ...port, port: 80, nodePort: 30080 + number })),
      status: { loadBalancer: { ingress: balancer?.map((ip) => ({ ip })) } },
      ...rest,
    }),
    ...([4, 6] as const).map((family) =>
      slice(
        `${name}-${family}`,
        { of: `red/${name}`, ports: ports.map((port) => ({ ...port, port: targetPort })) },
        Object.fromEntries(
          Object.entries(to).map(([place, short]) => [
            fabric.address(place, family),
            { ...nodeOf(place), ...short },
          ]),
        ),
      ),
    ),
  ];
}

/** FelixConfiguration `default`; Pods may reach their own node, as in Calico's manifests for Kubernetes. */
export function settings(spec: { readonly [field: string]: unknown }): Resource {
  return calico('FelixConfiguration', 'default', { defaultEndpointToHostAction: 'Accept', ...spec });
}

function nodeOf(place: string): EndpointShort {
  const node = podNodes[place] ?? nodeNames.find((name) => name === place);
  return node === undefined ? {} : { node };
}
