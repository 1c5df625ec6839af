// SPDX-License-Identifier: Apache-2.0
/** Numbers of the Linux ABI that sys and its callers share. The same on x86-64 and arm64 unless said otherwise. */

/** include/linux/socket.h */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

/** include/uapi/asm-generic/socket.h */
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_BINDTODEVICE = 25;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;

/** include/linux/socket.h, include/uapi/linux/netlink.h */
export const SOL_NETLINK = 270;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;

/** include/uapi/asm-generic/poll.h */
export const POLLIN = 0x1;
export const POLLOUT = 0x4;

/** include/uapi/asm-generic/fcntl.h */
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_CLOEXEC = 0o2000000;

/** include/uapi/asm-generic/mman-common.h, include/uapi/linux/mman.h */
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;

/** include/uapi/linux/sched.h */
export const CLONE_NEWNET = 0x40000000;

/** include/uapi/linux/mount.h and include/linux/fs.h */
export const MS_BIND = 4096;
export const MNT_DETACH = 2;

/** include/uapi/asm-generic/errno-base.h and errno.h: those that code here reacts to. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const E2BIG = 7;
export const EAGAIN = 11;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ENOLINK = 67;
export const EMSGSIZE = 90;
export const EADDRNOTAVAIL = 99;
export const ENETUNREACH = 101;
export const ENOBUFS = 105;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EINPROGRESS = 115;
/** include/linux/errno.h: the kernel's own, which libc cannot name; bpf(2) lets it out. */
export const ENOTSUPP = 524;
