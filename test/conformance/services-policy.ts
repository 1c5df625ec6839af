// SPDX-License-Identifier: Apache-2.0
/** Policy and services together: what each policy sees of a packet that is translated on its way. */
import type { Family } from '../../src/lib/address.ts';
import type { Resource } from '../../src/model/types.ts';
import { calico, gnp, labelled, np } from '../support/oracle-cluster.ts';
import { nodeNames, type OpenDriver, type ServiceFabric } from '../support/service-rig.ts';
import { balanced, type ServiceCase, serviceSuite, settings } from '../support/service-suite.ts';

const modes = ['Tunnel', 'DSR'] as const;

export function servicePolicy(name: string, open: OpenDriver): void {
  serviceSuite(`services ${name} and policy`, open, (it) => {
    for (const mode of modes) {
      workloads(it, mode);
      hosts(it, mode);
    }
  });
}

function ground(fabric: ServiceFabric, mode: string): readonly Resource[] {
  return [
    settings({ bpfConnectTimeLoadBalancing: 'Disabled', bpfExternalServiceMode: mode }),
    ...balanced(fabric, 'near', 1, { to: { a2: {} } }),
    ...balanced(fabric, 'far', 2, { to: { b: {} } }),
  ];
}

/** One rule for each family: those of one name addresses of one. */
function eachFamily(
  fabric: ServiceFabric,
  places: readonly string[],
  rule: (nets: readonly string[]) => object,
): readonly object[] {
  return ([4, 6] as const).map((family: Family) =>
    rule(places.map((place) => `${fabric.address(place, family)}/${family === 4 ? 32 : 128}`)),
  );
}

/** An endpoint for the link of a node that lets all of its own traffic pass. */
function hostEndpoint(node: string): readonly Resource[] {
  const endpoint = calico('HostEndpoint', `${node}-eth0`, { node, interfaceName: 'eth0' });
  return [labelled(endpoint, { host: node })];
}

const openHosts = gnp('open-hosts', {
  order: 1000,
  selector: 'has(host)',
  types: ['Ingress', 'Egress'],
  ingress: [{ action: 'Allow' }],
  egress: [{ action: 'Allow' }],
});

function workloads(it: ServiceCase, mode: string): void {
  it(`a Pod's egress policy sees the backend, not the service: ${mode}`, async (fabric) => {
    const egress = (place: string, port: number) =>
      np('red', 'p', {
        selector: "app == 'a'",
        types: ['Egress'],
        egress: eachFamily(fabric, [place], (nets) => ({
          action: 'Allow',
          protocol: 'TCP',
          destination: { nets, ports: [port] },
        })),
      });
    await fabric.become(...ground(fabric, mode), egress('b', 8080));
    await fabric.expect({
      'a > cluster_far:80 tcp': 'b sees a',
      'a > n3:30082 tcp': 'b sees a',
      'a > cluster_near:80 tcp': 'silent',
      'a > cluster_far:80 udp': 'silent',
    });
    await fabric.become(...ground(fabric, mode), egress('cluster_far', 80));
    await fabric.expect({ 'a > cluster_far:80 tcp': 'silent' });
  });
  it(`a backend's ingress policy sees the client's own address: ${mode}`, async (fabric) => {
    const ingress = (...places: readonly string[]) =>
      np('red', 'p', {
        selector: "app == 'b'",
        types: ['Ingress'],
        ingress: eachFamily(fabric, places, (nets) => ({ action: 'Allow', source: { nets } })),
      });
    await fabric.become(...ground(fabric, mode), ingress('out', 'a', 'n3'));
    await fabric.expect({
      'out > n1:30082 tcp': 'b sees out',
      'out > n2:30082 udp': 'b sees out',
      'out > external_far:80 tcp': 'b sees out',
      'a > cluster_far:80 udp': 'b sees a',
      'n3 > cluster_far:80 tcp': 'b sees n3',
      'a2 > cluster_far:80 tcp': 'silent',
      'b2 > n1:30082 tcp': 'silent',
      'n1 > cluster_far:80 tcp': 'silent',
    });
    await fabric.become(...ground(fabric, mode), ingress('n1', 'n2'));
    await fabric.expect({ 'out > n1:30082 tcp': 'silent', 'out > n2:30082 tcp': 'silent' });
  });
}

function hosts(it: ServiceCase, mode: string): void {
  it(`policy before NAT sees the node port, on the node that is asked: ${mode}`, async (fabric) => {
    await fabric.become(
      ...ground(fabric, mode),
      ...nodeNames.flatMap(hostEndpoint),
      openHosts,
      gnp('ports', {
        order: 1,
        selector: "host == 'n1'",
        preDNAT: true,
        applyOnForward: true,
        types: ['Ingress'],
        ingress: [{ action: 'Deny', protocol: 'TCP', destination: { ports: [30081, 30082] } }],
      }),
    );
    await fabric.expect({
      'out > n1:30081 tcp': 'silent',
      'out > n1:30082 tcp': 'silent',
      'out > n1:30081 udp': 'a2 sees out',
      'out > n1:30082 udp': 'b sees out',
      'out > n2:30081 tcp': 'a2 sees out',
      'out > n3:30082 tcp': 'b sees out',
      'out > external_near:80 tcp': 'a2 sees out',
      'a > cluster_far:80 tcp': 'b sees a',
      'n1 > cluster_far:80 tcp': 'b sees n1',
    });
  });
  it(`policy of what is forwarded sees the backend: ${mode}`, async (fabric) => {
    await fabric.become(
      ...ground(fabric, mode),
      ...nodeNames.flatMap(hostEndpoint),
      openHosts,
      gnp('through', {
        order: 1,
        selector: "host == 'n1'",
        applyOnForward: true,
        types: ['Ingress'],
        ingress: [
          ...eachFamily(fabric, ['a2'], (nets) => ({
            action: 'Deny',
            protocol: 'TCP',
            destination: { nets, ports: [8080] },
          })),
          { action: 'Allow' },
        ],
      }),
    );
    await fabric.expect({
      'out > n1:30081 tcp': 'silent',
      'out > n1:30081 udp': 'a2 sees out',
      'out > n1:30082 tcp': 'b sees out',
      'b > cluster_near:80 tcp': 'silent',
      'a > cluster_near:80 tcp': 'a2 sees a',
    });
  });
  it(`untracked policy of other ports leaves services as they are: ${mode}`, async (fabric) => {
    const ports = { protocol: 'UDP', destination: { ports: [9999] } };
    await fabric.become(
      ...ground(fabric, mode),
      ...nodeNames.flatMap(hostEndpoint),
      openHosts,
      gnp('untracked', {
        order: 1,
        selector: 'has(host)',
        doNotTrack: true,
        applyOnForward: true,
        types: ['Ingress', 'Egress'],
        ingress: [{ action: 'Allow', ...ports }],
        egress: [{ action: 'Allow', ...ports }],
      }),
    );
    await fabric.expect({
      'out > n1:30081 tcp': 'a2 sees out',
      'out > n1:30082 udp': 'b sees out',
      'n1 > cluster_far:80 tcp': 'b sees n1',
      'a > cluster_far:80 udp': 'b sees a',
      'n3 > n1:30081 tcp': 'a2 sees n3',
    });
  });
}
