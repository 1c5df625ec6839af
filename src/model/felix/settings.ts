// SPDX-License-Identifier: Apache-2.0
/**
 * The settings that hold on one node: Felix's parameters from every layer, the strongest layer's word each.
 *
 * Owns:       the precedence default < global < selector < node < file < environment, and what an unreadable word means.
 * Takes in:   FelixConfiguration values, the node's labels, the words of file and environment.
 * Gives out:  for every parameter that any layer sets its value, where it comes from, what is wrong, what it does.
 * Invariants: pure; an unreadable value means the default, not the word of a weaker layer, as Felix has it.
 * Next:       parameters.ts reads one value; calc/configuration.ts gives data planes theirs.
 *
 * @see Calico documentation, "Configuring Felix": the order of sources
 */
import { compileMatch, runProgram } from '../selector/match.ts';
import { parseSelector } from '../selector/parse.ts';
import type { FelixConfigurationValue, Json } from '../types.ts';
import { type Effect, effectOf, type Parameter, parameterOf, readParameter } from './parameters.ts';

export type Source = 'default' | 'global' | 'selector' | 'node' | 'file' | 'environment';

export interface Setting {
  readonly name: string;
  readonly value: Json;
  readonly source: Source;
  readonly effect: Effect;
  /** Why the value is the default's and not what the source says. */
  readonly fault?: string;
}

/** Words under any spelling of a parameter's name. */
export interface LocalWords {
  readonly file: ReadonlyMap<string, string>;
  readonly environment: ReadonlyMap<string, string>;
}

export const noWords: LocalWords = { file: new Map(), environment: new Map() };

export interface SettingsOf {
  readonly node: string;
  readonly labels: { readonly [key: string]: string };
  readonly configurations: readonly FelixConfigurationValue[];
  readonly local: LocalWords;
}

/** By name, in order of names; parameters that no layer sets are left out. Unknown names come last, with a fault. */
export function settingsOf(of: SettingsOf): ReadonlyMap<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const [source, words] of layersOf(of)) {
    for (const [written, text] of words) {
      const setting = settingOf(source, written, text);
      settings.set(setting.name, setting);
    }
  }
  return new Map([...settings].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What the parameter holds: what is set, else its default. @throws {TypeError} when there is no such parameter. */
export function effectiveValue(settings: ReadonlyMap<string, Setting>, name: string): Json {
  const parameter = parameterOf(name);
  if (!parameter) throw new TypeError(`no parameter ${name}`);
  const setting = settings.get(name);
  return setting ? setting.value : parameter.fallback;
}

/** Weakest first. */
function layersOf({
  node,
  labels,
  configurations,
  local,
}: SettingsOf): [Source, Iterable<[string, string]>][] {
  const named = (name: string) =>
    configurations.find((each) => each.name === name && each.nodeSelector === null);
  const selected = configurations
    .filter(({ nodeSelector }) => nodeSelector !== null && matches(nodeSelector, labels))
    .sort((a, b) => compare(a.created, b.created) || compare(a.name, b.name));
  const words = (value: FelixConfigurationValue | undefined) => Object.entries(value?.parameters ?? {});
  return [
    ['global', words(named('default'))],
    ['selector', words(selected[0])],
    ['node', words(named(`node.${node}`))],
    ['file', local.file],
    ['environment', local.environment],
  ];
}

function settingOf(source: Source, written: string, text: string): Setting {
  const parameter = parameterOf(written);
  if (!parameter) {
    return { name: written, value: null, source, effect: 'none yet', fault: 'no parameter has that name' };
  }
  return {
    name: parameter.name,
    source,
    effect: effectOf(parameter.name),
    ...readIn(source, parameter, text),
  };
}

function readIn(source: Source, parameter: Parameter, text: string): { value: Json; fault?: string } {
  if (parameter.isLocal && source !== 'file' && source !== 'environment')
    return { value: parameter.fallback, fault: 'only the file and the environment may set it' };
  const read = readParameter(parameter, text);
  if ('value' in read) return read;
  return { value: parameter.fallback, fault: read.fault };
}

function matches(selector: string, labels: SettingsOf['labels']): boolean {
  return runProgram(compileMatch(parseSelector(selector).root), labels);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
