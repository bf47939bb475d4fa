/* SPDX-License-Identifier: GPL-2.0-only */
#include "edge.h"

#include <errno.h>

#include "runtime/input/env.h"

/* A filter that hangs nowhere would protect nobody: what it names must be there. */
static int bind_one(const struct prt_filter *f, size_t number, const prt_links *links, bool late,
		    struct prt_world *w, struct pol_err *e)
{
	for (size_t i = 0; i < f->ninterfaces; i++) {
		struct prt_uplink *u = NULL;
		bool there = false;

		for (size_t k = 0; k < links->n && !u; k++) {
			if (!pol_str_is(f->interface[i], links->v[k].name))
				continue;
			there = true;
			for (size_t n = 0; n < w->uplink.n && !u; n++)
				u = w->uplink.v[n].ifindex == links->v[k].ifindex ? &w->uplink.v[n]
										  : NULL;
		}
		if (!there && late)
			continue;
		if (!u) {
			pol_err_help(
				e,
				"name it in `uplinks` of the host file, or compile the filter for the uplinks of this host");
			return pol_err(e, -EINVAL, "filter '%s': '%s' is no uplink of this host",
				       prt_safe(f->name.p), prt_safe(f->interface[i].p));
		}
		u->filters |= 1ull << number;
		u->flags |= POL_IF_XDP;
	}
	return 0;
}

/*
 * Services are on all uplinks.  Hardware completes checksums before XDP, and sends what a program
 * gives it.  The peer of a veth or another device of software is another stack, which leaves checksums
 * to whoever is last; and only the host file knows whether it takes what a program sends.
 */
static void bind_services(const prt_links *links, struct prt_world *w)
{
	for (size_t i = 0; i < w->uplink.n; i++) {
		struct prt_uplink *u = &w->uplink.v[i];
		bool hard = false;

		for (size_t k = 0; k < links->n; k++)
			if (links->v[k].ifindex == u->ifindex)
				hard = !links->v[k].kind[0] || !strcmp(links->v[k].kind, "bond");
		u->flags |= POL_IF_XDP | POL_IF_OUT | (hard ? POL_IF_DIRECT : POL_IF_SOFT);
	}
}

int prt_edge_bind(const struct prt_manifest *m, bool audit, bool late, struct prt_world *w,
		  struct pol_err *e)
{
	prt_links links = { 0 };
	int r = m->nfilters || m->nservices ? prt_net_links(&links, e) : 0;

	for (size_t i = 0; i < w->uplink.n; i++) {
		w->uplink.v[i].filters = 0;
		/* what the host file says of it stays */
		w->uplink.v[i].flags =
			(w->uplink.v[i].flags & POL_IF_DIRECT) | (audit ? POL_IF_AUDIT : 0);
	}
	if (!r && m->nservices)
		bind_services(&links, w);
	for (size_t i = 0; i < m->nfilters && !r; i++)
		r = bind_one(&m->filter[i], i, &links, late, w, e);
	pol_vec_free(&links);
	return r;
}
