/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* setns */
#endif
#include "kernflows.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/host/netlink.h"

static const int families[] = { AF_INET, AF_INET6 };

static struct pol_addr addr_of(int family, const void *be)
{
	struct pol_addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	if (family == AF_INET)
		memcpy(&a.b[12], be, 4);
	else
		memcpy(&a, be, 16);
	return a;
}

/* ---- connection tracking ---------------------------------------------------------------- */

struct tuple {
	struct pol_addr src, dst;
	__be16 sport_be, dport_be;
	uint8_t proto;
};

static bool take_bytes(const struct rtattr *a, void *out, size_t n)
{
	if (!a || RTA_PAYLOAD(a) < n)
		return false;
	memcpy(out, RTA_DATA(a), n);
	return true;
}

static bool read_tuple(const struct rtattr *in, int family, struct tuple *t)
{
	const struct rtattr *ip = prt_netlink_nested(in, CTA_TUPLE_IP);
	const struct rtattr *l4 = prt_netlink_nested(in, CTA_TUPLE_PROTO);
	bool v4 = family == AF_INET;
	size_t n = v4 ? 4 : 16;
	uint8_t src[16], dst[16];

	if (!take_bytes(prt_netlink_nested(ip, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC), src, n) ||
	    !take_bytes(prt_netlink_nested(ip, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST), dst, n) ||
	    !take_bytes(prt_netlink_nested(l4, CTA_PROTO_NUM), &t->proto, 1) ||
	    !take_bytes(prt_netlink_nested(l4, CTA_PROTO_SRC_PORT), &t->sport_be, 2) ||
	    !take_bytes(prt_netlink_nested(l4, CTA_PROTO_DST_PORT), &t->dport_be, 2))
		return false;
	t->src = addr_of(family, src);
	t->dst = addr_of(family, dst);
	return true;
}

static enum pol_ct_state tcp_state(uint8_t kernels)
{
	switch (kernels) {
	case TCP_CONNTRACK_SYN_SENT:
		return POL_CT_SYN_SENT;
	case TCP_CONNTRACK_SYN_RECV:
		return POL_CT_SYN_RECV;
	case TCP_CONNTRACK_ESTABLISHED:
		return POL_CT_ESTABLISHED;
	case TCP_CONNTRACK_FIN_WAIT:
	case TCP_CONNTRACK_CLOSE_WAIT:
	case TCP_CONNTRACK_LAST_ACK:
		return POL_CT_CLOSING;
	default:
		return POL_CT_FREE; /* over, or nothing that we know */
	}
}

static enum pol_ct_state state_of(const struct rtattr *a, int left, uint8_t proto)
{
	const struct rtattr *info = prt_netlink_find(a, left, CTA_PROTOINFO);
	uint32_t status_be = 0;
	uint8_t tcp = 0;

	if (proto == IPPROTO_TCP)
		return take_bytes(prt_netlink_nested(prt_netlink_nested(info, CTA_PROTOINFO_TCP),
						     CTA_PROTOINFO_TCP_STATE),
				  &tcp, 1)
			       ? tcp_state(tcp)
			       : POL_CT_FREE;
	if (proto != IPPROTO_UDP)
		return POL_CT_FREE;
	take_bytes(prt_netlink_find(a, left, CTA_STATUS), &status_be, sizeof(status_be));
	return ntohl(status_be) & IPS_SEEN_REPLY ? POL_CT_REPLYING : POL_CT_UNREPLIED;
}

static void push(prt_kernel_flows *out, const struct tuple *t, enum pol_ct_state state, bool direct)
{
	*pol_vec_push(out) = (struct prt_kernel_flow){ .src = t->src,
						       .dst = t->dst,
						       .sport_be = t->sport_be,
						       .dport_be = t->dport_be,
						       .proto = t->proto,
						       .state = (uint8_t)state,
						       .direct = direct };
}

static void take_conntrack(const struct nlmsghdr *h, void *ctx)
{
	const struct nfgenmsg *m = NLMSG_DATA(h);
	const struct rtattr *a = (const void *)((const char *)m + NLMSG_ALIGN(sizeof(*m)));
	struct tuple began, answers, seen;
	enum pol_ct_state state;
	bool direct;
	int left;

	if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) ||
	    h->nlmsg_len < NLMSG_SPACE(sizeof(*m)))
		return;
	left = (int)(h->nlmsg_len - NLMSG_SPACE(sizeof(*m)));
	if (!read_tuple(prt_netlink_find(a, left, CTA_TUPLE_ORIG), m->nfgen_family, &began) ||
	    !read_tuple(prt_netlink_find(a, left, CTA_TUPLE_REPLY), m->nfgen_family, &answers))
		return;
	state = state_of(a, left, began.proto);
	if (state == POL_CT_FREE)
		return;
	seen = (struct tuple){ .src = answers.dst,
			       .dst = answers.src,
			       .sport_be = answers.dport_be,
			       .dport_be = answers.sport_be,
			       .proto = answers.proto };
	direct = !memcmp(&seen.src, &began.src, sizeof(seen.src)) &&
		 !memcmp(&seen.dst, &began.dst, sizeof(seen.dst)) &&
		 seen.sport_be == began.sport_be && seen.dport_be == began.dport_be;
	push(ctx, &began, state, direct);
	if (!direct)
		push(ctx, &seen, state, false);
}

