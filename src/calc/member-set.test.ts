// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Cidr } from '../lib/brand.ts';
import { cidrContains, parseCidr } from '../lib/cidr.ts';
import { NetMembers } from './member-set.ts';

// Few bits that differ, at both ends and across the words of IPv6, so that CIDRs nest often.
const v4 = fc
  .tuple(
    fc.constantFrom(0, 10, 11, 128, 255),
    fc.constantFrom(0, 1, 128),
    fc.nat(3),
    fc.constantFrom(0, 1, 4, 7, 8, 9, 24, 31, 32),
  )
  .map(([a, b, d, length]) => parseCidr(`${a}.${b}.0.${d}/${length}`));
const v6 = fc
  .tuple(
    fc.constantFrom('', 'fd00', '8000'),
    fc.constantFrom('0', '1', '8000'),
    fc.nat(3),
    fc.constantFrom(0, 1, 16, 32, 33, 64, 96, 127, 128),
  )
  .map(([a, b, d, length]) => parseCidr(`${a || '0'}:${b}::${b}:${d}/${length}`));
const cidr = fc.oneof(v4, v6);

test('after every change the visible members are the outermost of what is counted', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(cidr, fc.boolean()), { maxLength: 40 }), (changes) => {
      const visible = new Set<string>();
      const members = new NetMembers({
        onMemberAdded: (member) => assert.ok(!visible.has(member) && visible.add(member)),
        onMemberRemoved: (member) => assert.ok(visible.delete(member)),
      });
      const counted: Cidr[] = [];
      for (const [net, isAdd] of changes) {
        const at = counted.indexOf(net);
        if (isAdd) {
          members.add(net);
          counted.push(net);
        } else if (at >= 0) {
          members.remove(net);
          counted.splice(at, 1);
        }
        assert.deepEqual([...visible].sort(), outermost(counted));
        assert.deepEqual([...members.members()].sort(), outermost(counted));
      }
    }),
    { numRuns: 300 },
  );
});

test('taking away what was never there is a bug, not a state', () => {
  const members = new NetMembers({ onMemberAdded: () => {}, onMemberRemoved: () => {} });
  assert.throws(() => members.remove(parseCidr('10.0.0.1')), RangeError);
});

function outermost(nets: readonly Cidr[]): string[] {
  const halves = nets.flatMap((net) => {
    if (net === '0.0.0.0/0') return [parseCidr('0.0.0.0/1'), parseCidr('128.0.0.0/1')];
    return net === '::/0' ? [parseCidr('::/1'), parseCidr('8000::/1')] : [net];
  });
  const unique = [...new Set(halves)];
  return unique.filter((net) => !unique.some((other) => other !== net && cidrContains(other, net))).sort();
}
