// SPDX-License-Identifier: Apache-2.0
/**
 * Harmed frames through every hook of the eBPF data plane: nothing passes but what a strict reader takes for a packet that policy
 * allows, no program fails, and every drop is counted. Under policy that allows one port, and under policy that allows nothing.
 *
 * MUSLIN_SEED repeats a run; MUSLIN_FRAMES says how many frames for each hook and policy.
 */
import assert from 'node:assert/strict';
import { noTranslation } from '../../src/drivers/ebpf/settings.ts';
import { familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { workloadInterfaceName } from '../../src/model/kubernetes/pod.ts';
import type { Resource } from '../../src/model/types.ts';
import { markBits } from '../../src/rules/chain.ts';
import { type Reading, readFrame } from '../support/frame-reader.ts';
import { FrameRig } from '../support/frame-rig.ts';
import { FrameFuzzer, type FuzzFrame, type FuzzScene, vxlanPort } from '../support/fuzz-frames.ts';
import { type FuzzHook, FuzzModel } from '../support/fuzz-model.ts';
import { core, gnp, hep, type Json, labelled } from '../support/oracle-cluster.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { settingsResource, ToldNode } from '../support/told-node.ts';
import { rootTest } from './root-test.ts';

const { MUSLIN_FRAMES: framesWanted = '7000' } = process.env;
const frameCount = Number(framesWanted);
const allowedPort = 81;
/** enum reason of bpf/types.h. */
const reasons = { malformed: 3, fragment: 11 } as const;
const dropped = 2;
const redirected = 7;
/** What came from nowhere is not to be remembered: flows are forgotten every so many frames. */
const framesPerRound = 2000;

const addresses = (...texts: readonly string[]): readonly Address[] => texts.map(parseAddress);
const attacker = { name: 'attacker', addresses: addresses('10.65.0.1', 'fd65::1') };
const victim = { name: 'victim', addresses: addresses('10.65.0.2', 'fd65::2') };
const other = { name: 'other', addresses: addresses('10.65.0.3', 'fd65::3') };
const pods = [attacker, victim, other];
const ifName = (pod: { readonly name: string }) => workloadInterfaceName('red', pod.name);
const anotherNode = addresses('172.16.0.9', 'fd16::9');
/** eth0 has a host endpoint with ordinary policy, eth1 one with untracked policy: XDP looks there first. */
const uplinks = [
  {
    name: 'eth0',
    addresses: addresses('172.16.0.1', 'fd16::1'),
    beyond: [...addresses('192.0.2.10', '2001:db8:1::10'), ...anotherNode],
  },
  {
    name: 'eth1',
    addresses: addresses('172.17.0.1', 'fd17::1'),
    beyond: addresses('198.51.100.7', '2001:db8:2::7'),
  },
];
const own = uplinks.flatMap((link) => link.addresses);
const beyond = uplinks.flatMap((link) => link.beyond);
const everywhere = [...pods.flatMap((pod) => pod.addresses), ...own, ...beyond];
const nowhere = addresses('203.0.113.99', '2001:db8:99::1', '224.0.0.1', 'ff02::1', '255.255.255.255');

/** @param port - null: policy allows nothing. */
function stored(port: number | null): Resource[] {
  const rules =
    port === null
      ? []
      : ['TCP', 'UDP', 'SCTP'].map((protocol) => ({
          action: 'Allow',
          protocol,
          destination: { ports: [port] },
        }));
  const spec: Json = { types: ['Ingress', 'Egress'], ingress: rules, egress: rules };
  const denying = [...rules, { action: 'Deny' }];
  return [
    core('Namespace', 'red', {}),
    ...pods.map(({ name, addresses }) => ({
      ...labelled(core('Pod', name, {}, 'red'), { kind: 'pod' }),
      spec: { nodeName: 'n1', containers: [] },
      status: { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) },
    })),
    gnp('pods', { ...spec, selector: "kind == 'pod'" }),
    hep('eth0', { interfaceName: 'eth0' }, { face: 'usual' }),
    gnp('usual', { ...spec, selector: "face == 'usual'", applyOnForward: true }),
    hep('eth1', { interfaceName: 'eth1' }, { face: 'raw' }),
    gnp('raw', {
      ...spec,
      selector: "face == 'raw'",
      doNotTrack: true,
      applyOnForward: true,
      ingress: denying,
      egress: denying,
    }),
    settingsResource({
      endpointToHost: 'drop',
      failsafeInbound: [],
      failsafeOutbound: [],
      vxlanFromWorkloads: false,
      ipipFromWorkloads: false,
      vxlanPort,
    }),
  ];
}

function often<T>(list: readonly T[]): readonly T[] {
  return Array.from({ length: 8 }, () => list).flat();
}

interface Place {
  readonly hook: FuzzHook;
  readonly link: string;
  readonly sources: readonly Address[];
  readonly targets: readonly Address[];
  readonly options: { readonly mark?: number; readonly ingress?: 'eth0' };
}