/* To ask a kernel without connection tracking would make it load the module. */
static bool is_tracking(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	unsigned long n = 0;

	if (!f)
		return false;
	if (fscanf(f, "%lu", &n) != 1)
		n = 0;
	fclose(f);
	return n > 0;
}

static void read_conntrack(prt_kernel_flows *out)
{
	int fd POL_CLEANUP(pol_cleanup_fd) =
		is_tracking() ? prt_netlink_open(NETLINK_NETFILTER) : -1;

	for (size_t i = 0; i < POL_ARRAY_LEN(families) && fd >= 0; i++) {
		struct {
			struct nlmsghdr head;
			struct nfgenmsg m;
		} q = { .head = { .nlmsg_len = sizeof(q),
				  .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
			.m = { .nfgen_family = (uint8_t)families[i], .version = NFNETLINK_V0 } };

		prt_netlink_ask(fd, &q.head, take_conntrack, out);
	}
}

/* ---- sockets ---------------------------------------------------------------------------------- */

/* Linux: include/net/tcp_states.h; the kernel gives them to user space by number only. */
enum {
	SK_ESTABLISHED = 1,
	SK_FIN_WAIT1 = 4,
	SK_FIN_WAIT2,
	SK_CLOSE_WAIT = 8,
	SK_LAST_ACK,
	SK_LISTEN
};

struct sockets {
	const struct prt_world *w;
	int32_t netns; /* whose sockets these are; -1: this namespace */
	const prt_links *links;
	uint8_t proto;
	bool listens[65536]; /* by port, host order */
	prt_kernel_flows found;
};

static bool leads_to(const struct sockets *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->links->n; i++) {
		if (s->links->v[i].ifindex == ifindex)
			return s->links->v[i].peer_netns == s->netns;
	}
	return false;
}

/* May a socket of this namespace speak for the address? */
static bool is_theirs(const struct sockets *s, const struct pol_addr *a)
{
	for (size_t i = 0; i < s->w->member.n && s->netns >= 0; i++) {
		const struct prt_member *m = &s->w->member.v[i];

		if (!m->info.ifindex || !leads_to(s, m->info.ifindex))
			continue;
		for (size_t k = 0; k < m->addrs.n; k++) {
			if (!memcmp(&m->addrs.v[k].addr, a, sizeof(*a)))
				return true;
		}
	}
	for (size_t i = 0; i < s->w->fixed.n && s->netns < 0; i++) {
		if (s->w->fixed.v[i].entity == POL_ENTITY_HOST &&
		    !memcmp(&s->w->fixed.v[i].addr, a, sizeof(*a)))
			return true;
	}
	return false;
}

static void take_socket(const struct nlmsghdr *h, void *ctx)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct sockets *s = ctx;
	struct tuple t;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	if (m->idiag_state == SK_LISTEN) {
		s->listens[ntohs(m->id.idiag_sport)] = true;
		return;
	}
	t = (struct tuple){ .src = addr_of(m->idiag_family, m->id.idiag_src),
			    .dst = addr_of(m->idiag_family, m->id.idiag_dst),
			    .sport_be = m->id.idiag_sport,
			    .dport_be = m->id.idiag_dport,
			    .proto = s->proto };
	if (!t.dport_be || !is_theirs(s, &t.src))
		return;
	if (s->proto == IPPROTO_UDP)
		push(&s->found, &t, POL_CT_REPLYING, true);
	else
		push(&s->found, &t,
		     m->idiag_state == SK_ESTABLISHED ? POL_CT_ESTABLISHED : POL_CT_CLOSING, true);
}

/* Whoever listens where his connection ends did not begin it. */
static void turn_round(struct sockets *s, prt_kernel_flows *out)
{
	for (size_t i = 0; i < s->found.n; i++) {
		struct prt_kernel_flow f = s->found.v[i];

		if (s->proto == IPPROTO_TCP && s->listens[ntohs(f.sport_be)]) {
			f.src = s->found.v[i].dst, f.dst = s->found.v[i].src;
			f.sport_be = s->found.v[i].dport_be, f.dport_be = s->found.v[i].sport_be;
		}
		*pol_vec_push(out) = f;
	}
	pol_vec_free(&s->found);
}

