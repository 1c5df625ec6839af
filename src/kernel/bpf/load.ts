// SPDX-License-Identifier: Apache-2.0
/** Loading programs and their types: the verifier is asked for its log only after it refused. */
import { release } from 'node:os';
import { KernelError } from '../../lib/errors.ts';
import { EAGAIN, ENOENT, ENOSPC } from '../sys/constants.ts';
import type { Fd } from '../sys/fd.ts';
import { errnoText } from '../sys/linux.ts';
import { BPF_BTF_LOAD, BPF_PROG_GET_FD_BY_ID, BPF_PROG_LOAD, bpfFd, type Field, objectInfo } from './call.ts';
import { instructionBytes, type ListedInstruction } from './instruction.ts';
import { objectName, objectNameBytes } from './map-spec.ts';
import { type ProgramType, programTypeNumbers } from './program-types.ts';

/** Before Linux 6.4 a longer log fails with ENOSPC; from then on its end is kept. */
const logBytes = 1 << 24;
/** Lines of the log that an error message shows; the error carries them all. */
const messageLines = 30;
const programInfoBytes = 80; // struct bpf_prog_info up to its name, Linux 4.15
const functionInfoBytes = 8; // struct bpf_func_info
const lineInfoBytes = 16; // struct bpf_line_info

const encoder = new TextEncoder();

/** A generated program. */
export interface Program {
  /** At most 15 of A-Z, a-z, 0-9, '_' and '.'. */
  readonly name: string;
  readonly instructions: Uint8Array;
  /** @defaultValue classifier */
  readonly type?: ProgramType;
  /** As `Assembler.listing` gives it: a refusal then names the instruction and its note. */
  readonly listing?: readonly ListedInstruction[];
}

/** What the verifier shall know of functions and source lines. */
export interface ProgramBtf {
  readonly fd: Fd;
  /** struct bpf_func_info, one after the other. */
  readonly functions: Uint8Array;
  /** struct bpf_line_info. */
  readonly lines: Uint8Array;
}

export interface ProgramSource {
  /** The kernel keeps 15 characters of it. */
  readonly name: string;
  readonly type: ProgramType;
  readonly instructions: Uint8Array;
  /** Under which helpers are chosen. @defaultValue GPL */
  readonly license?: string;
  readonly btf?: ProgramBtf;
  readonly listing?: readonly ListedInstruction[];
}

/** The verifier's reasons, instruction by instruction. */
export class VerifierError extends KernelError {
  readonly log: string;
  /** The last instruction that the log speaks of, if it does: where the verifier gave up. */
  readonly instruction: number | null;
  /** That one in the program's listing. */
  readonly listed: ListedInstruction | null;
  constructor(name: string, errno: number, log: string, listing: readonly ListedInstruction[] = []) {
    const instruction = lastInstruction(log);
    const listed = listing.findLast((line) => instruction !== null && line.index <= instruction) ?? null;
    const place = listed ? ` at ${listed.index}: ${listed.text}${listed.note && ` (${listed.note})`}` : '';
    super(`load program ${name}`, errno, `${errnoText(errno)}${place}\n${lastLines(log)}`);
    this.log = log;
    this.instruction = instruction;
    this.listed = listed;
  }
}

/** A classifier for tcx and clsact, under the GPL as far as helpers ask. @throws {VerifierError} {KernelError} */
export function loadClassifier(program: Program): Fd {
  return loadGenerated({ ...program, type: { kind: 'classifier' } });
}

/** @throws {VerifierError} {KernelError} */
export function loadGenerated(program: Program): Fd {
  if (!/^[A-Za-z0-9_.]{1,15}$/.test(program.name)) throw new TypeError(`program name ${program.name}`);
  return loadProgram({ ...program, type: program.type ?? { kind: 'classifier' } });
}

/** @throws {VerifierError} {KernelError} */
export function loadProgram(source: ProgramSource): Fd {
  const { type, expectedAttachType, flags } = programTypeNumbers(source.type);
  const fields: Field[] = [
    { at: 0, u32: type },
    { at: 4, u32: source.instructions.length / instructionBytes },
    { at: 8, pointer: source.instructions },
    { at: 16, pointer: encoder.encode(`${source.license ?? 'GPL'}\0`) },
    { at: 44, u32: flags },
    { at: 48, bytes: encoder.encode(objectName(source.name)) },
    { at: 68, u32: expectedAttachType },
    ...btfFields(source.btf),
  ];
  try {
    return patiently(() => bpfFd(`load program ${source.name}`, BPF_PROG_LOAD, fields));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return loadWithLog(source, fields, error.errno);
  }
}

