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
import type { Work } from './node.ts';

/** Holds what should be and what was sent, and says the difference in an order that is safe at every message. */
export class Sequencer {
  readonly ipSets: IpSetOutput = new IpSetOutput();
  readonly policies: KeyedOutput<KeyPath, ResolvedPolicy> = new KeyedOutput();
  readonly profiles: KeyedOutput<string, ResolvedProfile> = new KeyedOutput();
  readonly endpoints: KeyedOutput<KeyPath, ResolvedEndpoint> = new KeyedOutput();
  readonly hostEndpoints: KeyedOutput<KeyPath, ResolvedHostEndpoint> = new KeyedOutput();
  readonly config: KeyedOutput<'config', DataplaneConfig> = new KeyedOutput();
  readonly routes: KeyedOutput<Cidr, Route> = new KeyedOutput();

  *flush(emit: (message: DataplaneMessage) => void): Work {
    yield* this.config.flushUpdates((_, config) => emit({ kind: 'config-update', config }));
    yield* this.ipSets.flushUpdates(emit);
    yield* this.policies.flushUpdates((id, policy) => emit({ kind: 'policy-update', id, policy }));
    yield* this.profiles.flushUpdates((name, profile) => emit({ kind: 'profile-update', name, profile }));
    yield* this.endpoints.flushUpdates((id, endpoint) => emit({ kind: 'endpoint-update', id, endpoint }));
    yield* this.hostEndpoints.flushUpdates((id, endpoint) =>
      emit({ kind: 'host-endpoint-update', id, endpoint }),
    );
    yield* this.hostEndpoints.flushRemovals((id) => emit({ kind: 'host-endpoint-remove', id }));
    yield* this.endpoints.flushRemovals((id) => emit({ kind: 'endpoint-remove', id }));
    yield* this.profiles.flushRemovals((name) => emit({ kind: 'profile-remove', name }));
    yield* this.policies.flushRemovals((id) => emit({ kind: 'policy-remove', id }));
    yield* this.ipSets.flushRemovals(emit);
    yield* this.routes.flushRemovals((dst) => emit({ kind: 'route-remove', dst }));
    yield* this.routes.flushUpdates((dst, route) => emit({ kind: 'route-update', dst, route }));
  }
}
