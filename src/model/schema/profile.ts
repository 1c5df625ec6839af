// SPDX-License-Identifier: Apache-2.0
/** Profile: rules and labels that its endpoints inherit. */
import { anyText, object, resource } from './fragments.ts';
import { rules } from './policy-rule.ts';
import type { Schema } from './schema.ts';

export const profile: Schema = resource(
  object({
    ingress: rules,
    egress: rules,
    labelsToApply: { type: 'object', additionalProperties: anyText, format: 'inherited-labels' },
  }),
);
