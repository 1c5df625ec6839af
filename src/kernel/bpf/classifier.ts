// SPDX-License-Identifier: Apache-2.0
/**
 * A classifier at one side of an interface: by a tcx link, or by a clsact filter where the kernel has no tcx.
 *
 * Invariants: `update` is atomic in both ways. A tcx link goes with its last descriptor unless it is pinned; a filter stays.
 */
import type { Rtnetlink } from '../rtnetlink/rtnetlink.ts';
import type { FilterKey } from '../rtnetlink/traffic-control.ts';
import type { Fd } from '../sys/fd.ts';
import { createLink, detachLink, type LinkSide, supportsTcx, updateLink } from './link.ts';

/** Ahead of what administrators number by habit, which is from 1 on in steps or from 49152 down. */
export const filterPlace: Pick<FilterKey, 'priority' | 'handle'> = { priority: 1, handle: 1 };

export type Classifier = TcxClassifier | ClsactClassifier;

export interface ClassifierOptions {
  /** Of the filter, for people and for `trafficControl.listBpf`. @defaultValue muslin */
  readonly name?: string;
  /** @defaultValue tcx if the kernel has it */
  readonly by?: Classifier['kind'];
}

/** @param rt - in the network namespace of the calling thread, where the interface is. @throws {KernelError} ENODEV */
export function attachClassifier(
  program: Fd,
  ifIndex: number,
  side: LinkSide,
  rt: Rtnetlink,
  options: ClassifierOptions = {},
): Classifier {
  const by = options.by ?? (supportsTcx() ? 'tcx' : 'clsact');
  if (by === 'tcx') return new TcxClassifier(createLink(program, ifIndex, side));
  const classifier = new ClsactClassifier(rt, { ifIndex, side, ...filterPlace }, options.name ?? 'muslin');
  rt.trafficControl.addClsact(ifIndex);
  classifier.update(program);
  return classifier;
}

class TcxClassifier implements Disposable {
  readonly kind = 'tcx';
  /** To pin. */
  readonly link: Fd;

  constructor(link: Fd) {
    this.link = link;
  }

  /** @throws {KernelError} ENOLINK when it was detached. */
  update(program: Fd): void {
    updateLink(this.link, program);
  }

  detach(): void {
    detachLink(this.link);
  }

  [Symbol.dispose](): void {
    this.link.close();
  }
}

class ClsactClassifier implements Disposable {
  readonly kind = 'clsact';
  readonly key: FilterKey;
  readonly #rt: Rtnetlink;
  readonly #name: string;

  constructor(rt: Rtnetlink, key: FilterKey, name: string) {
    this.key = key;
    this.#rt = rt;
    this.#name = name;
  }

  /** Also adds it anew when someone took it away. @throws {KernelError} ENODEV; EINVAL when clsact went with it. */
  update(program: Fd): void {
    this.#rt.trafficControl.replaceBpf(this.key, program, this.#name);
  }

  detach(): void {
    this.#rt.trafficControl.deleteBpf(this.key);
  }

  [Symbol.dispose](): void {}
}
