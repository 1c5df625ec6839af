// SPDX-License-Identifier: Apache-2.0
/** What a service asks of its data plane: whom it admits, who answers and for how long the same, what is said when nobody can. */
import assert from 'node:assert/strict';
import type { Family } from '../../src/lib/address.ts';
import { calico, core } from '../support/oracle-cluster.ts';
import { askAll, type Question } from '../support/service-ask.ts';
import type { OpenDriver, Outcomes, ServiceFabric } from '../support/service-rig.ts';
import { balanced, protocols, type ServiceCase, serviceSuite, settings } from '../support/service-suite.ts';

const families = [4, 6] as const;
const all = { a2: {}, b: {}, b2: {} };
const byPackets = settings({ bpfConnectTimeLoadBalancing: 'Disabled' });

export function serviceRules(name: string, open: OpenDriver): void {
  serviceSuite(`services ${name}, rules`, open, (it) => {
    affinity(it);
    admission(it);
    absence(it);
    places(it);
    itself(it);
  });
}

function affinity(it: ServiceCase): void {
  for (const connect of ['Disabled', 'Enabled'])
    it(`a client keeps its backend: connect time ${connect}`, async (fabric) => {
      await fabric.become(
        settings({ bpfConnectTimeLoadBalancing: connect }),
        ...balanced(fabric, 'sticky', 1, { to: all, sessionAffinity: 'ClientIP' }),
      );
      for (const text of ['a > cluster_sticky:80 tcp', 'n1 > cluster_sticky:80 udp', 'out > n1:30081 udp'])
        for (const family of families)
          assert.equal((await answerers(fabric, text, family, 12)).size, 1, `IPv${family} ${text}`);
    });
  it('a backend that goes loses its clients, the others keep theirs', async (fabric) => {
    const service = (to: object) =>
      balanced(fabric, 'sticky', 1, { to: { ...to }, sessionAffinity: 'ClientIP' });
    await fabric.become(byPackets, ...service({ a2: {} }));
    await fabric.expect({ 'a > cluster_sticky:80 tcp': 'a2 sees a' });
    await fabric.become(byPackets, ...service({ a2: {}, b: {} }));
    assert.deepEqual(await answerers(fabric, 'a > cluster_sticky:80 tcp', 4, 12), new Set(['a2']));
    await fabric.become(byPackets, ...service({ b: {} }));
    await fabric.expect({ 'a > cluster_sticky:80 tcp': 'b sees a' });
  });
  it('after its time a client chooses anew', async (fabric) => {
    const affinity = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } };
    await fabric.become(
      byPackets,
      ...balanced(fabric, 'sticky', 1, { to: all, sessionAffinity: 'ClientIP', ...affinity }),
    );
    const met = new Set<string>();
    for (let round = 0; round < 20 && met.size < 2; round++) {
      for (const by of await answerers(fabric, 'a > cluster_sticky:80 tcp', 4, 1)) met.add(by);
      await new Promise((resolve) => setTimeout(resolve, 1100));
    }
    assert.ok(met.size > 1, `met ${[...met]} alone in 20 rounds`);
  });
}

function admission(it: ServiceCase): void {
  for (const connect of ['Disabled', 'Enabled'])
    it(`source ranges hold for whoever asks the load balancer's address: connect time ${connect}`, async (fabric) => {
      const ranges = [4, 6].map(
        (family) => `${fabric.address('a', family === 4 ? 4 : 6)}/${family === 4 ? 32 : 128}`,
      );
      await fabric.become(
        settings({ bpfConnectTimeLoadBalancing: connect }),
        ...balanced(fabric, 'ranged', 1, { to: { a2: {} }, loadBalancerSourceRanges: ranges }),
      );
      await fabric.expect({
        ...each('a', 'balancer_ranged:80', 'a2 sees a'),
        ...each('b', 'balancer_ranged:80', 'silent'),
        ...each('out', 'balancer_ranged:80', 'silent'),
        'n3 > balancer_ranged:80 tcp': 'silent',
        ...each('b', 'cluster_ranged:80', 'a2 sees b'),
        ...each('out', 'n1:30081', 'a2 sees out'),
        ...each('out', 'external_ranged:80', 'a2 sees out'),
      });
    });
}

