// SPDX-License-Identifier: Apache-2.0
/**
 * Our program at each side of an interface as a clsact filter, for kernels without tcx (Linux before 6.6).
 *
 * Invariants: nothing is pinned: a filter holds its program, outlives the agent and goes with its interface. A swap is atomic.
 *             Each call opens a socket of its own, as it works in the calling thread's network namespace.
 */
import type { IfName } from '../lib/brand.ts';
import { attachClassifier, filterPlace } from './bpf/classifier.ts';
import type { LinkSide } from './bpf/link.ts';
import { programIdOf } from './bpf/load.ts';
import type { Attached, HookPlaces } from './hook-places.ts';
import { Rtnetlink } from './rtnetlink/rtnetlink.ts';
import type { BpfFilter } from './rtnetlink/traffic-control.ts';
import type { Fd } from './sys/fd.ts';

/** By which a filter is known to be ours, beside its place. */
const filterName = 'muslin';
const sides: readonly LinkSide[] = ['ingress', 'egress'];

export class HookFilters implements HookPlaces {
  at(ifName: IfName, side: LinkSide): Attached | null {
    using rt = Rtnetlink.open();
    const link = rt.links.get(ifName);
    const filter = link && ours(rt, link.index, side);
    return filter ? { ifIndex: link.index, programId: filter.programId } : null;
  }

  put(_ifName: IfName, ifIndex: number, side: LinkSide, program: Fd): boolean {
    using rt = Rtnetlink.open();
    if (ours(rt, ifIndex, side)?.programId === programIdOf(program)) return false;
    attachClassifier(program, ifIndex, side, rt, { name: filterName, by: 'clsact' });
    return true;
  }

  remove(ifName: IfName): void {
    using rt = Rtnetlink.open();
    const link = rt.links.get(ifName);
    if (!link) return;
    for (const side of sides) {
      if (ours(rt, link.index, side))
        rt.trafficControl.deleteBpf({ ifIndex: link.index, side, ...filterPlace });
    }
  }

  names(): IfName[] {
    using rt = Rtnetlink.open();
    const guarded = rt.links.list().filter(({ index }) => sides.some((side) => ours(rt, index, side)));
    return guarded.map(({ name }) => name as IfName).sort();
  }
}

function ours(rt: Rtnetlink, ifIndex: number, side: LinkSide): BpfFilter | null {
  const { priority, handle } = filterPlace;
  const found = rt.trafficControl
    .listBpf(ifIndex, side)
    .find((row) => row.priority === priority && row.handle === handle && row.name === filterName);
  return found ?? null;
}
