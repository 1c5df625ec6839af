// SPDX-License-Identifier: Apache-2.0
/** Types of programs, and the sections of C that say them. include/uapi/linux/bpf.h, libbpf's names of sections */
import { InvalidError } from '../../lib/errors.ts';

/** enum bpf_attach_type: cgroup hooks that a program is bound to when it is loaded. */
export const cgroupHooks = {
  connect4: 10,
  connect6: 11,
  sendmsg4: 14,
  sendmsg6: 15,
  recvmsg4: 19,
  recvmsg6: 20,
  getpeername4: 29,
  getpeername6: 30,
} as const;
export type CgroupHook = keyof typeof cgroupHooks;

export type ProgramType =
  | { readonly kind: 'classifier' }
  | { readonly kind: 'xdp' }
  | { readonly kind: 'cgroup'; readonly hook: CgroupHook }
  | { readonly kind: 'syscall' };

/** What BPF_PROG_LOAD wants to know of a type. */
export interface ProgramTypeNumbers {
  /** enum bpf_prog_type */
  readonly type: number;
  /** All programs of one program array must have the same (Linux 6.18, bpf_prog_map_compatible). */
  readonly expectedAttachType: number;
  readonly flags: number;
}

const BPF_XDP = 37;
const BPF_F_SLEEPABLE = 1 << 4;

export function programTypeNumbers(type: ProgramType): ProgramTypeNumbers {
  switch (type.kind) {
    case 'classifier':
      return { type: 3, expectedAttachType: 0, flags: 0 };
    case 'xdp':
      return { type: 6, expectedAttachType: BPF_XDP, flags: 0 };
    case 'cgroup':
      return { type: 18, expectedAttachType: cgroupHooks[type.hook], flags: 0 }; // BPF_PROG_TYPE_CGROUP_SOCK_ADDR
    case 'syscall':
      return { type: 31, expectedAttachType: 0, flags: BPF_F_SLEEPABLE }; // the kernel loads no others
  }
}

/** `tc`, `xdp` and `syscall`, also followed by `/` and anything; `cgroup/HOOK`. @throws {InvalidError} */
export function programTypeOf(section: string): ProgramType {
  const [first, second = ''] = section.split('/');
  if (first === 'tc') return { kind: 'classifier' };
  if (first === 'xdp') return { kind: 'xdp' };
  if (first === 'syscall') return { kind: 'syscall' };
  if (section === `cgroup/${second}` && isHook(second)) return { kind: 'cgroup', hook: second };
  throw new InvalidError(
    `section ${section}: want tc, xdp, syscall or cgroup/ with one of ${Object.keys(cgroupHooks).join(', ')}`,
  );
}

function isHook(text: string): text is CgroupHook {
  return Object.hasOwn(cgroupHooks, text);
}
