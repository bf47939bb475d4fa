/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/workloads.h"

#include "compiler/hosts.h"
#include "compiler/listing.h"
#include "compiler/ranges.h"

struct work {
	const struct pol_ir *ir;
	struct pol_arena *arena;
	struct pol_buf *out;
	POL_VEC(struct pol_list_member) members; /* replicas of one name may stand apart */
	POL_VEC(struct pol_str) groups; /* names, each once */
	POL_VEC(uint32_t) cuts; /* first addresses of what rules tell apart */
};

/* ---- who there is --------------------------------------------------------------- */

static struct pol_str group_name(struct pol_str name)
{
	const char *hash = memchr(name.p, '#', name.n);

	return (struct pol_str){ name.p, hash ? (size_t)(hash - name.p) : name.n };
}

static void add_member(struct work *w, struct pol_str name, const struct pol_eval_peer *peer)
{
	struct pol_str group = group_name(name);

	pol_list_member_set(w->ir, group, "", peer, pol_vec_push(&w->members));
	for (size_t i = 0; i < w->groups.n; i++)
		if (pol_str_eq(w->groups.v[i], group))
			return;
	*pol_vec_push(&w->groups) = group;
}

/* ---- what is printed ---------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t proto;
} protos[] = { { "SCTP", 132 }, { "TCP", 6 }, { "UDP", 17 } };

/* The ports of one protocol, in keys from 1. */
static struct pol_l4set ports_of(struct work *w, struct pol_l4set s, uint8_t proto)
{
	struct pol_range32 all = { POL_L4_KEY(proto, 1), POL_L4_KEY(proto, 65535) };

	return pol_l4set_combine(w->arena, POL_SET_INTERSECT, s, pol_l4set_of(w->arena, &all, 1));
}

static struct pol_l4set with_ports(struct work *w, struct pol_l4set s)
{
	struct pol_l4set all = { 0 };

	for (size_t i = 0; i < POL_ARRAY_LEN(protos); i++)
		all = pol_l4set_combine(w->arena, POL_SET_UNION, all,
					ports_of(w, s, protos[i].proto));
	return all;
}

static bool is_all(struct pol_l4set s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.range[i].hi - s.range[i].lo + 1;
	return n == 3 * 65535;
}

static void print_connections(struct work *w, struct pol_l4set s)
{
	const char *between = "";

	if (is_all(s)) {
		pol_buf_addz(w->out, "All Connections\n");
		return;
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(protos); i++) {
		struct pol_l4set p = ports_of(w, s, protos[i].proto);

		for (size_t k = 0; k < p.n; k++) {
			uint32_t lo = p.range[k].lo & 0xffff, hi = p.range[k].hi & 0xffff;

			pol_buf_printf(w->out, "%s%s%s%u", between, k ? "" : protos[i].name,
				       k ? "" : " ", lo);
			if (hi != lo)
				pol_buf_printf(w->out, "-%u", hi);
			between = ",";
		}
	}
	pol_buf_addc(w->out, '\n');
}

static void print_pair(struct work *w, struct pol_str src, struct pol_str dst, struct pol_l4set on)
{
	if (!on.n)
		return;
	pol_buf_printf(w->out, "%.*s => %.*s : ", POL_STR_ARG(src), POL_STR_ARG(dst));
	print_connections(w, on);
}

/* ---- pairs ---------------------------------------------------------------------------------- */

/* What any replica of one may send to any of the other; peer: instead of the one that is empty. */
static struct pol_l4set between(struct work *w, struct pol_str src, struct pol_str dst,
				const struct pol_list_member *peer)
{
	struct pol_l4set all = { 0 };

	for (size_t i = 0; i < (src.n ? w->members.n : 1); i++)
		for (size_t k = 0; k < (dst.n ? w->members.n : 1); k++) {
			const struct pol_list_member *from = src.n ? &w->members.v[i] : peer;
			const struct pol_list_member *to = dst.n ? &w->members.v[k] : peer;

			if ((src.n && !pol_str_eq(from->name, src)) ||
			    (dst.n && !pol_str_eq(to->name, dst)))
				continue;
			all = pol_l4set_combine(w->arena, POL_SET_UNION, all,
						pol_list_allowed(w->ir, w->arena, from, to).all);
		}
	return with_ports(w, all);
}

