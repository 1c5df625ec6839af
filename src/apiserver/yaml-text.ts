// SPDX-License-Identifier: Apache-2.0
/** YAML 1.1 as Kubernetes reads and writes it: `y` and `no` are booleans, but neither times nor base 60 exist. */
import { parse, type ScalarTag, stringify } from 'yaml';
import type { Json } from '../model/types.ts';

const unknownToKubernetes = new Set(['TIME']);

export function parseYaml(text: string): Json {
  const value: unknown = parse(text, {
    version: '1.1',
    merge: true,
    maxAliasCount: 100,
    customTags: (tags) =>
      tags.filter((tag) => {
        if (typeof tag === 'string') return tag !== 'timestamp' && tag !== 'intTime' && tag !== 'floatTime';
        const { tag: name, format } = tag as ScalarTag;
        return name !== 'tag:yaml.org,2002:timestamp' && !unknownToKubernetes.has(format ?? '');
      }),
  });
  return JSON.parse(JSON.stringify(value ?? null)) as Json;
}

export function yamlText(value: Json): string {
  return stringify(value, { version: '1.1', sortMapEntries: true, lineWidth: 0 });
}
