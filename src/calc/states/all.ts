// SPDX-License-Identifier: Apache-2.0
import { hostStates } from './hosts.ts';
import { labelStates } from './labels.ts';
import { orderStates } from './order.ts';
import { routeStates } from './routes.ts';
import { serviceStates } from './services.ts';
import { setStates } from './sets.ts';
import { stagedStates } from './staged.ts';
import { emptyState, type State } from './state.ts';

/** Every state of every file, the empty one first. */
export const allStates: readonly State[] = [
  emptyState,
  ...labelStates,
  ...setStates,
  ...orderStates,
  ...hostStates,
  ...stagedStates,
  ...serviceStates,
  ...routeStates,
];
