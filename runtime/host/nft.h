/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes to nf_tables, all of a batch or none of it (net/netfilter/nfnetlink.c): messages,
 * their attributes, and the few expressions of rules that we need.
 *
 * Numbers of nf_tables are in network byte order; what registers hold is as packets
 * have it, but for what `meta` loads, which is in host byte order.
 */
#ifndef POLC_RUNTIME_NFT_H
#define POLC_RUNTIME_NFT_H

#include <netinet/in.h>	/* before the kernel's own */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "base/base.h"

struct prt_nft { /* zero-initialise; prt_nft_free */
	struct pol_buf b;
	size_t msg, nest[8], depth; /* offsets of what is open */
	uint32_t seq;
	uint8_t family; /* NFPROTO_* of the messages that follow */
	const char *table, *chain; /* likewise */
};
void prt_nft_free(struct prt_nft *n);

/* A message, NFT_MSG_*; flags: NLM_F_* beside NLM_F_REQUEST. It ends with the next, or with prt_nft_send(). */
void prt_nft_msg(struct prt_nft *n, uint16_t type, uint16_t flags);
void prt_nft_bytes(struct prt_nft *n, uint16_t type, const void *p, size_t len);
void prt_nft_str(struct prt_nft *n, uint16_t type, const char *s);
void prt_nft_u32(struct prt_nft *n, uint16_t type, uint32_t v);
void prt_nft_open(struct prt_nft *n, uint16_t type); /* an attribute of attributes, */
void prt_nft_close(struct prt_nft *n);		     /* and its end */

/* -errno: of the first message that the kernel refused; then nothing has changed. */
int prt_nft_send(struct prt_nft *n);
/* One question instead, with an answer or many; see netlink.h. */
struct nlmsghdr;
int prt_nft_ask(struct prt_nft *n, void (*take)(const struct nlmsghdr *h, void *ctx), void *ctx);

/* ---- rules: between _rule() and _rule_end() expressions, each of which has to hold ---------- */

void prt_nft_rule(struct prt_nft *n);
void prt_nft_rule_end(struct prt_nft *n);
void prt_nft_meta(struct prt_nft *n, uint32_t key, const void *is, size_t len); /* loads and compares */
void prt_nft_kind(struct prt_nft *n, uint32_t key, const char *kind); /* NFT_META_IIFKIND or _OIFKIND */
/* base: NFT_PAYLOAD_*; the bytes are, under the mask (NULL: all). */
void prt_nft_payload(struct prt_nft *n, uint32_t base, uint32_t at, const void *is,
		     const void *mask, size_t len);
void prt_nft_payload_in(struct prt_nft *n, uint32_t base, uint32_t at, size_t len, const char *set);
void prt_nft_meta_in(struct prt_nft *n, uint32_t key, const char *set);
/* The way back to the packet's source does not lead by where it came in. */
void prt_nft_no_way_back(struct prt_nft *n);
void prt_nft_count(struct prt_nft *n, const char *counter);
void prt_nft_verdict(struct prt_nft *n, int verdict); /* NF_ACCEPT or NF_DROP */

#endif