static void ask_sockets(int fd, struct sockets *s)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		struct {
			struct nlmsghdr head;
			struct inet_diag_req_v2 m;
		} q = { .head = { .nlmsg_len = sizeof(q),
				  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
			.m = { .sdiag_family = (uint8_t)families[i], .sdiag_protocol = s->proto } };

		q.m.idiag_states = 1u << SK_ESTABLISHED;
		if (s->proto == IPPROTO_TCP)
			q.m.idiag_states |= 1u << SK_FIN_WAIT1 | 1u << SK_FIN_WAIT2 |
					    1u << SK_CLOSE_WAIT | 1u << SK_LAST_ACK |
					    1u << SK_LISTEN;
		prt_netlink_ask(fd, &q.head, take_socket, s);
	}
}

static void read_sockets(const struct prt_world *w, const prt_links *links, int32_t netns, int fd,
			 prt_kernel_flows *out)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct sockets *s = calloc(1, sizeof(*s));

	for (size_t i = 0; i < POL_ARRAY_LEN(protos) && s; i++) {
		*s = (struct sockets){ .w = w, .netns = netns, .links = links, .proto = protos[i] };
		ask_sockets(fd, s);
		turn_round(s, out);
	}
	free(s);
}

/* In somebody else's network there is nothing left for us to do, not even to clean up. */
static _Noreturn void astray(void)
{
	static const char text[] =
		"polload: error: cannot return to this host's network namespace; the next run cleans up\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	abort();
}

/* A socket stays in the namespace in which it was made. */
static int open_in(int netns, int here)
{
	int fd;

	if (setns(netns, CLONE_NEWNET))
		return -1;
	fd = prt_netlink_open(NETLINK_SOCK_DIAG);
	if (setns(here, CLONE_NEWNET))
		astray();
	return fd;
}

typedef POL_VEC(ino_t) inodes;

static bool is_new(inodes *seen, int netns)
{
	struct stat st;

	if (fstat(netns, &st))
		return false;
	for (size_t i = 0; i < seen->n; i++) {
		if (seen->v[i] == st.st_ino)
			return false;
	}
	*pol_vec_push(seen) = st.st_ino;
	return true;
}

/* The namespaces of all processes: no socket outlives them both. */
static void read_namespaces(const struct prt_world *w, const prt_links *links,
			    prt_kernel_flows *out)
{
	int here POL_CLEANUP(pol_cleanup_fd) = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	DIR *proc = here < 0 ? NULL : opendir("/proc");
	inodes seen = { 0 };
	struct dirent *d;

	if (!proc || !is_new(&seen, here))
		proc = proc ? (closedir(proc), NULL) : NULL;
	while (proc && (d = readdir(proc))) {
		int netns POL_CLEANUP(pol_cleanup_fd) = -1;
		int fd POL_CLEANUP(pol_cleanup_fd) = -1;
		char path[300];
		int32_t id;

		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/ns/net", d->d_name);
		netns = open(path, O_RDONLY | O_CLOEXEC);
		if (netns < 0 || !is_new(&seen, netns))
			continue;
		id = prt_net_netns_id(netns);
		if (id >= 0)
			fd = open_in(netns, here);
		if (fd >= 0)
			read_sockets(w, links, id, fd, out);
	}
	if (proc)
		closedir(proc);
	pol_vec_free(&seen);
}

static int by_tuple(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct prt_kernel_flow, state));
}

static int by_tuple_and_order(const void *a, const void *b)
{
	const struct prt_kernel_flow *x = a, *y = b;
	int c = by_tuple(a, b);

	return c ? c : x->order < y->order ? -1 : 1;
}

/* Both ends' sockets and connection tracking may all have told of it. */
static void keep_first(prt_kernel_flows *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		v->v[i].order = (uint32_t)i;
	if (v->n)
		qsort(v->v, v->n, sizeof(*v->v), by_tuple_and_order);
	for (size_t i = 0; i < v->n; i++) {
		if (!i || by_tuple(&v->v[i], &v->v[n - 1]))
			v->v[n++] = v->v[i];
	}
	v->n = n;
}

void prt_kernel_flows_read(const struct prt_world *w, prt_kernel_flows *out)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = prt_netlink_open(NETLINK_SOCK_DIAG);
	struct pol_err why = { 0 };
	prt_links links = { 0 };

	read_conntrack(out);
	if (!prt_net_links(&links, &why)) {
		if (fd >= 0)
			read_sockets(w, &links, -1, fd, out);
		read_namespaces(w, &links, out);
	}
	pol_vec_free(&links);
	keep_first(out);
}
