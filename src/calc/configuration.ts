// SPDX-License-Identifier: Apache-2.0
import type { DataplaneConfig, FailsafePort } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import { tryParseCidr } from '../lib/cidr.ts';
import { parseProtocol, protocolNumbers } from '../lib/protocol.ts';
import { effectiveValue, type LocalWords, type Setting, settingsOf } from '../model/felix/settings.ts';
import { listAt, member, textAt } from '../model/json.ts';
import type { FelixConfigurationValue, Json, NodeValue } from '../model/types.ts';
import type { CalcNode, Change, Work } from './node.ts';
import type { Sequencer } from './sequencer.ts';

/** The settings of this node, from what is stored for all, for some and for it, and from its own file and environment. */
export class Configuration implements CalcNode {
  readonly name = 'configuration';
  readonly consumes = ['FelixConfiguration', 'Node'] as const;
  readonly feeds = ['sequencer'] as const;
  readonly localEndpointsOnly = false;
  readonly #node: string;
  readonly #local: LocalWords;
  readonly #sequencer: Sequencer;
  readonly #configurations = new Map<KeyPath, FelixConfigurationValue>();
  /** What is told of this node, by path: the first counts. */
  readonly #told = new Map<KeyPath, NodeValue>();
  #settings: ReadonlyMap<string, Setting> = new Map();
  #isDirty = true;

  constructor(node: string, local: LocalWords, sequencer: Sequencer) {
    this.#node = node;
    this.#local = local;
    this.#sequencer = sequencer;
  }

  onChange(change: Change): void {
    if (change.kind === 'FelixConfiguration') replace(this.#configurations, change.path, change.value);
    else if (change.kind === 'Node' && (change.value ?? change.previous)?.name === this.#node)
      replace(this.#told, change.path, change.value);
    else return;
    this.#isDirty = true;
  }

  *flush(): Work {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const [first] = [...this.#told].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#settings = settingsOf({
      node: this.#node,
      labels: first?.[1].labels ?? {},
      configurations: [...this.#configurations.values()],
      local: this.#local,
    });
    this.#sequencer.config.set('config', dataplaneConfig(this.#settings));
  }

  /** As of the last flush. */
  settings(): readonly Setting[] {
    return [...this.#settings.values()];
  }
}

function replace<V>(map: Map<KeyPath, V>, path: KeyPath, value: V | null): void {
  if (value) map.set(path, value);
  else map.delete(path);
}

function dataplaneConfig(settings: ReadonlyMap<string, Setting>): DataplaneConfig {
  const value = (name: string) => effectiveValue(settings, name);
  const action = String(value('defaultEndpointToHostAction')).toLowerCase();
  return {
    endpointToHost: action === 'accept' || action === 'return' ? action : 'drop',
    failsafeInbound: failsafes(value('failsafeInboundHostPorts')),
    failsafeOutbound: failsafes(value('failsafeOutboundHostPorts')),
    vxlanFromWorkloads: value('allowVXLANPacketsFromWorkloads') === true,
    ipipFromWorkloads: value('allowIPIPPacketsFromWorkloads') === true,
    vxlanPort: Number(value('vxlanPort')),
    dropInvalid: value('disableConntrackInvalidCheck') !== true,
    logPrefix: String(value('logPrefix')),
  };
}

/** Valid: they were checked when they were read. */
function failsafes(value: Json): readonly FailsafePort[] {
  return listAt({ value }, 'value').map((each) => {
    const net = tryParseCidr(textAt(each, 'net'));
    const protocol = textAt(each, 'protocol');
    return {
      protocol: protocol === '' ? protocolNumbers.TCP : parseProtocol(protocol),
      port: Number(member(each, 'port')),
      ...(net ? { net } : {}),
    };
  });
}
