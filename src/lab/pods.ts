// SPDX-License-Identifier: Apache-2.0
/**
 * Runs Pods: makes what is stored true on this machine, and writes back where each Pod runs.
 *
 * Owns:       Pods' namespaces, links and servers; spec.nodeName and status of stored Pods.
 * Takes in:   the store's Pods and pools. Gives out: Running Pods with addresses, or Failed ones with a reason.
 * Invariants: a Pod's link stands, closed, before its address is stored, so that the agent finds it when it hears of it;
 *             what a killed daemon left is taken up as it stands; what no stored Pod asks for is removed. A Pod is its
 *             uid: one created anew under the same name gets a namespace and a link of its own.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Datastore, Stored } from '../contract/datastore.ts';
import { Guard } from '../kernel/guard.ts';
import { listNetns, NetNs, removeNetns } from '../kernel/netns.ts';
import { Rtnetlink } from '../kernel/rtnetlink/rtnetlink.ts';
import { EINVAL } from '../kernel/sys/constants.ts';
import { createWorkloadLink, cutWorkloadLink } from '../kernel/workload-link.ts';
import type { Address, Cidr } from '../lib/brand.ts';
import { AppError, KernelError } from '../lib/errors.ts';
import { listAt, textAt } from '../model/json.ts';
import { workloadInterfaceName } from '../model/kubernetes/pod.ts';
import type { Resource } from '../model/types.ts';
import { EchoServers } from './echo.ts';
import { ensureNetns } from './fabric.ts';
import type { LabLayout } from './layout.ts';
import { type PodView, podView } from './pod-view.ts';
import { type Assignment, assign } from './scheduler.ts';
import type { LabSpec } from './spec.ts';
import { writeBack } from './write-back.ts';

interface RunningPod {
  readonly uid: string;
  readonly place: Assignment;
  readonly netns: NetNs;
  readonly servers: EchoServers;
}

export interface PodsLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
}

const finished = ['Succeeded', 'Failed'];

export class Pods {
  readonly #layout: LabLayout;
  readonly #spec: LabSpec;
  readonly #store: Datastore;
  readonly #log: PodsLog;
  readonly #running = new Map<string, RunningPod>();

  constructor(layout: LabLayout, spec: LabSpec, store: Datastore, log: PodsLog) {
    this.#layout = layout;
    this.#spec = spec;
    this.#store = store;
    this.#log = log;
  }

  /** Makes this list of Pods, and no other, run. */
  async converge(stored: readonly Stored[], pools: readonly Cidr[]): Promise<void> {
    const pods = stored.filter((pod) => !isEnding(pod));
    const present = new Set(pods.map(({ resource }) => netnsOf(this.#layout, podView(resource))));
    for (const name of this.#ourPodNamespaces()) if (!present.has(name)) this.#remove(name);
    const views = new Map(pods.map((pod) => [pod, podView(pod.resource)]));
    for (const pod of pods) {
      const view = await this.#ensure(
        pod,
        pools,
        [...views].filter(([other]) => other !== pod).map(([, v]) => v),
      );
      views.set(pod, view);
    }
    for (const pod of stored.filter(isEnding)) await this.#end(pod);
  }

  /** Kubernetes waits for whoever runs a Pod to say that it is gone. */
  async #end({ key, revision }: Stored): Promise<void> {
    try {
      await this.#store.delete(key, revision);
    } catch (error) {
      if (!(error instanceof AppError) || (error.code !== 'CONFLICT' && error.code !== 'NOT_FOUND'))
        throw error;
    }
  }

  /** The servers only: namespaces and links stay for the next daemon. */
  close(): void {
    for (const pod of this.#running.values()) pod.servers.close();
    for (const pod of this.#running.values()) pod.netns.close();
    this.#running.clear();
  }

  async #ensure(stored: Stored, pools: readonly Cidr[], others: readonly PodView[]): Promise<PodView> {
    const view = podView(stored.resource);
    if (view.hostNetwork || finished.includes(view.phase)) return view;
    const placed = view.phase === 'Running' && view.node !== null && view.addresses.length > 0;
    const place = placed
      ? { node: view.node as string, addresses: view.addresses }
      : assign(view, {
          nodes: this.#spec.nodes.map((node) => node.name),
          pools,
          others: others.filter(isPlaced),
        });
    try {
      if ('refused' in place)
        await writeBack(this.#store, stored, failedStatus(stored.resource, place.refused));
      else await this.#run(stored, { ...view, ...place }, place);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#log.warn({ err: error, pod: `${view.namespace}/${view.name}` }, 'cannot run pod');
      if (error.code === 'KERNEL')
        await writeBack(this.#store, stored, failedStatus(stored.resource, error.message));
    }
    return 'refused' in place ? view : { ...view, ...place };
  }

  async #run(stored: Stored, view: PodView, place: Assignment): Promise<void> {
    const name = netnsOf(this.#layout, view);
    if (this.#isAnothers(name, view, place)) this.#remove(name);
    const pod = this.#running.get(name) ?? this.#start(name, view, place);
    pod.servers.serve(view.ports);
    if (view.phase !== 'Running') await writeBack(this.#store, stored, runningStatus(stored.resource, place));
  }

  /** What stands under that name was made for an earlier Pod, or for a place that this one was not given after all. */
  #isAnothers(name: string, view: PodView, place: Assignment): boolean {
    const standing = this.#running.get(name);
    if (standing) return standing.uid !== view.uid || !isDeepStrictEqual(standing.place, place);
    const wasMade = view.phase === 'Running'; // to the end, by a daemon that was killed later
    return !wasMade && listNetns().includes(name);
  }

  #start(name: string, view: PodView, place: Assignment): RunningPod {
    const netns = ensureNetns(name);
    using node = NetNs.open(this.#layout.nodeNetns(place.node));
    using host = node.run(() => Rtnetlink.open());
    const ifName = workloadInterfaceName(view.namespace, view.name);
    if (!host.links.get(ifName)) {
      const guard = new Guard(this.#layout.guardFolder(place.node));
      netns.run(() => raiseLoopback());
      node.run(() => createWorkloadLink(host, guard, { ifName, netns, addresses: place.addresses }));
      this.#log.info({ pod: `${view.namespace}/${view.name}`, ...place }, 'pod started');
    }
    const pod = { uid: view.uid, place, netns, servers: new EchoServers(netns) };
    this.#running.set(name, pod);
    return pod;
  }

  /** The link first: a namespace goes when its last user does, and the kernel takes its time even then. */
  #remove(name: string): void {
    const pod = this.#running.get(name);
    this.#running.delete(name);
    pod?.servers.close();
    using netns = pod?.netns ?? NetNs.open(name);
    cutLink(netns);
    removeNetns(name);
    this.#log.info({ netns: name }, 'pod removed');
  }

  #ourPodNamespaces(): readonly string[] {
    const prefix = `${this.#layout.prefix}pod-`;
    return listNetns().filter((name) => name.startsWith(prefix));
  }
}

function isEnding({ resource }: Stored): boolean {
  return resource.metadata.deletionTimestamp !== undefined;
}

function isPlaced(view: PodView): boolean {
  return view.node !== null && view.addresses.length > 0 && !finished.includes(view.phase);
}

function netnsOf(layout: LabLayout, view: PodView): string {
  return layout.podNetns(view.namespace, view.name);
}

/** What is no namespace, a creation that was cut short, has none. */
function cutLink(netns: NetNs): void {
  try {
    cutWorkloadLink(netns);
  } catch (error) {
    if (!(error instanceof KernelError) || error.errno !== EINVAL) throw error;
  }
}

function raiseLoopback(): void {
  using inside = Rtnetlink.open();
  inside.links.set(1, { up: true });
}

function runningStatus(pod: Resource, place: Assignment): Resource {
  const podIPs = place.addresses.map((ip: Address) => ({ ip }));
  const status = {
    ...(pod.status as object | undefined),
    phase: 'Running',
    podIP: place.addresses[0],
    podIPs,
    ...readiness(pod),
  };
  return { ...pod, spec: { ...(pod.spec as object), nodeName: place.node }, status };
}

/** A Pod that is not ready is no endpoint of any Service, and kubectl counts ready containers. */
function readiness(pod: Resource): object {
  const others = listAt(pod, 'status', 'conditions').filter((each) => textAt(each, 'type') !== 'Ready');
  const containerStatuses = listAt(pod, 'spec', 'containers').map((container) => ({
    name: textAt(container, 'name'),
    image: textAt(container, 'image'),
    imageID: '',
    ready: true,
    restartCount: 0,
  }));
  return { conditions: [...others, { type: 'Ready', status: 'True' }], containerStatuses };
}

function failedStatus(pod: Resource, message: string): Resource {
  return { ...pod, status: { phase: 'Failed', reason: 'LabRefused', message } };
}
