/* SPDX-License-Identifier: GPL-2.0-only */
#include "ask.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>

#include "kernflows.h"

int prt_ask(const struct prt_gen *g, struct pol_asked *a, struct pol_err *e)
{
	unsigned char frame[ETH_HLEN + sizeof(*a)] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .data_out = frame, .data_size_out = sizeof(frame), .repeat = 1);

	memcpy(frame + ETH_HLEN, a, sizeof(*a));
	if (bpf_prog_test_run_opts(g->prog[PRT_PROG_ASK], &opts))
		return pol_err(e, -errno, "program '%s': cannot run it: %s", POL_PROG_ASK,
			       strerror(errno));
	/* TC_ACT_OK; everything else is the program's way to say that it could not answer */
	if (opts.retval || opts.data_size_out != sizeof(frame))
		return pol_err(e, -EIO, "program '%s': gave no answer", POL_PROG_ASK);
	memcpy(a, frame + ETH_HLEN, sizeof(*a));
	return 0;
}

/* ---- the first apply ---------------------------------------------------------------------- */

/* What this host's own stack sends is judged as the host's, whatever its address. */
static bool is_host(const struct prt_world *w, const struct pol_addr *a)
{
	for (size_t i = 0; i < w->fixed.n; i++) {
		if (w->fixed.v[i].entity == POL_ENTITY_HOST &&
		    !memcmp(&w->fixed.v[i].addr, a, sizeof(*a)))
			return true;
	}
	return false;
}

static bool is_v6(const struct pol_addr *a)
{
	return prt_ip_of_addr(a).family == 6;
}

static void count(const struct pol_asked *a, struct prt_imported *out)
{
	switch (a->is.reason) {
	case POL_REASON_NONE:
		out->entered++;
		out->http += a->is.http;
		break;
	case POL_REASON_NO_ENDPOINT:
		break; /* not our business */
	case POL_REASON_CT_QUOTA:
	case POL_REASON_CT_FULL:
		out->full++;
		break;
	default:
		out->denied++;
	}
}

int prt_import(const struct prt_gen *g, const struct prt_world *w, struct prt_imported *out,
	       struct pol_err *e)
{
	prt_kernel_flows flows = { 0 };
	int r = 0;

	prt_kernel_flows_read(w, &flows);
	for (size_t i = 0; i < flows.n && !r; i++) {
		const struct prt_kernel_flow *f = &flows.v[i];
		struct pol_asked a = {
			.src = f->src,
			.dst = f->dst,
			.sport_be = f->sport_be,
			.dport_be = f->dport_be,
			.proto = f->proto,
			.v6 = is_v6(&f->src),
			.from_host = is_host(w, &f->src),
			.enter = f->state,
			.type = f->direct ? POL_CT_DIRECT : 0,
			.hook = POL_HOOK_UPLINK_IN,
		};

		r = prt_ask(g, &a, e);
		if (!r)
			count(&a, out);
	}
	pol_vec_free(&flows);
	return r;
}
