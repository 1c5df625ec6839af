// SPDX-License-Identifier: Apache-2.0
/**
 * A host with two uplinks and two pods under a driver that a small graph tells what to do, and probes whose source ports
 * are the test's own: `out0 > h0 udp 53:40000`.
 *
 * Places: `out0` and `out1` behind the uplinks eth0 and eth1, `h0` and `h1` the host's addresses there, `a` and `b` its pods.
 * A probe is one segment made by hand; evidence is a raw socket in some place that gets it, be it where it was sent or not.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { buildGraph } from '../../src/calc/graph.ts';
import type { DataplaneDriver, DataplaneMessage } from '../../src/contract/dataplane.ts';
import type { NetNs } from '../../src/kernel/netns.ts';
import { encodeAddress } from '../../src/kernel/socket.ts';
import {
  AF_INET,
  AF_INET6,
  ENOBUFS,
  EPERM,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { type Family, parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { KernelError } from '../../src/lib/errors.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf, keyPath } from '../../src/model/kinds.ts';
import { workloadInterfaceName } from '../../src/model/kubernetes/pod.ts';
import type { Resource, Update } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { tcp, tcpFlag, udp } from './frames.ts';
import { core } from './oracle-cluster.ts';
import { type DriverOptions, ProbeRig } from './probe-rig.ts';

export type PlaceName = 'out0' | 'out1' | 'h0' | 'h1' | 'a' | 'b';

const addresses: { readonly [P in PlaceName]: readonly [four: Address, six: Address] } = {
  out0: [parseAddress('192.0.2.10'), parseAddress('2001:db8:1::10')],
  out1: [parseAddress('198.51.100.7'), parseAddress('2001:db8:2::7')],
  h0: [parseAddress('172.16.0.1'), parseAddress('fd16::1')],
  h1: [parseAddress('172.17.0.1'), parseAddress('fd17::1')],
  a: [parseAddress('10.65.0.1'), parseAddress('fd65::1')],
  b: [parseAddress('10.65.0.2'), parseAddress('fd65::2')],
};
const pods = ['a', 'b'] as const;
const protocols = { tcp: 6, udp: 17, ipip: 4 } as const;
const families = [4, 6] as const;
const arrivesWithinMs = 3000;
/** What was not expected has this long to show after all that was expected came. */
const settleMs = 15;

/** By what was sent: whether it arrives there, or the other place where it does. */
export type Fates = { readonly [probe: string]: boolean | PlaceName };

interface Probe {
  readonly text: string;
  readonly family: Family;
  readonly from: PlaceName;
  readonly to: PlaceName;
  readonly protocol: keyof typeof protocols;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly mark: Buffer;
}

interface Ear {
  readonly place: string;
  readonly fd: Fd;
}

/** Called in the node's network namespace. */
export type OpenDriver = (options: DriverOptions) => DataplaneDriver;

export class HostRig implements AsyncDisposable {
  readonly rig: ProbeRig = new ProbeRig(
    pods.map((name) => ({ ifName: workloadInterfaceName('red', name), addresses: addresses[name] })),
    ([0, 1] as const).map((i) => ({
      name: `eth${i}`,
      addresses: addresses[`h${i}`],
      beyond: addresses[`out${i}`],
    })),
  );
  driver: DataplaneDriver;
  readonly #graph = buildGraph({ node: 'n1' });
  readonly #messages: DataplaneMessage[] = [];
  #stored = new Map<string, Resource>();
  #sent = 0;

  readonly #open: OpenDriver;

  constructor(open: OpenDriver) {
    this.#open = open;
    this.driver = this.#newDriver();
    this.#graph.onUpdates(builtinUpdates());
    this.#graph.onStatus('in-sync');
  }

