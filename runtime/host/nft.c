/* SPDX-License-Identifier: GPL-2.0-only */
#include "nft.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

void prt_nft_free(struct prt_nft *n)
{
	pol_buf_free(&n->b);
	*n = (struct prt_nft){ 0 };
}

/* ---- messages and attributes ------------------------------------------------------------- */

static void add(struct prt_nft *n, const void *p, size_t len)
{
	static const char zero[NLA_ALIGNTO];

	pol_buf_add(&n->b, (struct pol_str){ p, len });
	pol_buf_add(&n->b, (struct pol_str){ zero, NLA_ALIGN(len) - len });
}

static void finish(struct prt_nft *n)
{
	struct nlmsghdr *h = (void *)(n->b.p + n->msg);

	if (n->b.n)
		h->nlmsg_len = (uint32_t)(n->b.n - n->msg);
}

static void message(struct prt_nft *n, uint16_t type, uint16_t flags, uint8_t family,
		    uint16_t resource)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} m = {
		.h = { .nlmsg_type = type,
		       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		       .nlmsg_seq = n->seq++ },
		.g = { .nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource) }
	};

	finish(n);
	n->msg = n->b.n;
	n->depth = 0;
	add(n, &m, sizeof(m));
}

static void begin(struct prt_nft *n)
{
	if (!n->b.n)
		message(n, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

void prt_nft_msg(struct prt_nft *n, uint16_t type, uint16_t flags)
{
	begin(n);
	message(n, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, n->family, 0);
}

void prt_nft_bytes(struct prt_nft *n, uint16_t type, const void *p, size_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(sizeof(a) + len), .nla_type = type };

	pol_buf_add(&n->b, (struct pol_str){ (const char *)&a, sizeof(a) });
	add(n, p, len);
}

void prt_nft_str(struct prt_nft *n, uint16_t type, const char *s)
{
	prt_nft_bytes(n, type, s, strlen(s) + 1);
}

void prt_nft_u32(struct prt_nft *n, uint16_t type, uint32_t v)
{
	v = htonl(v);
	prt_nft_bytes(n, type, &v, sizeof(v));
}

void prt_nft_open(struct prt_nft *n, uint16_t type)
{
	n->nest[n->depth++] = n->b.n;
	prt_nft_bytes(n, (uint16_t)(type | NLA_F_NESTED), "", 0);
}

void prt_nft_close(struct prt_nft *n)
{
	size_t at = n->nest[--n->depth];
	struct nlattr *a = (void *)(n->b.p + at);

	a->nla_len = (uint16_t)(n->b.n - at);
}

/* ---- to the kernel ------------------------------------------------------------------------- */

static int exchange(int fd, struct prt_nft *n)
{
	const int room = (int)n->b.n + 65536;
	char reply[8192];

	/* beyond what the host allows; fails for who may not, and then small batches still go */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (send(fd, n->b.p, n->b.n, 0) < 0)
		return -errno;
	/* refusals come as they are found, the one acknowledgement is the last real message's */
	for (;;) {
		ssize_t left = recv(fd, reply, sizeof(reply), 0);
		const struct nlmsghdr *h = (const void *)reply;

		if (left < 0 && errno == EINTR)
			continue;
		if (left <= 0)
			return left ? -errno : -EIO;
		for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			const struct nlmsgerr *err = NLMSG_DATA(h);

			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (err->error || err->msg.nlmsg_seq == n->seq - 2)
				return err->error;
		}
	}
}

