// SPDX-License-Identifier: Apache-2.0
/** An explanation as people read it: the verdict first, then tier by tier what was asked and what decided. */
import { assertNever } from '../lib/errors.ts';
import { protocolName } from '../lib/protocol.ts';
import type { PolicyStep, ProfileStep, RuleHit, TierStep, TraceStep } from '../observe/evaluate.ts';
import type { EndVerdict, Explanation } from '../observe/explain.ts';

export function explanationText(explanation: Explanation, from: string, to: string): string {
  const { packet, allowed, sameEndpoint } = explanation;
  const port = packet.dstPort === undefined ? '' : ` port ${packet.dstPort}`;
  const ends = `${named(from, packet.src)} -> ${named(to, packet.dst)}`;
  const verdict = allowed ? 'allowed' : 'denied';
  const lines = [`${ends}, ${protocolName(packet.protocol)}${port}: ${verdict}`];
  if (sameEndpoint)
    lines.push('', 'both ends are one pod: such packets never leave it, and no policy looks at them');
  const { egress, ingress } = explanation;
  if (egress) lines.push('', ...endLines('egress of', egress));
  else if (!sameEndpoint)
    lines.push('', `egress of ${from}: it is no pod, so no policy looks at what it sends`);
  if (ingress) lines.push('', ...endLines('ingress of', ingress));
  else if (!sameEndpoint)
    lines.push('', `ingress of ${to}: it is no pod, so no policy looks at what it is sent`);
  return `${lines.join('\n')}\n`;
}

function named(text: string, address: string): string {
  return text === address ? text : `${text} (${address})`;
}

function endLines(title: string, end: EndVerdict): readonly string[] {
  const verdict = end.verdict === 'allow' ? 'allowed' : 'denied';
  return [`${title} ${end.name}: ${verdict}`, ...end.trace.flatMap(stepLines).map((line) => `  ${line}`)];
}

function stepLines(step: TraceStep): readonly string[] {
  switch (step.step) {
    case 'gate':
      return [
        step.reason === 'admin-down'
          ? 'the endpoint is down: denied'
          : 'the source is not its own address: denied',
      ];
    case 'tier':
      return tierLines(step);
    case 'profile':
      return profileLines(step);
    case 'end':
      return ['no profile matched: denied'];
    default:
      return assertNever(step);
  }
}

function tierLines(step: TierStep): readonly string[] {
  const policies = step.policies.flatMap((policy) => policyLines(policy).map((line) => `  ${line}`));
  const outcomes = { allow: 'allowed', deny: 'denied', pass: 'handed on to the next tier' };
  const end =
    step.decidedBy === 'default-action'
      ? [`  end of tier, its default action: ${outcomes[step.outcome]}`]
      : [];
  return [`tier ${step.tier}`, ...policies, ...end];
}

function policyLines(step: PolicyStep): readonly string[] {
  if (step.rules.length === 0) return [`${step.policy}: no rule matched`];
  return step.rules.map((rule) => `${step.policy}: ${ruleText(rule)}`);
}

function profileLines(step: ProfileStep): readonly string[] {
  if (step.missing) return [`profile ${step.profile}: does not exist, so it denies`];
  if (step.rules.length === 0) return [`profile ${step.profile}: no rule matched`];
  return step.rules.map((rule) => `profile ${step.profile}: ${ruleText(rule)}`);
}

function ruleText(rule: RuleHit): string {
  const verbs = { allow: 'allows', deny: 'denies', pass: 'passes to the next tier', log: 'logs' };
  const place = rule.origin ? `  (${rule.origin.file}:${rule.origin.line})` : '';
  return `rule ${rule.index} ${verbs[rule.action]}${place}`;
}
