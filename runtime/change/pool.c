/* SPDX-License-Identifier: GPL-2.0-only */
#include "pool.h"

#include <stdio.h>

/* Inclusive. */
static bool within(const struct prt_pool_range *range, struct pol_ip ip)
{
	struct pol_addr first = prt_addr_of_ip(range->first), last = prt_addr_of_ip(range->last);
	struct pol_addr a = prt_addr_of_ip(ip);

	return range->first.family == ip.family && memcmp(&first, &a, sizeof(a)) <= 0 &&
	       memcmp(&a, &last, sizeof(a)) <= 0;
}

static bool in_pool(const struct prt_manifest *m, struct pol_ip ip)
{
	for (size_t i = 0; i < m->npool; i++) {
		if (within(&m->pool[i], ip))
			return true;
	}
	return false;
}

/* The first of its addresses that is not; NULL: all are. */
static const struct prt_member_addr *outside(const struct prt_manifest *m,
					     const struct prt_member *x)
{
	for (size_t i = 0; i < x->addrs.n; i++) {
		if (!in_pool(m, prt_ip_of_addr(&x->addrs.v[i].addr)))
			return &x->addrs.v[i];
	}
	return NULL;
}

void prt_pool_note(struct prt_env *env, const struct prt_manifest *m, const struct prt_member *v,
		   size_t n)
{
	const struct prt_member *first = NULL;
	char text[POL_IP_TEXT], more[64] = "";
	size_t found = 0;

	for (size_t i = 0; i < n && m->npool; i++) {
		if (outside(m, &v[i]) && !found++)
			first = &v[i];
	}
	if (!first)
		return;
	if (found > 1)
		snprintf(more, sizeof(more), " (and so for %zu more)", found - 1);
	prt_env_note(
		env,
		"endpoint '%s': %s is not in `pool`: when no endpoint is known to have it, it is the world's%s",
		prt_safe(first->info.name),
		pol_ip_format(prt_ip_of_addr(&outside(m, first)->addr), text), more);
}