const tunnel = ([4, 6] as const).map((family) => ({
  src: ofFamily(anotherNode, family),
  dst: ofFamily(own, family),
}));

const places: readonly Place[] = [
  {
    hook: 'from-workload',
    link: ifName(attacker),
    sources: [...attacker.addresses, ...everywhere],
    targets: [...everywhere, ...nowhere, ...often(victim.addresses)],
    options: {},
  },
  { hook: 'to-workload', link: ifName(victim), sources: own, targets: victim.addresses, options: {} },
  {
    hook: 'led-to-workload',
    link: ifName(victim),
    sources: beyond,
    targets: victim.addresses,
    options: { mark: markBits['to-host'], ingress: 'eth0' },
  },
  ...uplinks.map(
    (link): Place => ({
      hook: 'from-network',
      link: link.name,
      sources: [...link.beyond, ...everywhere],
      targets: [...everywhere, ...nowhere, ...often(victim.addresses)],
      options: {},
    }),
  ),
  { hook: 'to-network', link: 'eth0', sources: own, targets: [...beyond, ...nowhere], options: {} },
  {
    hook: 'through-to-network',
    link: 'eth0',
    sources: addresses('198.51.100.7', '2001:db8:2::7'),
    targets: [...beyond, ...nowhere],
    options: { ingress: 'eth0' },
  },
];

class Bench implements AsyncDisposable {
  readonly #rig = new FrameRig(
    pods.map((pod) => ({ ifName: ifName(pod), addresses: pod.addresses })),
    uplinks,
  );
  readonly #told = new ToldNode('n1', (message) => this.#rig.driver.onMessage(message));
  readonly counts = new Map<string, number>();
  frames = 0;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rig[Symbol.asyncDispose]();
  }

  async become(port: number | null): Promise<void> {
    const config = { ...noTranslation, nodeAddresses: [...own, ...anotherNode] };
    this.#rig.driver.onTranslation({ kind: 'translation-update', config });
    this.#told.become(stored(port));
    assert.deepEqual((await this.#rig.rig.apply(this.#rig.driver)).failed, []);
    this.#rig.forgetPrograms();
  }

  /** Rounds of frames at one place, each from nothing. */
  fuzz(random: Random, place: Place, port: number | null): void {
    for (let left = frameCount; left > 0; left -= framesPerRound) {
      this.#rig.forgetFlows();
      this.#rig.inside(() => this.#round(random, place, port, Math.min(left, framesPerRound)));
    }
  }

  /** Every kind of frame, cut at every length. */
  cutAll(random: Random, place: Place, port: number | null): void {
    const model = modelFor(port);
    const whole = new FrameFuzzer(random, this.#scene(random, place, model)).wholeOnes();
    this.#rig.forgetFlows();
    this.#rig.inside(() => {
      for (const { kind, frame } of whole) {
        for (let length = 14; length <= Math.min(frame.length, 400); length++)
          this.#show(place, model, {
            kind: `${kind} of ${length} bytes`,
            frame: frame.slice(0, length),
            isWhole: false,
          });
      }
    });
  }

  #round(random: Random, place: Place, port: number | null, count: number): void {
    const model = modelFor(port);
    const fuzzer = new FrameFuzzer(random, this.#scene(random, place, model));
    const before = this.#drops();
    const seen = { drops: 0, unread: 0 };
    for (let i = 0; i < count; i++) {
      const fuzzed = fuzzer.next();
      if (!this.#show(place, model, fuzzed)) continue;
      seen.drops++;
      if (readFrame(fuzzed.frame).kind === 'invalid') seen.unread++;
    }
    const counted = this.#drops();
    assert.equal(
      counted.all - before.all,
      seen.drops,
      `${place.hook}: drops that were counted, and that were seen`,
    );
    assert.ok(
      counted.unread - before.unread >= seen.unread,
      `${place.hook}: what cannot be read is called so`,
    );
  }

  /** `unread`: headers that are wrong, or fragments that nothing is known of. */
  #drops(): { readonly all: number; readonly unread: number } {
    const unread = this.#rig.drops(reasons.malformed) + this.#rig.drops(reasons.fragment);
    return { all: this.#rig.drops(), unread };
  }

  #scene(random: Random, { hook, link, sources, targets }: Place, model: FuzzModel): FuzzScene {
    const { mac, beyond: peer } = this.#rig.link(link);
    const isIn = hook.startsWith('from');
    const flow = () => {
      const flows = model.flows();
      return flows.length > 0 ? random.pick(flows) : null;
    };
    const ports = [allowedPort, allowedPort, allowedPort, 80, 9999, 4789];
    return { to: isIn ? mac : peer, from: isIn ? peer : mac, sources, targets, ports, tunnel, flow };
  }

  /** @returns whether it was dropped. */
  #show(place: Place, model: FuzzModel, { kind, frame, isWhole }: FuzzFrame): boolean {
    const { hook, link, options } = place;
    if (!canBeShown(frame)) return false;
    const reading = readFrame(frame);
    model.remember(reading);
    const why = this.#why(place, model, reading);
    const about = () => `${hook} at ${link}: ${kind}: ${JSON.stringify({ reading, why })} ${hex(frame)}`;
    const isEarly = hook === 'from-network' && this.#rig.dropsEarly(link, frame);
    const { mark = 0, ingress } = options;
    const ran = isEarly
      ? null
      : this.#rig.run(link, hook.startsWith('from') ? 'ingress' : 'egress', frame, {
          mark,
          ingress: ingress ? this.#rig.link(ingress).index : 0,
        });
    const isDropped = ran === null || ran.verdict === dropped;
    this.frames++;
    this.#count(`${hook} ${isDropped ? 'dropped' : (why ?? 'passed')}`);
    if (ran && !isDropped) {
      assert.ok(why, `passed: ${about()}`);
      assert.ok([0xffff_ffff, redirected].includes(ran.verdict), `verdict ${ran.verdict}: ${about()}`);
      assert.ok(
        !isForOthers(hook, frame, this.#rig.link(link).mac) || ran.verdict !== redirected,
        `for another station, and sent on: ${about()}`,
      );
      if (why === 'neighbour discovery' && hook === 'from-network' && link === 'eth0')
        // eth1 has no policy about what passes through
        assert.ok((ran.mark & markBits.accepted) === 0, `as if policy had let it in: ${about()}`);
      if (why === 'policy' || why === "the host's own") model.passed(reading);
    }
    if (isWhole && why === 'policy' && mustPass(kind, reading)) assert.ok(!isDropped, `dropped: ${about()}`);
    return isDropped;
  }

  /** What our own tunnel carries is read as if it had come by itself. */
  #why({ hook }: Place, model: FuzzModel, reading: Reading) {
    const inner = hook === 'from-network' ? readTunnelled(reading) : null;
    if (inner?.kind === 'packet') model.remember(inner);
    return inner ? model.whyTunnelled(inner) : model.why(hook, reading);
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function modelFor(port: number | null): FuzzModel {
  const workloads = pods.flatMap((pod) => pod.addresses);
  return new FuzzModel({ sender: attacker.addresses, workloads, own }, port);
}

