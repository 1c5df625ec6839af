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
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { programIdOf } from '../../kernel/bpf/load.ts';
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
  /** Folder of the maps. */
  readonly #directory: string;
  readonly #pins: string;
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #objects: ReadonlyMap<ObjectName, LoadedObject>;
  readonly #stack: DisposableStack;
  readonly #places: readonly Place[];
  #isStale = true;

  private constructor(
    directory: string,
    maps: ReadonlyMap<string, BpfMap>,
    objects: ReadonlyMap<ObjectName, LoadedObject>,
    stack: DisposableStack,
  ) {
    this.#directory = directory;
    this.#pins = join(directory, `maps${layoutVersion}`);
    this.#maps = maps;
    this.#objects = objects;
    this.#stack = stack;
    this.#places = this.#listPlaces();
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
    for (const other of otherLayouts(directory)) carryOver(join(directory, other), maps);
    const loaded = new Map<ObjectName, LoadedObject>();
    for (const [name, object] of objects) loaded.set(name, stack.use(object.load({ maps })));
    const datapath = new Datapath(directory, maps, loaded, stack.move());
    datapath.apply();
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

  /** Someone else took a pin away, or wrote to a place of a C program. */
  differs(): boolean {
    return this.#unpinned().length > 0 || this.#places.some((place) => !isFilled(place));
  }

  queueResync(): void {
    this.#isStale = true;
  }

  /** @returns how many pins and places it had to put right. */
  apply(): number {
    if (!this.#isStale) return 0;
    this.#isStale = false;
    const unpinned = this.#unpinned();
    const empty = this.#places.filter((place) => !isFilled(place));
    if (unpinned.length > 0) mkdirSync(this.#pins, { recursive: true, mode: 0o700 });
    for (const [name, map] of unpinned) map.pin(join(this.#pins, name));
    for (const { map, index, program } of empty) map.setProgram(index, program);
    return unpinned.length + empty.length;
  }

  /** No link runs programs of another layout any more: what is left of it goes. @returns how many there were. */
  forgetOtherLayouts(): number {
    const others = otherLayouts(this.#directory);
    for (const other of others) rmSync(join(this.#directory, other), { recursive: true });
    return others.length;
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }

  /** Maps that an agent after us would not find. */
  #unpinned(): readonly (readonly [string, BpfMap])[] {
    const pinned = new Set(existsSync(this.#pins) ? readdirSync(this.#pins) : []);
    return [...this.#maps].filter(([name]) => !pinned.has(name));
  }

  #listPlaces(): readonly Place[] {
    const programs = this.map('programs');
    const untracked = this.map('untracked');
    const names = Object.entries(programIndex).filter(([name]) => name !== 'firstPolicy');
    return [
      ...names.map(([name, index]) => placeOf(programs, index, this.program('classifier', name))),
      placeOf(untracked, untrackedPlaces.denied, this.program('untracked', 'xdp_denied')),
      placeOf(untracked, untrackedPlaces.passed, this.program('untracked', 'xdp_passed')),
    ];
  }
}

/** Where a C program stands in an array of programs. */
interface Place {
  readonly map: BpfMap;
  readonly index: number;
  readonly program: Fd;
  readonly programId: number;
}

function placeOf(map: BpfMap, index: number, program: Fd): Place {
  return { map, index, program, programId: programIdOf(program) };
}

function isFilled({ map, index, programId }: Place): boolean {
  return map.programId(index) === programId;
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

/** Folders of agents before us whose maps look otherwise. */
function otherLayouts(directory: string): readonly string[] {
  return readdirSync(directory).filter((name) => /^maps\d+$/.test(name) && name !== `maps${layoutVersion}`);
}

/** Rows of maps whose keys and values are as long as ours; whoever changes a layout at the same length writes them anew here. */
function carryOver(from: string, maps: ReadonlyMap<string, BpfMap>): void {
  for (const name of carried) {
    const map = maps.get(name);
    using before = BpfMap.openPin(join(from, name));
    if (map && before && sameRows(before.info, map.info)) map.setMany(before.entries());
  }
}

function sameRows(a: MapSpec, b: MapSpec): boolean {
  return a.keySize === b.keySize && a.valueSize === b.valueSize;
}
