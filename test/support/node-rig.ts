// SPDX-License-Identifier: Apache-2.0
/**
 * One node and its workloads as network namespaces without names, made for one test and gone with it. Workloads listen
 * on TCP 80 and 81 in both families. Tests talk to the node's kernel through `node.run`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApplyReport, DataplaneDriver } from '../../src/contract/dataplane.ts';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { Guard } from '../../src/kernel/guard.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { connectTcp, listenTcp, socketError } from '../../src/kernel/socket.ts';
import { MNT_DETACH, POLLOUT } from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { createWorkloadLink } from '../../src/kernel/workload-link.ts';
import { type Family, familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address, IfName } from '../../src/lib/brand.ts';
import { parseIfName } from '../../src/lib/if-name.ts';

export interface RigWorkload {
  readonly name: string;
  readonly netns: NetNs;
  readonly ifName: IfName;
  /** One IPv4, one IPv6. */
  readonly addresses: readonly Address[];
}

/** How long a refused connection is waited for: what passes does so at once, as all of it is on this machine. */
const refusedAfterMs = 120;

export class NodeRig implements AsyncDisposable {
  readonly node: NetNs = NetNs.anonymous();
  readonly driverOptions: { interfacePrefix: string; bpf: string };
  readonly #folder = mkdtempSync(join(tmpdir(), 'muslin-rig-'));
  readonly #workloads = new Map<string, RigWorkload>();
  readonly #listeners: Fd[] = [];
  readonly #host: Rtnetlink;
  readonly #guard: Guard;

  constructor(names: readonly string[], ports: readonly number[] = [80, 81]) {
    mountBpffs(this.#folder);
    this.driverOptions = { interfacePrefix: 'cali', bpf: join(this.#folder, 'node') };
    this.#guard = new Guard(this.driverOptions.bpf);
    this.#host = this.node.run(() => Rtnetlink.open());
    this.node.run(() => this.#host.links.set(1, { up: true }));
    for (const [i, name] of names.entries()) this.plugIn(name, i + 1, ports);
  }

  workload(name: string): RigWorkload {
    const workload = this.#workloads.get(name);
    if (!workload) throw new TypeError(`no workload ${name}`);
    return workload;
  }

  address(name: string, family: Family): Address {
    const address = this.workload(name).addresses.find((candidate) => familyOf(candidate) === family);
    if (!address) throw new TypeError(`workload ${name} has no IPv${family} address`);
    return address;
  }

  /** apply does all its work before it first waits, so that it runs in the node's namespace as a whole. */
  apply(driver: DataplaneDriver): Promise<ApplyReport> {
    const applied: Promise<ApplyReport>[] = [];
    this.node.run(() => void applied.push(driver.apply(new AbortController().signal)));
    return applied[0] as Promise<ApplyReport>;
  }

  async connects(from: string, to: string, port: number, family: Family): Promise<boolean> {
    const at = { address: this.address(to, family), port };
    const { fd } = this.workload(from).netns.run(() => connectTcp(at));
    try {
      for (let waitedMs = 0; waitedMs < refusedAfterMs; waitedMs += 5) {
        const [events] = sys.poll([{ fd, events: POLLOUT }], 0);
        if (events) return socketError(fd) === 0;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return false;
    } finally {
      fd.close();
    }
  }

  /** As a stranger would: another program goes where ours was. */
  detachGuard(name: string): void {
    this.#guard.remove(this.workload(name).ifName);
  }

  /** Its link goes, and its namespace with all that runs there. */
  unplug(name: string): void {
    const { ifName, netns } = this.workload(name);
    this.#host.links.delete(this.#host.links.get(ifName)?.index ?? 0);
    netns.close();
    this.#workloads.delete(name);
  }

  /** @param number - the last one of its addresses. */
  plugIn(name: string, number: number, ports: readonly number[] = []): void {
    const netns = NetNs.anonymous();
    const ifName = parseIfName(`cali${name}`);
    const addresses = [parseAddress(`10.65.0.${number}`), parseAddress(`fd65::${number.toString(16)}`)];
    this.node.run(() => createWorkloadLink(this.#host, this.#guard, { ifName, netns, addresses }));
    for (const port of ports) {
      this.#listeners.push(netns.run(() => listenTcp({ address: parseAddress('::'), port })));
    }
    this.#workloads.set(name, { name, netns, ifName, addresses });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fd of this.#listeners) fd.close();
    for (const workload of this.#workloads.values()) {
      this.#host.links.delete(this.#host.links.get(workload.ifName)?.index ?? 0);
      workload.netns.close();
    }
    this.#host.close();
    this.node.close();
    sys.umount(this.#folder, MNT_DETACH);
    rmSync(this.#folder, { recursive: true });
  }
}
