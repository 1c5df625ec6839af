// SPDX-License-Identifier: Apache-2.0
/** What tests and labs ask the server to do wrong. */

export type Fault =
  /** Answers instead of the request's own; `retryAfter` in seconds. */
  | { readonly type: 'answer'; readonly status: 429 | 500 | 503; readonly retryAfter?: number }
  /** Takes the request and answers nothing. */
  | { readonly type: 'silence' }
  /** Answers late. */
  | { readonly type: 'delay'; readonly milliseconds: number }
  /** Ends the connection under the request. */
  | { readonly type: 'reset' };

export interface FaultScope {
  /** HTTP methods; absent: all. */
  readonly methods?: readonly string[];
  /** Paths that begin so; absent: all. */
  readonly path?: string;
  /** true: watches alone, false: all but watches, absent: both. */
  readonly watch?: boolean;
}

export class Faults {
  #planned: { fault: Fault; scope: FaultScope; left: number }[] = [];

  /** The next `count` requests of that scope meet it. */
  next(fault: Fault, scope: FaultScope = {}, count = 1): void {
    this.#planned.push({ fault, scope, left: count });
  }

  /** Forgets what is planned. */
  clear(): void {
    this.#planned = [];
  }

  take(request: { method: string; path: string; watch: boolean }): Fault | null {
    const found = this.#planned.find(({ scope, left }) => left > 0 && inScope(scope, request));
    if (!found) return null;
    found.left--;
    return found.fault;
  }
}

function inScope(scope: FaultScope, request: { method: string; path: string; watch: boolean }): boolean {
  if (scope.methods && !scope.methods.includes(request.method)) return false;
  if (scope.path !== undefined && !request.path.startsWith(scope.path)) return false;
  return scope.watch === undefined || scope.watch === request.watch;
}
