// SPDX-License-Identifier: Apache-2.0
/** The check of a kind, made once, when the first of that kind comes: most runs see few kinds. */

import type { KindRow } from '../kinds.ts';
import { schemaOf } from '../schema/catalogue.ts';
import type { Schema } from '../schema/schema.ts';
import type { ResourceKind } from '../types.ts';
import { type Beside, beside } from './calico.ts';
import { type Check, every } from './check.ts';
import { openShapes } from './kubernetes.ts';
import { dnsNameText, metadata } from './names.ts';
import { compileSchema, isWithin } from './structural.ts';
import { compileTransitions, type Transition } from './transitions.ts';

const shapes = new Map<ResourceKind, Check>();
const transitions = new Map<ResourceKind, Transition | null>();

export function shapeOf(row: KindRow): Check {
  let shape = shapes.get(row.kind);
  if (!shape) {
    shape = makeShape(row);
    shapes.set(row.kind, shape);
  }
  return shape;
}

function makeShape(row: KindRow): Check {
  const { kind } = row;
  const schema = schemaOf(kind);
  if (schema && kind in beside) return closedShape(row, schema, beside[kind as keyof typeof beside]);
  return openShapes[kind as keyof typeof openShapes];
}

function closedShape(row: KindRow, schema: Schema, { name = dnsNameText, checks = [] }: Beside): Check {
  // Kubernetes may add to its own metadata some day.
  const open = !row.apiVersion.startsWith('projectcalico.org/');
  const written = metadata(name, { namespaced: row.namespaced, open });
  return afterSchema(compileSchema(schema, { metadata: written }), every(...checks));
}

/** What the schema refused is not told a second time in other words. */
function afterSchema(schema: Check, checks: Check): Check {
  return (value, path, report) => {
    const refused: string[] = [];
    schema(value, path, (at, message) => {
      refused.push(at);
      report(at, message);
    });
    checks(value, path, (at, message) => {
      if (!refused.some((outer) => isWithin(at, outer))) report(at, message);
    });
  };
}

/** What may not follow what; null if anything may. */
export function transitionOf(kind: ResourceKind): Transition | null {
  let transition = transitions.get(kind);
  if (transition === undefined) {
    const schema = schemaOf(kind);
    transition = schema && compileTransitions(schema);
    transitions.set(kind, transition);
  }
  return transition;
}
