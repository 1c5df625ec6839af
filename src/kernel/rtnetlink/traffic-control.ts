// SPDX-License-Identifier: Apache-2.0
/**
 * Traffic control, as far as eBPF programs are attached by it: the clsact queueing discipline and its bpf filters, for kernels
 * without tcx. A filter stays until it is deleted or its interface goes; nobody needs to hold its program.
 */
import { KernelError } from '../../lib/errors.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts';
import type { Attributes, NetlinkMessage } from '../netlink/reader.ts';
import type { NetlinkSocket } from '../netlink/socket.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { EEXIST, EINVAL, ENODEV, ENOENT } from '../sys/constants.ts';
import type { Fd } from '../sys/fd.ts';
import * as nl from './constants.ts';

const tcmsgBytes = 20; // struct tcmsg: family, pads, ifindex, handle, parent, info
const TC_H_CLSACT = 0xfffffff1;
/** TC_H_CLSACT with TC_H_MIN_INGRESS or TC_H_MIN_EGRESS. */
const parents = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
const clsactHandle = 0xffff0000;
const anyProtocol = 0x0300; // htons(ETH_P_ALL)

export type FilterSide = keyof typeof parents;

/** One place for a program: what is replaced there is replaced atomically (cls_bpf_change). */
export interface FilterKey {
  readonly ifIndex: number;
  readonly side: FilterSide;
  /** 1 to 65535; lower ones run first. */
  readonly priority: number;
  /** From 1. */
  readonly handle: number;
}

export interface BpfFilter extends FilterKey {
  /** As it was given; the kernel does nothing with it. */
  readonly name: string;
  readonly programId: number;
}

export class TrafficControl {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** @returns false when it was there. @throws {KernelError} ENODEV; EEXIST when an `ingress` discipline is in its place. */
  addClsact(ifIndex: number): boolean {
    const operation = `add clsact to link ${ifIndex}`;
    try {
      this.#socket.request(operation, nl.RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
        tcmsg(writer, ifIndex, clsactHandle, TC_H_CLSACT, 0).attrString(nl.TCA_KIND, 'clsact');
      });
      return true;
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== EEXIST) throw error;
      const kind = this.#qdiscAt(ifIndex, clsactHandle);
      if (kind === 'clsact') return false;
      throw new KernelError(operation, EEXIST, `got queueing discipline ${kind} in its place, want none`, {
        cause: error,
      });
    }
  }

  /** Adds a program in direct-action mode, or puts it in the place of the one there. @throws {KernelError} ENODEV, EINVAL without clsact */
  replaceBpf(key: FilterKey, program: Fd, name: string): void {
    this.#socket.request(
      `set filter ${name} on ${placeOf(key)}`,
      nl.RTM_NEWTFILTER,
      NLM_F_CREATE,
      (writer) => {
        filter(writer, key);
        writer.nested(nl.TCA_OPTIONS, () => {
          writer.attrU32(nl.TCA_BPF_FD, program.number).attrString(nl.TCA_BPF_NAME, name);
          writer.attrU32(nl.TCA_BPF_FLAGS, nl.TCA_BPF_FLAG_ACT_DIRECT);
        });
      },
    );
  }

  /** @returns false when it was gone already, and its interface or clsact perhaps with it. */
  deleteBpf(key: FilterKey): boolean {
    if (
      !this.listBpf(key.ifIndex, key.side).some(
        (row) => row.priority === key.priority && row.handle === key.handle,
      )
    )
      return false;
    try {
      this.#socket.request(`delete filter of ${placeOf(key)}`, nl.RTM_DELTFILTER, 0, (writer) =>
        filter(writer, key),
      );
      return true;
    } catch (error) {
      if (error instanceof KernelError && (error.errno === ENOENT || error.errno === ENODEV)) return false;
      throw error;
    }
  }

  /** In the order in which they run; none where the interface or clsact is missing. */
  listBpf(ifIndex: number, side: FilterSide): BpfFilter[] {
    const fill = (writer: NetlinkWriter) => tcmsg(writer, ifIndex, 0, parents[side], 0);
    try {
      return this.#socket.dump(`list filters of link ${ifIndex}`, nl.RTM_GETTFILTER, fill, (message) =>
        decodeFilter(message, side),
      );
    } catch (error) {
      if (error instanceof KernelError && (error.errno === ENODEV || error.errno === EINVAL)) return [];
      throw error;
    }
  }

  #qdiscAt(ifIndex: number, handle: number): string {
    const fill = (writer: NetlinkWriter) => tcmsg(writer, 0, 0, 0, 0);
    const kinds = this.#socket.dump('list queueing disciplines', nl.RTM_GETQDISC, fill, (message) =>
      message.i32(4) === ifIndex && message.u32(8) === handle ? kindOf(message) : null,
    );
    return kinds[0] ?? 'unknown';
  }
}

function filter(writer: NetlinkWriter, key: FilterKey): void {
  const info = ((key.priority << 16) | anyProtocol) >>> 0;
  tcmsg(writer, key.ifIndex, key.handle, parents[key.side], info).attrString(nl.TCA_KIND, 'bpf');
}

function tcmsg(
  writer: NetlinkWriter,
  ifIndex: number,
  handle: number,
  parent: number,
  info: number,
): NetlinkWriter {
  return writer.u32(0).u32(ifIndex).u32(handle).u32(parent).u32(info);
}

/** Null for filters of other kinds, and for the rows that stand for a whole priority. */
function decodeFilter(message: NetlinkMessage, side: FilterSide): BpfFilter | null {
  if (kindOf(message) !== 'bpf' || message.u32(8) === 0) return null;
  const row = { name: '', programId: 0 };
  for (const attribute of message.attributes(tcmsgBytes)) {
    if (attribute.type === nl.TCA_OPTIONS) readOptions(attribute.nested(), row);
  }
  return { ifIndex: message.i32(4), side, priority: message.u32(16) >>> 16, handle: message.u32(8), ...row };
}

function readOptions(options: Attributes, row: { name: string; programId: number }): void {
  for (const attribute of options) {
    if (attribute.type === nl.TCA_BPF_NAME) row.name = attribute.string();
    else if (attribute.type === nl.TCA_BPF_ID) row.programId = attribute.u32();
  }
}

function kindOf(message: NetlinkMessage): string | null {
  for (const attribute of message.attributes(tcmsgBytes)) {
    if (attribute.type === nl.TCA_KIND) return attribute.string();
  }
  return null;
}

function placeOf({ ifIndex, side, priority, handle }: FilterKey): string {
  return `link ${ifIndex} ${side} priority ${priority} handle ${handle}`;
}
