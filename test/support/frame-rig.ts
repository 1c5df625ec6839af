// SPDX-License-Identifier: Apache-2.0
/**
 * A node of eBPF to whose programs frames are shown instead of being sent: BPF_PROG_TEST_RUN of what the driver has attached to
 * its links, tens of thousands of frames a second, each with its verdict.
 *
 * What a program hands on to another link (bpf_redirect) is not sent; `pass` says what the hooks say that it would meet there.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { BPF_PROG_GET_FD_BY_ID, bpfFd } from '../../src/kernel/bpf/call.ts';
import { attachedPrograms, type LinkSide, linkInfo, openPin } from '../../src/kernel/bpf/link.ts';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import { skbContext, skbFields, testRun } from '../../src/kernel/bpf/test-run.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { markBits } from '../../src/rules/chain.ts';
import { ProbeRig, type RigParty, type RigUplink } from './probe-rig.ts';

/** TCX_DROP, TC_ACT_REDIRECT: include/uapi/linux/bpf.h, pkt_cls.h. */
const dropped = 2;
const redirected = 7;
const xdpDrop = 1;

/** What a program made of a frame. */
export interface Ran {
  /** As it returned it. */
  readonly verdict: number;
  readonly mark: number;
  readonly frame: Uint8Array;
}

export interface RunOptions {
  readonly mark?: number;
  /** Index of the link by which a frame on its way out came in; 0 or absent: the host sent it. */
  readonly ingress?: number;
}

/** One of the node's links as the programs know it. */
export interface FrameLink {
  readonly index: number;
  /** Of the node's end. */
  readonly mac: Uint8Array;
  /** Of the other. */
  readonly beyond: Uint8Array;
}

/** Where a frame comes in and where it is to leave: names of links, null for the host itself. */
export interface Journey {
  readonly from: string | null;
  readonly to: string | null;
  readonly framed: (link: string, way: 'in' | 'out') => Uint8Array;
}

/** `hooks`: what each said. */
export interface Passage {
  readonly passes: boolean;
  readonly hooks: readonly string[];
}

export class FrameRig implements AsyncDisposable {
  readonly rig: ProbeRig;
  readonly driver: EbpfDriver;
  /** Frames that XDP dropped. */
  earlyDrops = 0;
  readonly #links = new Map<string, FrameLink>();
  readonly #programs = new Map<string, Fd>();
  readonly #maps = new Map<string, BpfMap>();

  constructor(workloads: readonly RigParty[], uplinks: readonly RigUplink[]) {
    this.rig = new ProbeRig(workloads, uplinks);
    this.driver = this.#openDriver();
    const names = [...workloads.map(({ ifName }) => ifName as string), ...uplinks.map(({ name }) => name)];
    for (const name of names) this.#links.set(name, this.#findLink(name));
  }

  link(name: string): FrameLink {
    const link = this.#links.get(name);
    assert.ok(link, `no link ${name}`);
    return link;
  }

  /** A pinned map of the data plane. */
  map(name: string): BpfMap {
    const map = this.#maps.get(name) ?? BpfMap.openPin(join(this.rig.driverOptions.bpf, 'maps1', name));
    assert.ok(map, `no map ${name}`);
    this.#maps.set(name, map);
    return map;
  }

  /** Frames are shown in there: the programs must find the node's own routes. */
  inside<T>(run: () => T): T {
    return this.rig.node.run(run);
  }