  /** The host enforces these beside its pods, all of it, and agrees that it does. */
  async become(...resources: readonly Resource[]): Promise<void> {
    this.#graph.onUpdates(this.#difference([...podsOfHost, ...resources]));
    this.#graph.flush((message) => {
      this.#messages.push(message);
      this.driver.onMessage(message);
    });
    assert.deepEqual((await this.apply()).failed, []);
    assert.equal((await this.apply()).changed, 0, 'a second apply is silent');
  }

  apply(): ReturnType<ProbeRig['apply']> {
    return this.rig.apply(this.driver);
  }

  /** Another driver takes over, told all from the start. @returns how much it changed. */
  async restart(): Promise<number> {
    await this.driver[Symbol.asyncDispose]();
    this.driver = this.#newDriver();
    for (const message of this.#messages) this.driver.onMessage(message);
    return (await this.apply()).changed;
  }

  /** Something that nobody told the driver; it hears of it, and agrees again. */
  async afterHearingOf(change: () => void): Promise<void> {
    const heard = new Promise<string>((resolve) => this.driver.onStrangersChange(resolve));
    change();
    await heard;
    assert.deepEqual((await this.apply()).failed, []);
  }

  /** As a user on the host would. */
  sh(command: string, ...words: readonly string[]): string {
    return this.rig.node.run(() => execFileSync(command, words, { encoding: 'utf8', stdio: 'pipe' }));
  }

  nft(text: string): void {
    this.rig.node.run(() => execFileSync('nft', ['-f', '-'], { input: text }));
  }

  address(place: PlaceName, family: Family): Address {
    return addresses[place][family === 4 ? 0 : 1];
  }

  netns(place: PlaceName): NetNs {
    if (place === 'h0' || place === 'h1') return this.rig.node;
    if (place === 'a' || place === 'b') return this.rig.netnsBehind(workloadInterfaceName('red', place));
    return this.rig.netnsBehind(place === 'out0' ? 'eth0' : 'eth1');
  }

  /** Of both families; all are sent at once. */
  async expect(fates: Fates, only: readonly Family[] = families): Promise<void> {
    const probes = only.flatMap((family) => Object.keys(fates).map((text) => this.#probe(text, family)));
    const wanted = probes.map((probe) => placeOf(fates[probe.text] ?? false, probe));
    const found = await this.#exchange(probes, wanted);
    const told = (places: readonly (string | null)[]) =>
      probes.map((probe, i) => `IPv${probe.family} ${probe.text}: ${places[i] ?? 'nowhere'}`);
    assert.deepEqual(told(found), told(wanted));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    await this.rig[Symbol.asyncDispose]();
  }

  #newDriver(): DataplaneDriver {
    return this.rig.node.run(() => this.#open(this.rig.driverOptions));
  }

  #difference(resources: readonly Resource[]): readonly Update[] {
    const next = new Map(resources.map((resource) => [keyPath(keyOf(resource)) as string, resource]));
    const gone = [...this.#stored].filter(([path]) => !next.has(path));
    this.#stored = next;
    return [
      ...gone.flatMap(([, resource]) => updatesOf(keyOf(resource), null).updates),
      ...resources.flatMap((resource) => {
        const { updates, faults } = updatesOf(keyOf(resource), resource);
        assert.deepEqual(faults, [], JSON.stringify(resource));
        return updates;
      }),
    ];
  }

  #probe(text: string, family: Family): Probe {
    const match = /^(\w+) > (\w+) (tcp|udp|ipip)(?: (?:(\d+):)?(\d+))?$/.exec(text);
    assert.ok(match, `${text}: want FROM > TO tcp|udp|ipip [SRC:]DST`);
    const [, from, to, protocol, srcPort, dstPort] = match;
    const number = ++this.#sent;
    return {
      text,
      family,
      from: from as PlaceName,
      to: to as PlaceName,
      protocol: protocol as keyof typeof protocols,
      srcPort: Number(srcPort ?? 20_000 + number),
      dstPort: Number(dstPort ?? 0),
      mark: Buffer.from(`muslin probe ${number}.`),
    };
  }

  async #exchange(probes: readonly Probe[], wanted: readonly (string | null)[]): Promise<(string | null)[]> {
    using stack = new DisposableStack();
    const ears = this.#ears(stack);
    for (const probe of probes) this.#send(probe);
    const found: (string | null)[] = probes.map(() => null);
    const deadline = Date.now() + arrivesWithinMs;
    while (wanted.some((place, i) => place !== null && found[i] === null) && Date.now() < deadline)
      await this.#listen(ears, probes, found, 1);
    await this.#listen(ears, probes, found, settleMs);
    return found;
  }

  async #listen(
    ears: readonly Ear[],
    probes: readonly Probe[],
    found: (string | null)[],
    ms: number,
  ): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    const buffer = new Uint8Array(2048);
    for (const { place, fd } of ears) {
      for (let length = sys.recv(fd, buffer); length !== null; length = sys.recv(fd, buffer)) {
        const bytes = Buffer.from(buffer.subarray(0, length));
        const at = probes.findIndex(({ mark }) => bytes.includes(mark));
        if (at >= 0) found[at] = place;
      }
    }
  }

  #ears(stack: DisposableStack): Ear[] {
    const places = (['out0', 'out1', 'a', 'b', 'h0'] as const).map((place) => ({
      place,
      netns: this.netns(place),
    }));
    return places.flatMap(({ place, netns }) =>
      netns.run(() =>
        [AF_INET, AF_INET6].flatMap((af) =>
          Object.values(protocols).map((protocol) => {
            const fd = sys.socket(af, SOCK_RAW | SOCK_NONBLOCK, protocol);
            stack.defer(() => fd.close());
            return { place: place === 'h0' ? 'host' : place, fd };
          }),
        ),
      ),
    );
  }

  #send(probe: Probe): void {
    const { family, from, to, protocol } = probe;
    const ends = { src: this.address(from, family), dst: this.address(to, family) };
    this.netns(from).run(() => {
      const fd = sys.socket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK, protocols[protocol]);
      try {
        sys.bind(fd, encodeAddress({ address: ends.src, port: 0 }));
        sys.send(fd, segment(probe, ends), 0, encodeAddress({ address: ends.dst, port: 0 }));
      } catch (error) {
        // whoever sends from the host itself is told that policy dropped it
        if (!(error instanceof KernelError) || ![EPERM, ENOBUFS].includes(error.errno)) throw error;
      } finally {
        fd.close();
      }
    });
  }
}

function segment(
  { protocol, srcPort, dstPort, mark }: Probe,
  ends: { src: Address; dst: Address },
): Uint8Array {
  if (protocol === 'ipip') return mark;
  return protocol === 'udp'
    ? udp(ends, srcPort, dstPort, mark)
    : tcp(ends, srcPort, dstPort, tcpFlag.syn, mark);
}

function placeOf(fate: boolean | PlaceName, { to }: Probe): string | null {
  if (fate === false) return null;
  const place = fate === true ? to : fate;
  return place.startsWith('h') ? 'host' : place;
}

const podsOfHost: readonly Resource[] = [
  core('Namespace', 'red', {}),
  ...pods.map((name) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'red', labels: { app: name } },
    spec: { nodeName: 'n1', serviceAccountName: 'default' },
    status: { podIPs: addresses[name].map((ip) => ({ ip })) },
  })),
];