/** What must pass where policy lets it. */
function mustPass(kind: string, reading: Reading): boolean {
  if (!['TCP with options', 'UDP', 'SCTP'].includes(kind) || reading.kind !== 'packet') return false;
  return victim.addresses.includes(reading.dst) && reading.src !== reading.dst;
}

/** What the nodes' own tunnel brings (bpf/tunnel.h); null: no such packet. */
function readTunnelled(reading: Reading): Reading | null {
  if (reading.kind !== 'packet' || reading.part !== 'whole') return null;
  const { protocol, ports, transport, family } = reading;
  const vxlan = transport.subarray(8, 16);
  if (protocol !== 17 || ports?.[1] !== vxlanPort || hex(vxlan) !== '080000006d757300') return null;
  if (hex(transport.subarray(28, 30)) !== (family === 4 ? '0800' : '86dd')) return null;
  const isFromNode = anotherNode.includes(reading.src) && own.includes(reading.dst);
  return isFromNode ? readFrame(transport.subarray(16)) : { kind: 'invalid', why: 'tunnelled by nobody' };
}

/** Outside these the kernel runs nothing: net/bpf/test_run.c wants IP's header whole, and all of it in a page. */
function canBeShown(frame: Uint8Array): boolean {
  const least = { '0800': 34, '86dd': 54 }[hex(frame.subarray(12, 14))] ?? 14;
  return frame.length >= least && frame.length <= 3600;
}

function isForOthers(hook: FuzzHook, frame: Uint8Array, mac: Uint8Array): boolean {
  return hook.startsWith('from') && mac.some((byte, i) => byte !== frame[i]);
}

function ofFamily(list: readonly Address[], family: 4 | 6): Address {
  const found = list.find((each) => familyOf(each) === family);
  assert.ok(found);
  return found;
}

function hex(frame: Uint8Array): string {
  return Buffer.from(frame).toString('hex');
}

rootTest('no harmed frame passes a hook that its strict reading does not allow', async () => {
  const seed = seedOfRun('eBPF fuzz');
  await using bench = new Bench();
  for (const port of [allowedPort, null]) {
    await bench.become(port);
    for (const [i, place] of places.entries()) {
      const random = new Random(seed * 31 + i + (port ?? 0));
      bench.cutAll(random, place, port);
      bench.fuzz(random, place, port);
    }
  }
  const told = { frames: bench.frames, ...Object.fromEntries([...bench.counts].sort()) };
  process.stderr.write(`eBPF fuzz: ${JSON.stringify(told, null, 1)}\n`);
});
