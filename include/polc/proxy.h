/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between polload and polproxy.
 *
 * polproxy has one listener a worker and address family: 127.0.0.1 and ::1, port
 * `port + worker`, IP_TRANSPARENT.  The data path picks the worker by the flow's
 * hash; kernels before 6.6 cannot assign sockets of an SO_REUSEPORT group.  The original
 * destination is the accepted socket's own name; who the client is and which rules
 * hold stand in proxy_flows (polc/abi.h) and nowhere else.
 *
 * Control: an AF_UNIX SOCK_SEQPACKET socket, mode 0600, in a folder of root's alone; peers
 * of another uid than 0 are refused.  One request a packet, one answer, in order.
 * Structs are free of padding; integers in host byte order.
 *
 * polload apply: LISTENERS; LOAD the new generation, flip `active`, and after its grace period
 * FORGET the old one.  A flow is judged by the generation that its entry
 * names.  Of a generation that is not loaded nothing is known: the request gets 503
 * and its connection closes.
 */
#ifndef POLC_PROXY_H
#define POLC_PROXY_H

#include <polc/abi.h>

#define POL_PROXY_VERSION 2u
#define POL_PROXY_PORT 15006u		/* default of the first worker's port */
#define POL_PROXY_WORKERS_MAX 64u
#define POL_PROXY_CONTROL "/run/polc/proxy.sock"
#define POL_PROXY_TEXT 1024

enum pol_proxy_op {
	POL_PROXY_HELLO = 1,	/* answers version, workers, port, in gen the uid of its workers; loaded generations in text;
				 * to a worker: accept now */
	POL_PROXY_LOAD = 2,	/* gen, and descriptors in the order of enum pol_proxy_fd */
	POL_PROXY_FORGET = 3,	/* gen */
	POL_PROXY_STATUS = 4,	/* answers counters as JSON in text */
	POL_PROXY_DRAIN = 5,	/* accepts no more, ends when the last request is done */
	POL_PROXY_WATCH = 6,	/* and one end of a SOCK_SEQPACKET pair: struct pol_proxy_request goes there */
	POL_PROXY_LISTENERS = 7,/* and POL_MAP_PROXY_LISTENERS, where it enters its listeners */
};

enum pol_proxy_fd {		/* map descriptors; read-only, or of a frozen map */
	POL_PROXY_FD_HTTP,	/* POL_MAP_HTTP; one of 0 bytes image size: no http rules */
	POL_PROXY_FD_EP_INFO,	/* POL_MAP_EP_INFO: names for the log */
	POL_PROXY_FD_EP_BY_ADDR,/* POL_MAP_EP_BY_ADDR: what the destination must not be */
	POL_PROXY_FD_FLOWS,	/* POL_MAP_PROXY_FLOWS */
	POL_PROXY_FDS
};

/*
 * A request that was judged, or what was none: one packet of what is used of this, to each
 * reader (WATCH) until its end closes.  A reader that is slow loses some, and is told how many with
 * the next that it gets.  Texts come from outside: any bytes, cut where they are long.
 */
enum pol_proxy_verdict {
	POL_PROXY_ALLOW, POL_PROXY_DENY,
	POL_PROXY_REFUSE,	/* not clean HTTP: 400 and the like */
	POL_PROXY_FAIL,		/* allowed, and then the server or a connection failed */
};
#define POL_PROXY_READERS 8
#define POL_PROXY_REQUEST_TEXT 1400
struct pol_proxy_request {
	__u64 time_ns;		/* CLOCK_MONOTONIC, of its end */
	__u64 gen;		/* that judged it; 0: none did */
	__u64 sent, received;	/* bytes to the server and from it */
	struct pol_addr src, dst;
	__be16 sport_be, dport_be;
	__u32 us;		/* that it took */
	__u32 rule;		/* of the policy; POL_NO_RULE: none decided */
	__u32 line;		/* of the generation's image; 0xffffffff: none matched */
	__u32 lost;		/* before this one */
	__u16 status;		/* answered; 0: none */
	__u8 verdict;		/* enum pol_proxy_verdict */
	__u8 direction;		/* enum pol_direction of the rule */
	__u16 method, host, path, why; /* lengths of the texts, one behind the other; why: of REFUSE and FAIL */
	char text[POL_PROXY_REQUEST_TEXT];
};

struct pol_proxy_msg {
	__u32 version;		/* POL_PROXY_VERSION */
	__u32 op;		/* enum pol_proxy_op */
	__u64 gen;
	__s32 status;		/* of an answer: 0 or -errno */
	__u16 port, workers;	/* of an answer; a worker: port numbers questions */
	char text[POL_PROXY_TEXT]; /* of an answer; NUL-terminated */
};

#endif