/* ---- the world -------------------------------------------------------------------------------- */

static int cut_cmp(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

static void find_cuts(struct work *w)
{
	*pol_vec_push(&w->cuts) = 0;
	for (size_t i = 0; i < w->ir->asets.n; i++)
		for (size_t k = 0; k < w->ir->asets.v[i].n4; k++) {
			*pol_vec_push(&w->cuts) = w->ir->asets.v[i].v4[k].lo;
			if (w->ir->asets.v[i].v4[k].hi != UINT32_MAX)
				*pol_vec_push(&w->cuts) = w->ir->asets.v[i].v4[k].hi + 1;
		}
	qsort(w->cuts.v, w->cuts.n, sizeof(*w->cuts.v), cut_cmp);
}

static struct pol_str range_name(struct work *w, uint32_t lo, uint32_t hi)
{
	char a[POL_IP_TEXT], b[POL_IP_TEXT];

	return pol_arena_printf(w->arena, "%s-%s[External]", pol_ip_format(pol_ip_of(lo, 4), a),
				pol_ip_format(pol_ip_of(hi, 4), b));
}

/* What an address outside may send to the group, or be sent. */
static struct pol_l4set outside(struct work *w, struct pol_str group, bool out, uint32_t address)
{
	struct pol_eval_peer peer = { .has_addr = true, .addr = pol_ip_of(address, 4) };
	struct pol_str nobody = { "", 0 };
	struct pol_list_member m;
	struct pol_l4set on = { 0 };

	peer.kind = pol_eval_kind(w->ir, peer.addr);
	if (peer.kind != POL_PEER_WORLD)
		return on;
	pol_list_member_set(w->ir, POL_STR("external"), "", &peer, &m);
	on = between(w, out ? group : nobody, out ? nobody : group, &m);
	pol_list_member_free(&m);
	return on;
}

static void list_world(struct work *w, struct pol_str group, bool out)
{
	uint32_t first = 0;
	struct pol_l4set on = outside(w, group, out, 0);

	for (size_t i = 0; i < w->cuts.n; i++) {
		uint32_t last = i + 1 < w->cuts.n ? w->cuts.v[i + 1] - 1 : UINT32_MAX;
		struct pol_l4set next = { 0 };
		struct pol_str range;

		if (i + 1 < w->cuts.n && w->cuts.v[i + 1] == w->cuts.v[i])
			continue;
		if (last != UINT32_MAX)
			next = outside(w, group, out, last + 1);
		if (last != UINT32_MAX && pol_l4set_equal(on, next))
			continue;
		range = range_name(w, first, last);
		print_pair(w, out ? group : range, out ? range : group, on);
		first = last + 1;
		on = next;
	}
}

int pol_list_workloads(const struct pol_ir *ir, const char *path, struct pol_arena *a,
		       struct pol_buf *out, struct pol_err *e)
{
	struct work w = { .ir = ir, .arena = a, .out = out };
	pol_host_endpoints there = { 0 };
	int ret = pol_hosts_read(path, a, &there, e);

	for (size_t i = 0; !ret && i < there.n; i++)
		add_member(&w, there.v[i].name, &there.v[i].peer);
	pol_vec_free(&there);

	find_cuts(&w);
	for (size_t i = 0; !ret && i < w.groups.n; i++) {
		list_world(&w, w.groups.v[i], false);
		list_world(&w, w.groups.v[i], true);
		for (size_t k = 0; k < w.groups.n; k++)
			if (i != k)
				print_pair(&w, w.groups.v[i], w.groups.v[k],
					   between(&w, w.groups.v[i], w.groups.v[k], NULL));
	}
	for (size_t i = 0; i < w.members.n; i++)
		pol_list_member_free(&w.members.v[i]);
	pol_vec_free(&w.members);
	pol_vec_free(&w.groups);
	pol_vec_free(&w.cuts);
	return ret;
}
