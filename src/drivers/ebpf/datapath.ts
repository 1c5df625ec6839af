// SPDX-License-Identifier: Apache-2.0
/**
 * The programs of bpf/ in the kernel, and the maps that they share.
 *
 * Owns:       every map, pinned in one directory, and the C programs' places in `programs`.
 * Takes in:   the objects that clang made of bpf/*.c, sizes. Gives out: maps by name, descriptors of programs.
 * Invariants: a pinned map of the wanted layout is adopted with all it holds; one of another size is copied into a new one first,
 *             and one of another layout version stays where it is until its flows were carried over. Places are filled before
 *             any link runs a program that calls them; places that a program replaced call into the same maps.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap } from '../../kernel/bpf/map.ts';
import { type MapSpec, mapDifferences } from '../../kernel/bpf/map-spec.ts';
import { type BpfObject, type LoadedObject, parseObject } from '../../kernel/bpf/object.ts';
import type { Fd } from '../../kernel/sys/fd.ts';
import { NotFoundError } from '../../lib/errors.ts';
import { programIndex } from './layout.ts';

/** Goes up when a key or value that is carried over changes its layout in bpf/types.h. */
const layoutVersion = 1;

const objectNames = ['classifier', 'sweep', 'untracked', 'balancer'] as const;
type ObjectName = (typeof objectNames)[number];

/** What a larger or smaller map is filled with from the one before; all others are written anew from what is wanted. */
const carried: readonly string[] = ['flows', 'affinities', 'sockets', 'fragments', 'rule_hits'];

export type MapSizes = { readonly [map: string]: number };

export class Datapath implements Disposable {
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #objects: ReadonlyMap<ObjectName, LoadedObject>;
  readonly #stack: DisposableStack;

  private constructor(
    maps: ReadonlyMap<string, BpfMap>,
    objects: ReadonlyMap<ObjectName, LoadedObject>,
    stack: DisposableStack,
  ) {
    this.#maps = maps;
    this.#objects = objects;
    this.#stack = stack;
  }

  /** @param directory - on a bpffs; made if missing. @throws {NotFoundError} when the objects were not built. {VerifierError} {KernelError} */
  static open(directory: string, sizes: MapSizes = {}): Datapath {
    using stack = new DisposableStack();
    const objects = new Map(objectNames.map((name) => [name, parseObject(readObject(name))]));
    const pins = join(directory, `maps${layoutVersion}`);
    mkdirSync(pins, { recursive: true, mode: 0o700 });
    const maps = new Map<string, BpfMap>();
    for (const spec of specsOf(objects.values(), sizes)) {
      maps.set(spec.name, stack.use(openMap(join(pins, spec.name), spec)));
    }
    const loaded = new Map<ObjectName, LoadedObject>();
    for (const [name, object] of objects) loaded.set(name, stack.use(object.load({ maps })));
    const datapath = new Datapath(maps, loaded, stack.move());
    datapath.#fillPlaces();
    return datapath;
  }

  map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (!map) throw new NotFoundError(`no map ${name}`);
    return map;
  }

  program(object: ObjectName, name: string): Fd {
    const loaded = this.#objects.get(object);
    if (!loaded) throw new NotFoundError(`no object ${object}`);
    return loaded.program(name);
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }

  #fillPlaces(): void {
    const programs = this.map('programs');
    for (const [name, index] of Object.entries(programIndex)) {
      if (name !== 'firstPolicy') programs.setProgram(index, this.program('classifier', name));
    }
    const untracked = this.map('untracked');
    untracked.setProgram(untrackedPlaces.denied, this.program('untracked', 'xdp_denied'));
    untracked.setProgram(untrackedPlaces.passed, this.program('untracked', 'xdp_passed'));
  }
}

/** bpf/untracked.c */
const untrackedPlaces = { denied: 1, passed: 2 } as const;

function readObject(name: ObjectName): Uint8Array {
  const file = new URL(`../../../bpf/build/${name}.o`, import.meta.url);
  if (existsSync(file)) return readFileSync(file);
  throw new NotFoundError(`${file.pathname} is not there: the eBPF programs were not built, want "make"`);
}

function specsOf(objects: Iterable<BpfObject>, sizes: MapSizes): readonly MapSpec[] {
  const specs = new Map<string, MapSpec>();
  for (const { maps } of objects) {
    for (const { name, spec } of maps)
      specs.set(name, { ...spec, maxEntries: sizes[name] ?? spec.maxEntries });
  }
  return [...specs.values()];
}

function openMap(path: string, spec: MapSpec): BpfMap {
  const found = BpfMap.openPin(path);
  if (found && mapDifferences(found.info, spec).length === 0) return found;
  const made = BpfMap.create(spec);
  if (found) {
    if (carried.includes(spec.name) && sameRows(found.info, spec)) made.setMany(found.entries());
    found.close();
    rmSync(path);
  }
  made.pin(path);
  return made;
}

function sameRows(a: MapSpec, b: MapSpec): boolean {
  return a.keySize === b.keySize && a.valueSize === b.valueSize;
}
