// SPDX-License-Identifier: Apache-2.0
/** `.BTF.ext`: which type each function has, and which source line each instruction comes from. */
import { InvalidError } from '../../lib/errors.ts';
import type { Btf } from './btf.ts';

const MAGIC = 0xeb9f;
const headerBytes = 24; // struct btf_ext_header up to the line information; what follows is for CO-RE
const recordBytes = { functions: 8, lines: 16 } as const; // struct bpf_func_info, struct bpf_line_info

export interface FunctionInfo {
  /** Bytes from the start of its section. */
  readonly offset: number;
  readonly type: number;
}

export interface LineInfo {
  readonly offset: number;
  /** Offsets of strings in the BTF. */
  readonly file: number;
  readonly text: number;
  /** Line and column as the kernel packs them. */
  readonly position: number;
}

/** By name of section. */
export interface BtfExt {
  readonly functions: ReadonlyMap<string, readonly FunctionInfo[]>;
  readonly lines: ReadonlyMap<string, readonly LineInfo[]>;
}

/** @throws {InvalidError} {RangeError} where it ends too soon. */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint16(0, true);
  const length = view.getUint32(4, true);
  if (magic !== MAGIC || length < headerBytes) {
    throw new InvalidError(
      `BTF.ext: got magic 0x${magic.toString(16)}, header of ${length} bytes, want 0xeb9f and 24`,
    );
  }
  checkNoCore(view, length);
  const part = (at: number) => ({
    start: length + view.getUint32(at, true),
    end: length + view.getUint32(at, true) + view.getUint32(at + 4, true),
  });
  return {
    functions: records(view, btf, part(8), recordBytes.functions, (at) => ({
      offset: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
    })),
    lines: records(view, btf, part(16), recordBytes.lines, (at) => ({
      offset: view.getUint32(at, true),
      file: view.getUint32(at + 4, true),
      text: view.getUint32(at + 8, true),
      position: view.getUint32(at + 12, true),
    })),
  };
}

/** Programs here touch only structures that the kernel keeps stable for user space. */
function checkNoCore(view: DataView, headerLength: number): void {
  const coreBytes = headerLength >= 32 ? view.getUint32(28, true) : 0;
  if (coreBytes === 0) return;
  throw new InvalidError(
    'BTF.ext: got relocations against the types of the kernel (CO-RE), want none: leave out preserve_access_index',
  );
}

/** Each part: the size of a record, then for each section its name, a count, and that many records. */
function records<T>(
  view: DataView,
  btf: Btf,
  part: { readonly start: number; readonly end: number },
  wanted: number,
  decode: (at: number) => T,
): Map<string, T[]> {
  const bySection = new Map<string, T[]>();
  if (part.start === part.end) return bySection;
  const size = view.getUint32(part.start, true);
  if (size < wanted) throw new InvalidError(`BTF.ext: got records of ${size} bytes, want at least ${wanted}`);
  for (let at = part.start + 4; at < part.end; ) {
    const section = btf.string(view.getUint32(at, true));
    const count = view.getUint32(at + 4, true);
    if (at + 8 + count * size > part.end) throw new RangeError(`${count} records of section ${section}`);
    bySection.set(
      section,
      Array.from({ length: count }, (_, i) => decode(at + 8 + i * size)),
    );
    at += 8 + count * size;
  }
  return bySection;
}
