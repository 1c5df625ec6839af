// SPDX-License-Identifier: Apache-2.0
/** What tests and labs ask the server to do wrong. */

export type Fault =
  /** Answers instead of the request's own; `retryAfter` in seconds. */
  | { readonly type: 'answer'; readonly status: RefusalStatus; readonly retryAfter?: number }
  /** Takes the request and answers nothing. */
  | { readonly type: 'silence' }
  /** Answers late. */
  | { readonly type: 'delay'; readonly milliseconds: number }
  /** Ends the connection under the request. */
  | { readonly type: 'reset' }
  /** Does what is asked, and ends the connection instead of saying so. */
  | { readonly type: 'lost-answer' };

export type RefusalStatus = 401 | 403 | 409 | 429 | 500 | 503 | 504;

export interface FaultScope {
  /** HTTP methods; absent: all. */
  readonly methods?: readonly string[];
  /** Paths that begin so; absent: all. */
  readonly path?: string;
  /** true: watches alone, false: all but watches, absent: both. */
  readonly watch?: boolean;
}

/** The server's side of what faults do to connections and streams that are open. */
export interface OpenConnections {
  endWatches(): void;
  goAway(): void;
  setFrozen(frozen: boolean): void;
}

/** How events of watches reach their readers. */
export type EventFlow =
  | { readonly type: 'prompt' }
  /** Nothing comes, and the stream stays open. */
  | { readonly type: 'silent' }
  | { readonly type: 'late'; readonly milliseconds: number };

export class Faults {
  #planned: { fault: Fault; scope: FaultScope; left: number }[] = [];
  #connections: OpenConnections | null = null;
  #events: EventFlow = { type: 'prompt' };

  /** The next `count` requests of that scope meet it. */
  next(fault: Fault, scope: FaultScope = {}, count = 1): void {
    this.#planned.push({ fault, scope, left: count });
  }

  /** Forgets what is planned; events are prompt again. */
  clear(): void {
    this.#planned = [];
    this.#events = { type: 'prompt' };
    this.#connections?.setFrozen(false);
  }

  /** All that are open, early, as a server that restarts does. */
  endWatches(): void {
    this.#connections?.endWatches();
  }

  /** HTTP/2's way to say that no new request is taken on a connection. */
  goAway(): void {
    this.#connections?.goAway();
  }

  /** Half-open: connections stay, and nothing is read or written on them. */
  freeze(): void {
    this.#connections?.setFrozen(true);
  }

  thaw(): void {
    this.#connections?.setFrozen(false);
  }

  get events(): EventFlow {
    return this.#events;
  }

  /** What happens meanwhile to a silent stream is lost to it. */
  set events(flow: EventFlow) {
    this.#events = flow;
  }

  attach(connections: OpenConnections): void {
    this.#connections = connections;
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
