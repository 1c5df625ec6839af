// SPDX-License-Identifier: Apache-2.0
import type { Update } from '../../src/model/types.ts';

/** What the cluster holds at one time, by kind and path. */
export type StateInputs = ReadonlyMap<string, Update>;

/** Updates that lead to a state; flushed after each batch. */
export interface Step<S> {
  readonly state: S;
  readonly batches: readonly (readonly Update[])[];
}

/** One way to live through a sequence of states (Felix, calc_graph_fv_test.go). */
export interface Expansion {
  readonly name: string;
  expand<S extends { readonly inputs: StateInputs }>(states: readonly S[], empty: S): Step<S>[];
}

export const expansions: readonly Expansion[] = [
  { name: 'as written', expand: (states, empty) => stepsOf(states, empty) },
  {
    name: 'keys reversed',
    expand: (states, empty) =>
      stepsOf(states, empty).map((step) => ({
        ...step,
        batches: step.batches.map((batch) => batch.toReversed()),
      })),
  },
  { name: 'states reversed', expand: (states, empty) => stepsOf(states.toReversed(), empty) },
  {
    name: 'empty between',
    expand: (states, empty) =>
      stepsOf(
        states.flatMap((state) => [state, empty]),
        empty,
      ),
  },
  {
    name: 'one key at a time',
    expand: (states, empty) =>
      stepsOf(states, empty).map((step) => ({
        ...step,
        batches: step.batches.flat().map((update) => [update]),
      })),
  },
  {
    name: 'squashed',
    expand: (states, empty) => {
      const steps = stepsOf(states, empty);
      const last = steps.at(-1);
      return last ? [{ state: last.state, batches: [steps.flatMap((step) => step.batches.flat())] }] : [];
    },
  },
];

function stepsOf<S extends { readonly inputs: StateInputs }>(states: readonly S[], empty: S): Step<S>[] {
  let before = empty.inputs;
  return states.map((state) => {
    const batch = difference(before, state.inputs);
    before = state.inputs;
    return { state, batches: [batch] };
  });
}

/** Also repeats what did not change, as streams do. */
function difference(before: StateInputs, after: StateInputs): Update[] {
  const gone = [...before].filter(([key]) => !after.has(key)).map(([, update]) => absent(update));
  return [...after.values(), ...gone];
}

export function absent(update: Update): Update {
  return { ...update, value: null };
}
