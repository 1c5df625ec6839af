// SPDX-License-Identifier: Apache-2.0
/**
 * Balancing at connect time: the programs of bpf/balancer.c at the cgroup of this node's processes and workloads.
 *
 * Invariants: pinned, so that sockets are led while no agent lives; taken off when nobody wants them any more.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TranslationConfig } from '../../contract/services.ts';
import {
  createCgroupLink,
  detachLink,
  linkInfo,
  openPin,
  pinLink,
  updateLink,
} from '../../kernel/bpf/link.ts';
import { programIdOf } from '../../kernel/bpf/load.ts';
import type { CgroupHook } from '../../kernel/bpf/program-types.ts';
import type { Fd } from '../../kernel/sys/fd.ts';

/**
 * UDP sockets that are not connected ask with each datagram: the programs know which protocol is wanted for whom. Those that lead
 * come last and go first, so that nobody hears from a backend that he was led to without its service's name.
 */
const hooks: readonly CgroupHook[] = [
  'getpeername4',
  'getpeername6',
  'recvmsg4',
  'recvmsg6',
  'connect4',
  'connect6',
  'sendmsg4',
  'sendmsg6',
];

export class ConnectHooks {
  readonly #directory: string;
  readonly #cgroup: string;
  readonly #program: (name: string) => Fd;

  /** @param directory - on a bpffs, for the pins. @param cgroup - folder in a cgroup2. */
  constructor(directory: string, cgroup: string, program: (name: string) => Fd) {
    this.#directory = directory;
    this.#cgroup = cgroup;
    this.#program = program;
  }

  /** @returns how many hooks it had to change. @throws {KernelError} ENOENT, EBADF when the folder is no cgroup2's */
  apply(mode: TranslationConfig['connectTime']): number {
    const changed =
      mode === 'off'
        ? hooks.toReversed().filter((hook) => this.#take(hook))
        : hooks.filter((hook) => this.#put(hook));
    return changed.length;
  }

  /** A hook at which another program runs than ours; null when all are as they should be. */
  changed(mode: TranslationConfig['connectTime']): string | null {
    if (mode === 'off') return null;
    return hooks.find((hook) => this.#running(hook) !== programIdOf(this.#program(hook))) ?? null;
  }

  #put(hook: CgroupHook): boolean {
    const program = this.#program(hook);
    const running = this.#running(hook);
    if (running === programIdOf(program)) return false;
    if (running !== null) {
      using link = openPin(this.#pin(hook));
      if (link) updateLink(link, program);
      if (link) return true;
    }
    this.#take(hook);
    using link = createCgroupLink(program, this.#cgroup, hook);
    pinLink(link, this.#pin(hook));
    return true;
  }

  /** At once: a link that only loses its pin leads sockets for some more milliseconds (kernel/bpf/syscall.c: bpf_link_put). */
  #take(hook: CgroupHook): boolean {
    using link = openPin(this.#pin(hook));
    if (!link) return false;
    detachLink(link);
    rmSync(this.#pin(hook));
    return true;
  }

  /** Null when nothing of ours is attached. */
  #running(hook: CgroupHook): number | null {
    using link = openPin(this.#pin(hook));
    if (!link) return null;
    const { cgroup, programId } = linkInfo(link);
    return cgroup !== null && cgroup.id !== 0n ? programId : null;
  }

  #pin(hook: CgroupHook): string {
    return join(this.#directory, `at_${hook}`);
  }
}