function absence(it: ServiceCase): void {
  for (const connect of ['Disabled', 'Enabled'])
    it(`where nobody is there the client is told at once: connect time ${connect}`, async (fabric) => {
      await fabric.become(
        settings({ bpfConnectTimeLoadBalancing: connect }),
        ...balanced(fabric, 'empty', 1, { to: { b: { ready: false, serving: false } } }),
      );
      const outcomes: { [question: string]: string } = {};
      for (const client of ['a', 'b', 'n1', 'n3', 'out'])
        for (const target of ['cluster_empty:80', 'external_empty:80', 'balancer_empty:80', 'n2:30081'])
          for (const protocol of protocols)
            outcomes[`${client} > ${target} ${protocol} connected`] = 'refused';
      outcomes['a > cluster_empty:80 udp 1 bytes connected'] = 'refused';
      await fabric.expect(outcomes);
    });
}

function places(it: ServiceCase): void {
  it('internalTrafficPolicy Local: silence on nodes without a backend', async (fabric) => {
    await fabric.become(
      byPackets,
      ...balanced(fabric, 'local', 1, { to: { a2: {}, b: {} }, internalTrafficPolicy: 'Local' }),
    );
    await fabric.expect({
      ...each('a', 'cluster_local:80', 'a2 sees a'),
      ...each('b2', 'cluster_local:80', 'b sees b2'),
      ...each('n3', 'cluster_local:80', 'silent'),
    });
  });
  for (const mode of ['Tunnel', 'DSR'])
    it(`externalTrafficPolicy Local: outside clients meet the asked node's own alone: ${mode}`, async (fabric) => {
      await fabric.become(
        settings({ bpfConnectTimeLoadBalancing: 'Disabled', bpfExternalServiceMode: mode }),
        ...balanced(fabric, 'local', 1, { to: { a2: {} }, externalTrafficPolicy: 'Local' }),
      );
      await fabric.expect({
        ...each('out', 'n1:30081', 'a2 sees out'),
        ...each('out', 'balancer_local:80', 'a2 sees out'),
        ...each('out', 'n2:30081', 'silent'),
        ...each('out', 'n3:30081', 'silent'),
        ...each('b', 'n2:30081', 'a2 sees b'),
        ...each('b', 'external_local:80', 'a2 sees b'),
        ...each('n3', 'balancer_local:80', 'a2 sees n3'),
      });
    });
  it('what ends and serves answers only where nothing is ready', async (fabric) => {
    const ending = { ready: false, serving: true, terminating: true };
    await fabric.become(byPackets, ...balanced(fabric, 'ending', 1, { to: { a2: ending, b: {} } }));
    assert.deepEqual(await answerers(fabric, 'a > cluster_ending:80 tcp', 4, 12), new Set(['b']));
    await fabric.become(byPackets, ...balanced(fabric, 'ending', 1, { to: { a2: ending } }));
    await fabric.expect({
      ...each('a', 'cluster_ending:80', 'a2 sees a'),
      ...each('out', 'n2:30081', 'a2 sees out'),
    });
  });
  for (const mode of ['Tunnel', 'DSR'])
    it(`backends in nodes' own network: ${mode}`, async (fabric) => {
      await fabric.become(
        settings({ bpfConnectTimeLoadBalancing: 'Disabled', bpfExternalServiceMode: mode }),
        ...balanced(fabric, 'host', 1, { to: { n2: {} } }),
      );
      const outcomes: { [question: string]: string } = {};
      for (const client of ['a', 'b', 'n1', 'n3', 'out'])
        for (const target of ['cluster_host:80', 'external_host:80', 'n1:30081', 'n2:30081', 'n3:30081'])
          if (!target.startsWith(client))
            for (const protocol of protocols)
              outcomes[`${client} > ${target} ${protocol}`] = `n2 sees ${client}`;
      await fabric.expect(outcomes);
    });
  it('backends outside the cluster see the node that was asked', async (fabric) => {
    await fabric.become(
      settings({ bpfConnectTimeLoadBalancing: 'Disabled' }),
      ...natOutgoing,
      ...balanced(fabric, 'beyond', 1, { to: { out: {} } }),
    );
    await fabric.expect({
      ...each('a', 'cluster_beyond:80', 'out sees n1'),
      ...each('b', 'n1:30081', 'out sees n2'),
      ...each('n3', 'cluster_beyond:80', 'out sees n3'),
      ...each('out', 'n1:30081', 'out sees n1'),
    });
  });
  it("the API server's own service keeps its backends when it would have none", async (fabric) => {
    const kubernetes = (ready: boolean) =>
      balanced(fabric, 'kubernetes', 1, { to: { n2: { ready, serving: ready } } }).map((resource) => ({
        ...resource,
        metadata: {
          ...resource.metadata,
          namespace: 'default',
          ...(resource.kind === 'EndpointSlice'
            ? { labels: { 'kubernetes.io/service-name': 'kubernetes' } }
            : {}),
        },
      }));
    await fabric.become(byPackets, core('Namespace', 'default', {}), ...kubernetes(true));
    await fabric.expect(each('a', 'cluster_kubernetes:80', 'n2 sees a'));
    await fabric.become(byPackets, core('Namespace', 'default', {}), ...kubernetes(false));
    await fabric.expect(each('a', 'cluster_kubernetes:80', 'n2 sees a'));
  });
}