  /** What the driver attached is asked for anew: after an apply that may have swapped it. */
  forgetPrograms(): void {
    for (const fd of this.#programs.values()) fd.close();
    this.#programs.clear();
  }

  run(name: string, side: LinkSide, frame: Uint8Array, { mark = 0, ingress = 0 }: RunOptions = {}): Ran {
    const ifIndex = this.link(name).index;
    const ctx = skbContext({ ifIndex, mark, ingressIfIndex: ingress });
    const ran = testRun(this.#program(name, side), { packet: frame, ctx });
    const view = new DataView(ran.ctx.buffer, ran.ctx.byteOffset);
    return { verdict: ran.retval, mark: view.getUint32(skbFields.mark, true), frame: ran.packet };
  }

  /** From hook to hook, as far as they let it pass; between them the gate in nftables (gate.ts) wants a mark. */
  pass({ from, to, framed }: Journey): Passage {
    const hooks: string[] = [];
    let mark = 0;
    let frame: Uint8Array | null = null;
    if (from !== null) {
      frame = framed(from, 'in');
      if (this.dropsEarly(from, frame)) return { passes: false, hooks: [`XDP at ${from} dropped it`] };
      const ran = this.run(from, 'ingress', frame);
      hooks.push(said(from, 'in', ran));
      if (ran.verdict === dropped) return { passes: false, hooks };
      if (isRedirected(ran) && ran.mark === 0) return { passes: true, hooks }; // into a workload's namespace
      const meetsGate = [from, to].some((name) => name?.startsWith(this.rig.driverOptions.interfacePrefix));
      if (!isRedirected(ran) && meetsGate && !isMarked(ran.mark)) return { passes: false, hooks };
      ({ mark, frame } = ran);
    }
    if (to === null) return { passes: true, hooks };
    const ingress = from === null ? 0 : this.link(from).index;
    const ran = this.run(to, 'egress', frame ?? framed(to, 'out'), { mark, ingress });
    hooks.push(said(to, 'out', ran));
    return { passes: ran.verdict !== dropped, hooks };
  }

  /** True where XDP drops it; false also where nothing is attached there. */
  dropsEarly(name: string, frame: Uint8Array): boolean {
    const program = this.#earlyProgram(name);
    if (!program) return false;
    const ctx = new Uint8Array(24); // struct xdp_md: data, data_end, data_meta, ingress_ifindex, ...
    const view = new DataView(ctx.buffer);
    view.setUint32(4, frame.length, true);
    view.setUint32(12, this.link(name).index, true);
    const isDropped = testRun(program, { packet: frame, ctx }).retval === xdpDrop;
    if (isDropped) this.earlyDrops++;
    return isDropped;
  }

  /** How often packets were dropped, for all reasons together or for one. */
  drops(reason?: number): number {
    let sum = 0;
    for (const [key, value] of this.map('drops').entries()) {
      const number = new DataView(key.buffer, key.byteOffset).getUint32(0, true);
      if (reason === undefined ? number === 0 : number !== reason) continue; // 0 counts lost events
      for (const cpu of this.map('drops').perCpu(value))
        sum += Number(new DataView(cpu.buffer, cpu.byteOffset).getBigUint64(0, true));
    }
    return sum;
  }

  /** No flow and no fragment is known afterwards. */
  forgetFlows(): void {
    for (const name of ['flows', 'fragments']) {
      const map = this.map(name);
      assert.deepEqual(map.deleteMany([...map.entries()].map(([key]) => key.slice())), []);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.forgetPrograms();
    for (const map of this.#maps.values()) map.close();
    await this.driver[Symbol.asyncDispose]();
    await this.rig[Symbol.asyncDispose]();
  }

  /** What the verifier refuses leaves no namespace behind. */
  #openDriver(): EbpfDriver {
    try {
      return this.rig.node.run(() => new EbpfDriver(this.rig.driverOptions));
    } catch (error) {
      void this.rig[Symbol.asyncDispose]();
      throw error;
    }
  }

  #program(name: string, side: LinkSide): Fd {
    const key = `${name} ${side}`;
    const found = this.#programs.get(key);
    if (found) return found;
    const [id] = attachedPrograms(this.link(name).index, side);
    assert.ok(id, `no program at ${key}`);
    const fd = openProgram(id);
    this.#programs.set(key, fd);
    return fd;
  }

  #earlyProgram(name: string): Fd | null {
    const key = `${name} xdp`;
    const found = this.#programs.get(key);
    if (found) return found;
    using link = openPin(join(this.rig.driverOptions.bpf, `xdp_${name}`));
    if (!link) return null;
    const fd = openProgram(linkInfo(link).programId);
    this.#programs.set(key, fd);
    return fd;
  }

  #findLink(name: string): FrameLink {
    const link = this.rig.node.run(() => linkNamed(name));
    const beyond = this.rig.netnsBehind(name).run(() => linkNamed('eth0'));
    return { index: link.index, mac: link.mac, beyond: beyond.mac };
  }
}

function said(name: string, way: string, { verdict, mark }: Ran): string {
  return `${way} ${name}: ${verdict | 0} mark 0x${mark.toString(16)}`;
}

function isMarked(mark: number): boolean {
  return (mark & (markBits.accepted | markBits['to-host'])) !== 0;
}

function isRedirected({ verdict }: Ran): boolean {
  return verdict === redirected;
}

function openProgram(id: number): Fd {
  return bpfFd(`open program ${id}`, BPF_PROG_GET_FD_BY_ID, [{ at: 0, u32: id }]);
}

function linkNamed(name: string): { index: number; mac: Uint8Array } {
  using rt = Rtnetlink.open();
  const link = rt.links.get(name);
  assert.ok(link?.mac, `no link ${name}`);
  return {
    index: link.index,
    mac: Uint8Array.from(link.mac.split(':'), (each) => Number.parseInt(each, 16)),
  };
}
