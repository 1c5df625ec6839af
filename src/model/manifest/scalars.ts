// SPDX-License-Identifier: Apache-2.0
/**
 * Plain scalars as Kubernetes reads them: sigs.k8s.io/yaml over go-yaml 2 (its resolve.go), which is YAML 1.1 but for:
 *
 * - no sexagesimal numbers: `20:30` stays text, so that a range of ports does;
 * - no timestamps, sets, ordered maps and pairs; dates stay text. Binary is refused, as no field of ours is binary;
 * - underscores may stand anywhere in a number after its first digit; `089` is the number 89, `0o17` is 15.
 *
 * Booleans are y, yes, true, on and their opposites in three spellings; `<<` merges, see node-value.ts.
 */
import { type ScalarTag, Schema } from 'yaml';

const prefix = 'tag:yaml.org,2002:';

const nothing: ScalarTag = {
  tag: `${prefix}null`,
  default: true,
  test: /^(?:~|[Nn]ull|NULL)?$/,
  resolve: () => null,
  identify: (value) => value === null,
  stringify: () => 'null',
};

const yes: ScalarTag = {
  tag: `${prefix}bool`,
  default: true,
  test: /^(?:[Yy]|[Yy]es|YES|[Tt]rue|TRUE|[Oo]n|ON)$/,
  resolve: () => true,
  identify: (value) => value === true,
  stringify: () => 'true',
};

const no: ScalarTag = {
  tag: `${prefix}bool`,
  default: true,
  test: /^(?:[Nn]|[Nn]o|NO|[Ff]alse|FALSE|[Oo]ff|OFF)$/,
  resolve: () => false,
  identify: (value) => value === false,
  stringify: () => 'false',
};

/** The radix is told by the text, as Go's ParseInt with base 0 does. */
const integer: ScalarTag = {
  tag: `${prefix}int`,
  default: true,
  test: /^[-+]?(?:0_*[bB]_*[01][01_]*|0_*[xX]_*[0-9a-fA-F][0-9a-fA-F_]*|0_*[oO]_*[0-7][0-7_]*|0[0-7_]*|[1-9][0-9_]*)$/,
  resolve: (text, onError) => {
    const { sign, digits } = integerParts(text.replaceAll('_', ''));
    const value = Number(digits);
    if (!isKept(value, digits))
      onError(`got ${text.slice(0, 80)}, which a double cannot hold: it would be ${value}`);
    return sign * value || 0; // no -0: JSON has it, Go's integers do not
  },
};

/** Also numbers with a leading zero that are not octal. */
const float: ScalarTag = {
  tag: `${prefix}float`,
  default: true,
  test: /^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?$/,
  resolve: (text) => Number(text.replaceAll('_', '')),
  identify: (value) => typeof value === 'number',
  stringify: ({ value }) => JSON.stringify(value),
};

const notFinite: ScalarTag = {
  tag: `${prefix}float`,
  default: true,
  test: /^(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)$/,
  resolve: (text) => (/n/i.test(text.slice(-1)) ? Number.NaN : Number.POSITIVE_INFINITY),
};

/** It is that number, or prints as it is written. Infinity is told elsewhere. */
function isKept(value: number, digits: string): boolean {
  return !Number.isFinite(value) || String(value) === digits || BigInt(value) === BigInt(digits);
}

function integerParts(text: string): { sign: 1 | -1; digits: string } {
  const digits = text.replace(/^[-+]/, '');
  const isOctal = /^0[0-7]+$/.test(digits);
  return { sign: text.startsWith('-') ? -1 : 1, digits: isOctal ? `0o${digits}` : digits };
}

const customTags = [nothing, yes, no, integer, float, notFinite];

/** One for all documents: making it costs more than reading a small one. */
export const kubernetesSchema: Schema = new Schema({
  schema: 'failsafe',
  resolveKnownTags: false,
  customTags,
});

/** For writing: text is also quoted where only other readers of YAML 1.1 would take it for something else. */
export const printSchema: Schema = new Schema({ schema: 'failsafe', customTags, compat: 'yaml-1.1' });
