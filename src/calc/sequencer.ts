// SPDX-License-Identifier: Apache-2.0
import type {
  DataplaneConfig,
  DataplaneMessage,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  Route,
} from '../contract/dataplane.ts';
import type { Cidr, KeyPath } from '../lib/brand.ts';
import { IpSetOutput } from './ip-set-output.ts';
import { KeyedOutput } from './keyed-output.ts';

/** Holds what should be and what was sent, and says the difference in an order that is safe at every message. */
export class Sequencer {
  readonly ipSets: IpSetOutput = new IpSetOutput();
  readonly policies: KeyedOutput<KeyPath, ResolvedPolicy> = new KeyedOutput();
  readonly profiles: KeyedOutput<string, ResolvedProfile> = new KeyedOutput();
  readonly endpoints: KeyedOutput<KeyPath, ResolvedEndpoint> = new KeyedOutput();
  readonly hostEndpoints: KeyedOutput<KeyPath, ResolvedHostEndpoint> = new KeyedOutput();
  readonly config: KeyedOutput<'config', DataplaneConfig> = new KeyedOutput();
  readonly routes: KeyedOutput<Cidr, Route> = new KeyedOutput();

  flush(emit: (message: DataplaneMessage) => void): void {
    this.config.flushUpdates((_, config) => emit({ kind: 'config-update', config }));
    this.ipSets.flushUpdates(emit);
    this.policies.flushUpdates((id, policy) => emit({ kind: 'policy-update', id, policy }));
    this.profiles.flushUpdates((name, profile) => emit({ kind: 'profile-update', name, profile }));
    this.endpoints.flushUpdates((id, endpoint) => emit({ kind: 'endpoint-update', id, endpoint }));
    this.hostEndpoints.flushUpdates((id, endpoint) => emit({ kind: 'host-endpoint-update', id, endpoint }));
    this.hostEndpoints.flushRemovals((id) => emit({ kind: 'host-endpoint-remove', id }));
    this.endpoints.flushRemovals((id) => emit({ kind: 'endpoint-remove', id }));
    this.profiles.flushRemovals((name) => emit({ kind: 'profile-remove', name }));
    this.policies.flushRemovals((id) => emit({ kind: 'policy-remove', id }));
    this.ipSets.flushRemovals(emit);
    this.routes.flushRemovals((dst) => emit({ kind: 'route-remove', dst }));
    this.routes.flushUpdates((dst, route) => emit({ kind: 'route-update', dst, route }));
  }
}
