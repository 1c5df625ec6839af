// SPDX-License-Identifier: Apache-2.0
import { AF_INET, SOCK_DGRAM, SOL_SOCKET } from './sys/constants.ts';
import { sys } from './sys/open.ts';

const SO_NETNS_COOKIE = 71; // include/uapi/asm-generic/socket.h, Linux 5.14

/** What names the calling thread's network namespace to programs (bpf_get_netns_cookie): no other ever has that number. */
export function netnsCookie(): bigint {
  using socket = sys.socket(AF_INET, SOCK_DGRAM, 0);
  const value = new Uint8Array(8);
  sys.getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, value);
  return new DataView(value.buffer).getBigUint64(0, true);
}
