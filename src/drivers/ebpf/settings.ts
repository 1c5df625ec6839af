// SPDX-License-Identifier: Apache-2.0
/**
 * The one row of `settings`: what all programs share, and the generation.
 *
 * The generation goes up whenever a way out may be another than before: each flow then asks for its way once more. A restarted
 * agent goes on from the number it finds, so that flows of before look again.
 */
import { defaultDataplaneConfig } from '../../contract/config.ts';
import type { DataplaneConfig } from '../../contract/dataplane.ts';
import type { FlowTimeouts, TranslationConfig } from '../../contract/services.ts';
import type { BpfMap } from '../../kernel/bpf/map.ts';
import { netnsCookie } from '../../kernel/netns-cookie.ts';
import { familyOf } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { settingFlags, settingsAt, settingsBytes } from './layout.ts';
import { Row } from './row.ts';

/** enum timeout of bpf/types.h, in order. */
const timeoutOrder: readonly (keyof FlowTimeouts)[] = [
  'tcpSynSent',
  'tcpEstablished',
  'tcpFinsSeen',
  'tcpResetSeen',
  'udp',
  'icmp',
  'generic',
];
const nanosecondsPerSecond = 1_000_000_000;

/** Until services say otherwise: nothing is translated; flows last as long as Calico's do (felix/bpf/conntrack/timeouts). */
export const noTranslation: TranslationConfig = {
  pools: [],
  nodesAreInside: false,
  nodeAddresses: [],
  externalServices: 'tunnel',
  dsrOptOut: [],
  connectTime: 'off',
  flowTimeouts: {
    tcpSynSent: 20,
    tcpEstablished: 3600,
    tcpFinsSeen: 30,
    tcpResetSeen: 40,
    udp: 60,
    icmp: 5,
    generic: 600,
  },
  natPorts: { first: 20_000, last: 29_999 },
};

export class Settings {
  readonly #map: BpfMap;
  readonly #host = netnsCookie();
  #config: DataplaneConfig = defaultDataplaneConfig;
  #translation: TranslationConfig = noTranslation;
  #own: readonly Address[] = [];
  #generation: number;
  #judgement: number;
  #tellsAllowed = true;
  #written: Uint8Array | null = null;

  /** In the network namespace of the calling thread. */
  constructor(map: BpfMap) {
    this.#map = map;
    const found = map.get(key);
    const view = found && new DataView(found.buffer, found.byteOffset);
    this.#generation = next(view?.getUint32(settingsAt.generation, true) ?? 0);
    this.#judgement = next(view?.getUint32(settingsAt.judgement, true) ?? 0);
  }

  setConfig(config: DataplaneConfig): void {
    this.#config = config;
  }

  setTranslation(translation: TranslationConfig): void {
    this.#translation = translation;
  }

  /** This node's addresses to others, at most one of a family. */
  setOwn(own: readonly Address[]): void {
    this.#own = own;
  }

  /** Every flow asks for its way again, from now on. */
  newGeneration(): void {
    this.#generation = next(this.#generation);
    this.#write(this.#row());
  }

  /** What nobody answered yet meets policy once more, from now on. */
  newJudgement(): void {
    this.#judgement = next(this.#judgement);
    this.#write(this.#row());
  }

  queueResync(): void {
    this.#written = null;
  }

  /** Someone else wrote it. */
  differs(): boolean {
    const found = this.#written && this.#map.get(key);
    return this.#written !== null && (found === null || Buffer.compare(found, this.#written) !== 0);
  }

  /** @returns whether it had to write. */
  apply(): number {
    const row = this.#row();
    if (this.#written && Buffer.compare(this.#written, row) === 0) return 0;
    const found = this.#map.get(key);
    const isThere = found !== null && Buffer.compare(found, row) === 0;
    this.#write(row);
    return isThere ? 0 : 1;
  }

  #write(row: Uint8Array): void {
    this.#map.set(key, row);
    this.#written = row;
  }

  #row(): Uint8Array {
    const { natPorts, flowTimeouts } = this.#translation;
    const row = new Row(settingsBytes)
      .u32(settingsAt.generation, this.#generation)
      .u32(settingsAt.judgement, this.#judgement)
      .u32(settingsAt.flags, this.#flags())
      .u32(settingsAt.tunnelPort, this.#config.vxlanPort)
      .u32(settingsAt.natPortFirst, natPorts.first)
      .u32(settingsAt.natPortCount, natPorts.last - natPorts.first + 1)
      .u32(settingsAt.endpointToHost, this.#config.endpointToHost === 'drop' ? 0 : 1)
      .u64(settingsAt.host, this.#host);
    for (const address of this.#own)
      row.address(settingsAt.own + (familyOf(address) === 4 ? 0 : 16), address);
    for (const [i, name] of timeoutOrder.entries())
      row.u64(settingsAt.timeouts + 8 * i, BigInt(flowTimeouts[name] * nanosecondsPerSecond));
    return row.bytes;
  }

  #flags(): number {
    const { dropInvalid, vxlanFromWorkloads, ipipFromWorkloads } = this.#config;
    const { externalServices, nodesAreInside, connectTime } = this.#translation;
    return (
      (dropInvalid ? settingFlags.dropInvalid : 0) |
      (externalServices === 'dsr' ? settingFlags.dsr : 0) |
      (vxlanFromWorkloads ? settingFlags.vxlanFromWorkloads : 0) |
      (ipipFromWorkloads ? settingFlags.ipipFromWorkloads : 0) |
      (nodesAreInside ? settingFlags.nodesAreInside : 0) |
      (connectTime === 'off' ? 0 : settingFlags.connectTcp) |
      (connectTime === 'all' ? settingFlags.connectUdp : 0) |
      (this.#tellsAllowed ? settingFlags.tellAllowed : 0)
    );
  }
}

const key = new Uint8Array(4);

/** 0 is what a flow has that was never asked. */
function next(generation: number): number {
  return (generation + 1) >>> 0 || 1;
}