const natOutgoing = ['10.65.0.0/16', 'fd65::/16'].map((cidr, i) =>
  calico('IPPool', `pool${i}`, { cidr, natOutgoing: true }),
);

function itself(it: ServiceCase): void {
  it('a Pod reaches itself through its service, and sees its node there', async (fabric) => {
    await fabric.become(byPackets, ...balanced(fabric, 'own', 1, { to: { a: {} } }));
    await fabric.expect({
      ...each('a', 'cluster_own:80', 'a sees n1'),
      ...each('a', 'n1:30081', 'a sees n1'),
      ...each('a', 'n2:30081', 'a sees n1'),
      ...each('a', 'balancer_own:80', 'a sees n1'),
    });
  });
  it('led at connect time it sees itself', async (fabric) => {
    await fabric.become(
      settings({ bpfConnectTimeLoadBalancing: 'Enabled' }),
      ...balanced(fabric, 'own', 1, { to: { a: {} } }),
    );
    await fabric.expect(each('a', 'cluster_own:80', 'a sees a'));
  });
  it('a node reaches its own process through a service', async (fabric) => {
    await fabric.become(byPackets, ...balanced(fabric, 'own', 1, { to: { n1: {} } }));
    await fabric.expect({
      ...each('n1', 'cluster_own:80', 'n1 sees cluster_own'),
      ...each('n1', 'n2:30081', 'n1 sees n2'),
    });
  });
}

function each(from: string, to: string, outcome: string): Outcomes {
  return Object.fromEntries(protocols.map((protocol) => [`${from} > ${to} ${protocol}`, outcome]));
}

/** Who answers when one client asks so often, one question after the other. */
async function answerers(
  fabric: ServiceFabric,
  text: string,
  family: Family,
  times: number,
): Promise<Set<string>> {
  const question: Question = fabric.question(text, family);
  const met = new Set<string>();
  for (const outcome of await askAll(Array.from({ length: times }, () => question)))
    met.add(outcome.kind === 'answer' ? outcome.by : outcome.kind);
  return met;
}
