// SPDX-License-Identifier: Apache-2.0
/**
 * Untracked policy in XDP: the same policies as the classifiers', loaded once more for the earlier hook, where they only drop
 * (bpf/untracked.c). What could not be loaded here costs speed, not safety: the classifier decides in any case.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplyFailure, DataplaneMessage, ResolvedHostEndpoint } from '../../contract/dataplane.ts';
import { createXdpLink, linkInfo, openPin, pinLink, updateLink } from '../../kernel/bpf/link.ts';
import { programIdOf } from '../../kernel/bpf/load.ts';
import type { BpfMap } from '../../kernel/bpf/map.ts';
import type { Fd } from '../../kernel/sys/fd.ts';
import type { KeyPath } from '../../lib/brand.ts';
import { EndpointPolicies, wishesOfHost } from './endpoint-policies.ts';
import type { IpSetMaps } from './ip-sets.ts';
import { linkKey } from './links.ts';
import { keyText, type MapRows, reconciled } from './map-table.ts';
import { PolicyPrograms } from './policies.ts';
import { Row } from './row.ts';

export interface EarlyDropMaps {
  readonly packet: BpfMap;
  readonly sets: BpfMap;
  readonly nets: BpfMap;
  readonly untracked: BpfMap;
  readonly untracked_by_link: BpfMap;
}

interface ClaimedLink {
  readonly name: string;
  readonly ifIndex: number;
  readonly endpoint: KeyPath;
}

export class EarlyDrops {
  readonly #policies: PolicyPrograms;
  readonly #wishes: EndpointPolicies;
  readonly #byLink: MapRows;
  readonly #program: Fd;
  readonly #directory: string;
  /** Links with our program, by name. */
  readonly #attached = new Map<string, number>();
  /** Pins were not looked at: there may be some of before. */
  #isStale = true;

  /** @param directory - on a bpffs, for the pins. */
  constructor(maps: EarlyDropMaps, ipSets: IpSetMaps, program: Fd, directory: string) {
    const { packet, sets, nets, untracked } = maps;
    this.#policies = new PolicyPrograms({ packet, sets, nets, programs: untracked }, ipSets, { hook: 'xdp' });
    this.#wishes = new EndpointPolicies(this.#policies);
    this.#byLink = reconciled(maps.untracked_by_link, 'eBPF untracked policies');
    this.#program = program;
    this.#directory = directory;
  }

  onMessage(message: DataplaneMessage): void {
    this.#policies.onMessage(message);
  }

  setHostEndpoint(id: KeyPath, endpoint: ResolvedHostEndpoint | null): void {
    const wishes = endpoint ? wishesOfHost(endpoint).filter(({ stage }) => stage === 'untrackedIn') : [];
    this.#wishes.set(id, wishes.length > 0 ? wishes : null);
  }

  queueResync(): void {
    this.#policies.queueResync();
    this.#byLink.queueResync();
    this.#attached.clear();
    this.#isStale = true;
  }

  apply(claimed: Iterable<ClaimedLink>): { changed: number; failed: ApplyFailure[] } {
    const synced = this.#policies.sync();
    const wanted = [...claimed].filter(({ endpoint }) => this.#wishes.has(endpoint));
    this.#wantRows(wanted);
    const rows = this.#byLink.apply();
    const failed: ApplyFailure[] = [...rows.failed];
    let changed = synced.changed + rows.changed + this.#detachOthers(new Set(wanted.map(({ name }) => name)));
    for (const link of wanted) {
      try {
        changed += this.#attach(link);
      } catch (error) {
        failed.push({ table: 'eBPF XDP', key: link.name, message: String(error) });
      }
    }
    return { changed: changed + this.#policies.release(), failed };
  }

  #wantRows(wanted: readonly ClaimedLink[]): void {
    const gone = new Set(this.#byLink.desired().keys());
    for (const { ifIndex, endpoint } of wanted) {
      const row = new Row(8);
      for (const { family, index } of this.#wishes.placed(endpoint)) row.u32(family === 4 ? 0 : 4, index);
      gone.delete(keyText(linkKey(ifIndex)));
      this.#byLink.setDesired(keyText(linkKey(ifIndex)), row.bytes);
    }
    for (const key of gone) this.#byLink.deleteDesired(key);
  }

  #attach({ name, ifIndex }: ClaimedLink): number {
    if (this.#attached.get(name) === ifIndex) return 0;
    const changed = this.#put(name, ifIndex) ? 1 : 0;
    this.#attached.set(name, ifIndex);
    return changed;
  }

  #put(name: string, ifIndex: number): boolean {
    using found = openPin(this.#pin(name));
    const info = found && linkInfo(found);
    if (found && info?.ifIndex === ifIndex) {
      if (info.programId === programIdOf(this.#program)) return false;
      updateLink(found, this.#program);
      return true;
    }
    rmSync(this.#pin(name), { force: true });
    using link = createXdpLink(this.#program, ifIndex).link;
    pinLink(link, this.#pin(name));
    return true;
  }

  #detachOthers(wanted: ReadonlySet<string>): number {
    const pinned = this.#isStale ? this.#pinned() : this.#attached.keys();
    const gone = [...pinned].filter((name) => !wanted.has(name));
    this.#isStale = false;
    for (const name of gone) {
      rmSync(this.#pin(name), { force: true });
      this.#attached.delete(name);
    }
    return gone.length;
  }

  /** Names of links. */
  #pinned(): readonly string[] {
    const pins = readdirSync(this.#directory).filter((pin) => pin.startsWith(pinPrefix));
    return pins.map((pin) => decodeURIComponent(pin.slice(pinPrefix.length)));
  }

  #pin(name: string): string {
    return join(this.#directory, pinPrefix + encodeURIComponent(name).replaceAll('.', '%2E'));
  }
}

const pinPrefix = 'xdp_';