int prt_nft_send(struct prt_nft *n)
{
	int fd = prt_netlink_open(NETLINK_NETFILTER), r;

	if (fd < 0)
		return fd;
	((struct nlmsghdr *)(n->b.p + n->msg))->nlmsg_flags |= NLM_F_ACK;
	message(n, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	finish(n);
	r = exchange(fd, n);
	close(fd);
	return r;
}

int prt_nft_ask(struct prt_nft *n, void (*take)(const struct nlmsghdr *h, void *ctx), void *ctx)
{
	int fd = prt_netlink_open(NETLINK_NETFILTER), r;

	if (fd < 0)
		return fd;
	finish(n);
	/* a question is asked alone: behind the beginning of the batch */
	r = prt_netlink_ask(fd, (const void *)(n->b.p + n->msg), take, ctx);
	close(fd);
	return r;
}

/* ---- rules ------------------------------------------------------------------------------------ */

void prt_nft_rule(struct prt_nft *n)
{
	prt_nft_msg(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	prt_nft_str(n, NFTA_RULE_TABLE, n->table);
	prt_nft_str(n, NFTA_RULE_CHAIN, n->chain);
	prt_nft_open(n, NFTA_RULE_EXPRESSIONS);
}

void prt_nft_rule_end(struct prt_nft *n)
{
	prt_nft_close(n);
}

static void expr(struct prt_nft *n, const char *name)
{
	prt_nft_open(n, NFTA_LIST_ELEM);
	prt_nft_str(n, NFTA_EXPR_NAME, name);
	prt_nft_open(n, NFTA_EXPR_DATA);
}

static void expr_end(struct prt_nft *n)
{
	prt_nft_close(n);
	prt_nft_close(n);
}

static void data(struct prt_nft *n, uint16_t type, const void *p, size_t len)
{
	prt_nft_open(n, type);
	prt_nft_bytes(n, NFTA_DATA_VALUE, p, len);
	prt_nft_close(n);
}

static void compare(struct prt_nft *n, const void *is, size_t len)
{
	expr(n, "cmp");
	prt_nft_u32(n, NFTA_CMP_SREG, NFT_REG_1);
	prt_nft_u32(n, NFTA_CMP_OP, NFT_CMP_EQ);
	data(n, NFTA_CMP_DATA, is, len);
	expr_end(n);
}

static void lookup(struct prt_nft *n, const char *set)
{
	expr(n, "lookup");
	prt_nft_str(n, NFTA_LOOKUP_SET, set);
	prt_nft_u32(n, NFTA_LOOKUP_SREG, NFT_REG_1);
	expr_end(n);
}

static void load_meta(struct prt_nft *n, uint32_t key)
{
	expr(n, "meta");
	prt_nft_u32(n, NFTA_META_DREG, NFT_REG_1);
	prt_nft_u32(n, NFTA_META_KEY, key);
	expr_end(n);
}

static void load_payload(struct prt_nft *n, uint32_t base, uint32_t at, size_t len)
{
	expr(n, "payload");
	prt_nft_u32(n, NFTA_PAYLOAD_DREG, NFT_REG_1);
	prt_nft_u32(n, NFTA_PAYLOAD_BASE, base);
	prt_nft_u32(n, NFTA_PAYLOAD_OFFSET, at);
	prt_nft_u32(n, NFTA_PAYLOAD_LEN, (uint32_t)len);
	expr_end(n);
}

void prt_nft_meta(struct prt_nft *n, uint32_t key, const void *is, size_t len)
{
	load_meta(n, key);
	compare(n, is, len);
}

void prt_nft_kind(struct prt_nft *n, uint32_t key, const char *kind)
{
	char padded[IFNAMSIZ] = "";

	memcpy(padded, kind, strlen(kind));
	prt_nft_meta(n, key, padded, sizeof(padded));
}

void prt_nft_payload(struct prt_nft *n, uint32_t base, uint32_t at, const void *is,
		     const void *mask, size_t len)
{
	static const char zero[16];

	load_payload(n, base, at, len);
	if (mask) {
		expr(n, "bitwise");
		prt_nft_u32(n, NFTA_BITWISE_SREG, NFT_REG_1);
		prt_nft_u32(n, NFTA_BITWISE_DREG, NFT_REG_1);
		prt_nft_u32(n, NFTA_BITWISE_LEN, (uint32_t)len);
		data(n, NFTA_BITWISE_MASK, mask, len);
		data(n, NFTA_BITWISE_XOR, zero, len);
		expr_end(n);
	}
	compare(n, is, len);
}

void prt_nft_payload_in(struct prt_nft *n, uint32_t base, uint32_t at, size_t len, const char *set)
{
	load_payload(n, base, at, len);
	lookup(n, set);
}

void prt_nft_meta_in(struct prt_nft *n, uint32_t key, const char *set)
{
	load_meta(n, key);
	lookup(n, set);
}

void prt_nft_no_way_back(struct prt_nft *n)
{
	static const uint32_t none;

	expr(n, "fib");
	prt_nft_u32(n, NFTA_FIB_DREG, NFT_REG_1);
	prt_nft_u32(n, NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
	prt_nft_u32(n, NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF);
	expr_end(n);
	compare(n, &none, sizeof(none));
}

void prt_nft_count(struct prt_nft *n, const char *counter)
{
	expr(n, "objref");
	prt_nft_u32(n, NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	prt_nft_str(n, NFTA_OBJREF_IMM_NAME, counter);
	expr_end(n);
}

void prt_nft_verdict(struct prt_nft *n, int verdict)
{
	expr(n, "immediate");
	prt_nft_u32(n, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	prt_nft_open(n, NFTA_IMMEDIATE_DATA);
	prt_nft_open(n, NFTA_DATA_VERDICT);
	prt_nft_u32(n, NFTA_VERDICT_CODE, (uint32_t)verdict);
	prt_nft_close(n);
	prt_nft_close(n);
	expr_end(n);
}
