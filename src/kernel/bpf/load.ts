// SPDX-License-Identifier: Apache-2.0
/** Loading programs: the verifier is asked for its log only after it refused. */
import { KernelError } from '../../lib/errors.ts';
import type { Fd } from '../sys/fd.ts';
import { errnoText } from '../sys/linux.ts';
import { instructionBytes } from './asm.ts';
import { BPF_PROG_GET_FD_BY_ID, BPF_PROG_LOAD, bpfFd, type Field, objectInfo } from './call.ts';

const BPF_PROG_TYPE_SCHED_CLS = 3;
const logBytes = 1 << 20;
const programInfoBytes = 80; // struct bpf_prog_info up to its name, Linux 4.15
const nameBytes = 16; // BPF_OBJ_NAME_LEN

const encoder = new TextEncoder();

export interface Program {
  /** At most 15 of A-Z, a-z, 0-9, '_' and '.'. */
  readonly name: string;
  readonly instructions: Uint8Array;
}

/** The verifier's reasons, instruction by instruction. */
export class VerifierError extends KernelError {
  readonly log: string;
  constructor(name: string, errno: number, log: string) {
    super(`load program ${name}`, errno, `${errnoText(errno)}\n${log}`);
    this.log = log;
  }
}

/** A classifier for tcx and clsact, under the GPL as far as helpers ask. @throws {VerifierError} {KernelError} */
export function loadClassifier(program: Program): Fd {
  if (!/^[A-Za-z0-9_.]{1,15}$/.test(program.name)) throw new TypeError(`program name ${program.name}`);
  const license = encoder.encode('GPL\0');
  const fields: Field[] = [
    { at: 0, u32: BPF_PROG_TYPE_SCHED_CLS },
    { at: 4, u32: program.instructions.length / instructionBytes },
    { at: 8, pointer: program.instructions },
    { at: 16, pointer: license },
    { at: 48, bytes: encoder.encode(program.name) },
  ];
  const operation = `load program ${program.name}`;
  try {
    return bpfFd(operation, BPF_PROG_LOAD, fields);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return loadWithLog(program.name, fields);
  }
}

function loadWithLog(name: string, fields: readonly Field[]): Fd {
  const log = new Uint8Array(logBytes);
  try {
    return bpfFd(`load program ${name}`, BPF_PROG_LOAD, [
      ...fields,
      { at: 24, u32: 1 }, // log_level
      { at: 28, u32: log.length },
      { at: 32, pointer: log },
    ]);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new VerifierError(name, error.errno, cText(log));
  }
}

/** Name of a loaded program; null when it is gone. Needs CAP_SYS_ADMIN. */
export function programName(id: number): string {
  using fd = bpfFd(`open program ${id}`, BPF_PROG_GET_FD_BY_ID, [{ at: 0, u32: id }]);
  const info = objectInfo(`read program ${id}`, fd, programInfoBytes);
  return cText(new Uint8Array(info.buffer, 64, nameBytes));
}

export function cText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