/** The verifier gives up with EAGAIN when a signal comes (bpf_check, 6.18: do_check): that says nothing of the program. */
function patiently(load: () => Fd): Fd {
  for (let tries = 1; ; tries++) {
    try {
      return load();
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== EAGAIN || tries === maximumTries) throw error;
    }
  }
}

/** Libbpf takes 5 (sys_bpf_prog_load); under a profiler a thousand signals a second come. */
const maximumTries = 20;

function btfFields(btf: ProgramBtf | undefined): Field[] {
  if (!btf) return [];
  return [
    { at: 72, u32: btf.fd.number },
    { at: 76, u32: functionInfoBytes },
    { at: 80, pointer: btf.functions },
    { at: 88, u32: btf.functions.length / functionInfoBytes },
    { at: 92, u32: lineInfoBytes },
    { at: 96, pointer: btf.lines },
    { at: 104, u32: btf.lines.length / lineInfoBytes },
  ];
}

function loadWithLog(source: ProgramSource, fields: readonly Field[], firstErrno: number): Fd {
  const log = new Uint8Array(logBytes);
  try {
    const withLog: readonly Field[] = [
      ...fields,
      { at: 24, u32: 1 }, // log_level
      { at: 28, u32: log.length },
      { at: 32, pointer: log },
    ];
    return patiently(() => bpfFd(`load program ${source.name}`, BPF_PROG_LOAD, withLog));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const errno = error.errno === ENOSPC ? firstErrno : error.errno; // its log did not fit
    throw new VerifierError(source.name, errno, cText(log), source.listing);
  }
}

/** The types of an object. @throws {KernelError} with the kernel's reasons. */
export function loadBtf(bytes: Uint8Array): Fd {
  const operation = `load BTF of ${bytes.length} bytes`;
  const fields = [
    { at: 0, pointer: bytes },
    { at: 16, u32: bytes.length },
  ];
  try {
    return bpfFd(operation, BPF_BTF_LOAD, fields);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return loadBtfWithLog(operation, fields);
  }
}

function loadBtfWithLog(operation: string, fields: readonly Field[]): Fd {
  const log = new Uint8Array(logBytes);
  try {
    return bpfFd(operation, BPF_BTF_LOAD, [
      ...fields,
      { at: 8, pointer: log },
      { at: 20, u32: log.length },
      { at: 24, u32: 1 }, // btf_log_level
    ]);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const reason = `kernel ${release()} does not take these types: ${errnoText(error.errno)}`;
    throw new KernelError(operation, error.errno, `${reason}\n${lastLines(cText(log))}`);
  }
}

/** Name of a loaded program; null when it is gone. Needs CAP_SYS_ADMIN. */
export function programName(id: number): string | null {
  using fd = openProgram(id);
  if (!fd) return null;
  const info = objectInfo(`read program ${id}`, fd, programInfoBytes);
  return cText(new Uint8Array(info.buffer, 64, objectNameBytes));
}

function openProgram(id: number): Fd | null {
  try {
    return bpfFd(`open program ${id}`, BPF_PROG_GET_FD_BY_ID, [{ at: 0, u32: id }]);
  } catch (error) {
    if (error instanceof KernelError && error.errno === ENOENT) return null;
    throw error;
  }
}

/** Its id, for `programId` of a program array and for links. */
export function programIdOf(program: Fd): number {
  return objectInfo('read program', program, programInfoBytes).getUint32(4, true);
}

export function cText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The verifier prints `12: (85) call ...` or, with its registers, `12: R0=...`. */
function lastInstruction(log: string): number | null {
  const numbers = [...log.slice(-0x10000).matchAll(/^(\d+): [(R]/gm)];
  const last = numbers.at(-1)?.[1];
  return last === undefined ? null : Number(last);
}

function lastLines(log: string): string {
  const lines = log.trimEnd().split('\n');
  if (lines.length <= messageLines) return lines.join('\n');
  return [`(${lines.length - messageLines} lines before)`, ...lines.slice(-messageLines)].join('\n');
}
