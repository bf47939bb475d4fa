/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host file: which machine this is, which endpoints live on it, and which
 * elsewhere.  YAML; everything that is unknown, twice there or out of range is
 * an error at file:line:column, and then nothing of the file is used.
 *
 *	host: node-1
 *	host_addresses: [192.0.2.1]		# besides those that the kernel knows
 *	uplinks: [eth0]
 *	direct: [eth0]				# of these: they send what XDP gives them, though no hardware
 *	endpoints:
 *	  - name: web-1
 *	    interface: veth-web1
 *	    addresses: [10.1.0.2, "fd00:1::2"]
 *	    labels: {app: frontend}
 *	    mac: 02:00:00:00:00:01		# optional
 *	remote:
 *	  - name: db-7				# optional: the first address
 *	    addresses: [10.2.0.7]
 *	    labels: {app: db}
 *	nodes:
 *	  - {name: node-2, addresses: [192.0.2.2]}
 *	balancers: [192.0.2.3]			# hosts that may send what a client sent to a VIP, encapsulated
 *				# or a prefix of at most 256: what one of them says in `tunnel_source`
 *	tunnel_source: [192.0.2.64/26]		# of what this host sends so: a prefix of each family, likewise
 *	proxy: {workers: 2, port: 15006, name_rules: false}	# of polproxy, if polload starts it;
 *							# table: 2004, priority: 9: of the way to it;
 *							# body_max: 1000000; timeout: {head: 10,
 *							# body: 20, idle: 75, connect: 5} in seconds
 *
 * Every key may be left out, except an endpoint's name, interface and
 * addresses, and the addresses of a remote and of a node (with its name).
 */
#ifndef PRT_HOSTFILE_H
#define PRT_HOSTFILE_H

#include <polc/abi.h>

#include "base/base.h"

#define PRT_NAME_MAX 63u	/* bytes of a name: fits pol_ep_info.name with its NUL */
#define PRT_IFNAME_MAX 15u	/* bytes of an interface's name, as the kernel has it */
#define PRT_LABEL_KEY_MAX 127u	/* bytes */
#define PRT_LABEL_VALUE_MAX 255u
#define PRT_ADDRESSES_MAX 64u	/* of one endpoint */
#define PRT_HOSTFILE_MAX (64u << 20)	/* bytes of a host file */

struct prt_label {
	struct pol_str key, value;	/* NUL-terminated; the value may be empty, the key not */
};

struct prt_endpoint {		/* local, or on another host */
	struct pol_str name;	/* NUL-terminated, unique among endpoints and remotes */
	struct pol_str interface; /* NUL-terminated; n == 0: remote */
	const struct prt_label *labels;	/* sorted by key, unique; they fit pol_ep_info.labels */
	size_t nlabels;
	const struct pol_ip *addrs;	/* in order of the text; at least one */
	size_t naddrs;
	bool has_mac;
	uint8_t mac[6];
	uint32_t line, column;	/* of its name (or first key), from 1; 0: from a command line */
};

struct prt_node {		/* another machine: POL_ENTITY_NODE */
	struct pol_str name;
	const struct pol_ip *addrs;
	size_t naddrs;
	uint32_t line, column;
};

/* What --timeout of polproxy can set; named as there. */
#define PRT_PROXY_TIMEOUTS 4
extern const char *const prt_proxy_timeout[PRT_PROXY_TIMEOUTS];

struct prt_hostfile {
	struct pol_arena *arena;	/* owns everything below */
	struct pol_str path;		/* as given, for messages */
	struct pol_str text;		/* the whole file */
	struct pol_str host;		/* n == 0: not said */
	const struct pol_ip *host_addrs;
	size_t nhost_addrs;
	const struct pol_str *uplinks;	/* NUL-terminated interface names */
	size_t nuplinks;
	const struct pol_str *direct;	/* likewise; each is one of `uplinks` too */
	size_t ndirect;
	const struct prt_endpoint *endpoints;	/* here */
	size_t nendpoints;
	const struct prt_endpoint *remotes;	/* elsewhere */
	size_t nremotes;
	const struct prt_node *nodes;
	size_t nnodes;
	uint32_t proxy_workers, proxy_port, proxy_table, proxy_priority; /* 0: not said */
	uint32_t proxy_body_max;	/* bytes; likewise */
	uint32_t proxy_timeout[PRT_PROXY_TIMEOUTS]; /* seconds; likewise */
	const struct pol_ip *balancers;
	size_t nbalancers;
	struct pol_prefix tunnel_source[2]; /* IPv4, IPv6; family 0: not said */
	bool proxy_name_rules;
};

/*
 * Reads and checks a host file.  -errno of the system, or -EINVAL for a
 * mistake in it: e->text is "PATH:LINE:COLUMN: message", e->help what to do.
 * *out is written on success only; free it with prt_hostfile_free.
 */
int prt_hostfile_read(const char *path, struct prt_hostfile **out, struct pol_err *e);
/* The same of text in memory; `path` is only for messages. */
int prt_hostfile_parse(const char *path, struct pol_str text, struct prt_hostfile **out,
		       struct pol_err *e);
void prt_hostfile_free(struct prt_hostfile *h);	/* NULL is fine */
void prt_hostfile_cleanup(struct prt_hostfile **h);

/*
 * One endpoint from a command line: NAME, then interface=IF, address=ADDR (one
 * or more), label=KEY=VALUE (any number), mac=MAC.  Checked as in a file, but
 * against nothing else: whether name, interface or address are in use is for
 * the caller, who holds the lock.  Memory of *out is the arena's.
 */
int prt_endpoint_parse(struct pol_arena *arena, const char *name, size_t nargs,
		       char *const *args, struct prt_endpoint *out, struct pol_err *e);

/*
 * Labels to and from pol_ep_info.labels ("key\0value\0..." ended by an empty
 * key).  They always fit when they come from this file.  Unpacking checks what
 * it reads (-EINVAL without a message) and sorts nothing.
 */
void prt_labels_pack(const struct prt_endpoint *ep, char out[POL_EP_LABELS]);
int prt_labels_unpack(struct pol_arena *arena, const char in[POL_EP_LABELS],
		      const struct prt_label **labels, size_t *nlabels);

/* As the maps have it: IPv4 as ::ffff:a.b.c.d; and back. */
struct pol_addr prt_addr_of_ip(struct pol_ip ip);
struct pol_ip prt_ip_of_addr(const struct pol_addr *a);

#endif
