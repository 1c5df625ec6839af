// SPDX-License-Identifier: Apache-2.0
/**
 * One node, its workloads and an outside behind each uplink, all as network namespaces without names, and probes between
 * them: many real packets in flight together, each with evidence of its own at the receiver.
 *
 * Evidence: a TCP handshake that completed (or its first segment, where that is asked for); a UDP datagram, an SCTP INIT, an ICMP request or a packet of another protocol
 * that a raw socket bound to the destination's address received, with the probe's number in it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApplyReport, DataplaneDriver } from '../../src/contract/dataplane.ts';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { Guard } from '../../src/kernel/guard.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { createWorkloadLink, gateway4, gateway6, hostMac } from '../../src/kernel/workload-link.ts';
import { familyOf } from '../../src/lib/address.ts';
import type { Address, IfName } from '../../src/lib/brand.ts';
import { hostCidr, parseCidr } from '../../src/lib/cidr.ts';
import { parseIfName } from '../../src/lib/if-name.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import { Prober, type TcpEvidence } from './prober.ts';

/** What every Linux driver is told. */
export interface DriverOptions {
  readonly interfacePrefix: string;
  /** Folder on a BPF file system. */
  readonly bpf: string;
}

export interface RigParty {
  /** Of the node's end of its link. */
  readonly ifName: IfName;
  readonly addresses: readonly Address[];
}

/** One of the node's own links, and a namespace behind it. */
export interface RigUplink {
  readonly name: string;
  /** The node's there; none: nobody speaks to it. */
  readonly addresses: readonly Address[];
  readonly beyond: readonly Address[];
}

/** What was expected is waited for this long; on one machine it is there at once. */
const arrivesWithinMs = 3000;
/** What was not expected has this long to show after all that was expected came. */
const settleMs = 8;
const staticRoute = 4;
const linkScope = 253;

export class ProbeRig implements AsyncDisposable {
  readonly node: NetNs = NetNs.anonymous();
  readonly driverOptions: DriverOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'muslin-rig-'));
  readonly #host: Rtnetlink;
  readonly #namespaces: NetNs[] = [];
  readonly #ifNames: string[] = [];
  readonly #prober: Prober = new Prober();

  constructor(workloads: readonly RigParty[], uplinks: readonly RigUplink[]) {
    const own = uplinks.flatMap(({ addresses }) => addresses);
    mountBpffs(this.#folder);
    const bpf = join(this.#folder, 'node');
    this.driverOptions = { interfacePrefix: 'cali', bpf };
    const guard = new Guard(bpf);
    this.#host = this.node.run(() => Rtnetlink.open());
    this.node.run(() => this.#host.links.set(1, { up: true }));
    for (const { ifName, addresses } of workloads) {
      const netns = this.#namespace(ifName);
      this.node.run(() => createWorkloadLink(this.#host, guard, { ifName, netns, addresses }));
      this.#prober.addParty(netns, addresses);
    }
    for (const uplink of uplinks) this.#addUplink(uplink);
    if (own.length > 0) this.#prober.addParty(this.node, own);
  }

  /** Behind a link of the node, by the name of the node's end. */
  netnsBehind(ifName: string): NetNs {
    const netns = this.#namespaces[this.#ifNames.indexOf(ifName)];
    assert.ok(netns, `no link ${ifName}`);
    return netns;
  }

  /** apply does all its work before it first waits, so that it runs in the node's namespace as a whole. */
  apply(driver: DataplaneDriver): Promise<ApplyReport> {
    const applied: Promise<ApplyReport>[] = [];
    this.node.run(() => void applied.push(driver.apply(new AbortController().signal)));
    const [report] = applied;
    assert.ok(report);
    return report;
  }

  /**
   * Sends all at once. Source ports, where a packet has them, are used as they are: they must not have been used before.
   *
   * @param expected - which of them are waited for.
   * @returns which arrived.
   */
  async probe(
    packets: readonly OraclePacket[],
    expected: readonly boolean[],
    tcpEvidence: TcpEvidence = 'handshake',
  ): Promise<boolean[]> {
    const round = this.#prober.send(packets, tcpEvidence);
    try {
      const deadline = Date.now() + arrivesWithinMs;
      while (!expected.every((wanted, i) => !wanted || round.arrived[i]) && Date.now() < deadline) {
        await pause(1);
        this.#prober.receive(round);
      }
      await pause(settleMs);
      this.#prober.receive(round);
      return round.arrived;
    } finally {
      this.#prober.end(round);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#prober[Symbol.dispose]();
    for (const name of this.#ifNames) this.#host.links.delete(this.#host.links.get(name)?.index ?? 0);
    for (const netns of this.#namespaces) netns.close();
    this.#host.close();
    this.node.close();
    sys.umount(this.#folder, MNT_DETACH);
    rmSync(this.#folder, { recursive: true });
  }

  #namespace(ifName: string): NetNs {
    const netns = NetNs.anonymous();
    this.#namespaces.push(netns);
    this.#ifNames.push(ifName);
    return netns;
  }

  #addUplink({ name, addresses: own, beyond: addresses }: RigUplink): void {
    const netns = this.#namespace(name);
    const up = this.node.run(() => {
      const link = this.#host.links.createVeth(
        { name: parseIfName(name), mac: hostMac },
        { name: parseIfName('eth0'), netns },
      );
      for (const address of own)
        this.#host.addresses.replace({ index: link.index, address, noDad: familyOf(address) === 6 });
      this.#host.links.set(link.index, { up: true });
      return link;
    });
    const mac = netns.run(() => dressOutside(addresses));
    this.node.run(() => {
      const routes = addresses.map((address) => ({
        dst: hostCidr(address),
        protocol: staticRoute,
        oif: up.index,
        scope: linkScope,
      }));
      assert.deepEqual(this.#host.routes.replace(routes), []);
      for (const address of addresses) {
        this.#host.neighbours.replacePermanent({ index: up.index, address, mac });
      }
    });
    this.#prober.addParty(netns, addresses);
  }
}

/** Inside the namespace. Its gateways answer to no question: their MAC is known. @returns its own MAC. */
function dressOutside(addresses: readonly Address[]): string {
  using rt = Rtnetlink.open();
  rt.links.set(1, { up: true });
  const link = rt.links.get('eth0');
  assert.ok(link?.mac);
  for (const address of addresses) rt.addresses.replace({ index: link.index, address, noDad: true });
  rt.links.set(link.index, { up: true });
  for (const gateway of [gateway4, gateway6]) {
    rt.neighbours.replacePermanent({ index: link.index, address: gateway, mac: hostMac });
    const dst = parseCidr(familyOf(gateway) === 4 ? '0.0.0.0/0' : '::/0');
    const failures: readonly unknown[] = rt.routes.replace([
      { dst, protocol: staticRoute, oif: link.index, gateway, onlink: true },
    ]);
    assert.deepEqual(failures, []);
  }
  return link.mac;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
