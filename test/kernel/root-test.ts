// SPDX-License-Identifier: Apache-2.0
/** A test against the real kernel, in network namespaces of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetNs } from '../../src/kernel/netns.ts';
import { openFds } from '../../src/kernel/sys/fd.ts';

export interface Rig {
  /** A fresh namespace that goes with the test. */
  netns(): NetNs;
  /** Closed at the end, last first. */
  use<T extends Disposable>(resource: T): T;
}

/** Skipped, with the reason, without root. Fails when the test leaves a descriptor open. */
export function rootTest(promise: string, run: (rig: Rig) => void | Promise<void>): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: network namespaces, netlink, bpf';
  test(promise, { skip }, async () => {
    const before = openFds();
    {
      using stack = new DisposableStack();
      await run({ netns: () => stack.use(NetNs.anonymous()), use: (resource) => stack.use(resource) });
    }
    assert.equal(openFds(), before, 'descriptors left open');
  });
}

/** The next turn of the event loop in which `done` holds; fails after ten seconds. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!done()) {
    assert.ok(Date.now() < deadline, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
