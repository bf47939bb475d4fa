/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/workloads.h"

#include <errno.h>

#include "base/yaml.h"
#include "compiler/listing.h"
#include "compiler/ranges.h"

#define MAX_FILE (64u << 20)

struct work {
	const struct pol_ir *ir;
	struct pol_arena *arena;
	struct pol_yaml_doc doc;
	struct pol_buf *out;
	POL_VEC(struct pol_list_member) members; /* replicas of one name may stand apart */
	POL_VEC(struct pol_str) groups; /* names, each once */
	POL_VEC(uint32_t) cuts; /* first addresses of what rules tell apart */
};

/* ---- the file ------------------------------------------------------------------------- */

static int read_labels(struct work *w, const struct pol_yaml *at, struct pol_labels *out)
{
	struct pol_label *v;

	if (at->kind != POL_YAML_MAP)
		return pol_yaml_err(&w->doc, at, "labels must be a mapping: key: value");
	v = pol_arena_alloc(w->arena, (at->n + 1) * sizeof(*v));
	for (size_t i = 0; i < at->n; i++) {
		if (at->item[2 * i + 1].kind != POL_YAML_SCALAR)
			return pol_yaml_err(&w->doc, &at->item[2 * i + 1],
					    "a label must be a single value");
		v[i] = (struct pol_label){ at->item[2 * i].text, at->item[2 * i + 1].text };
	}
	*out = (struct pol_labels){ v, at->n };
	return 0;
}

static int read_address(struct work *w, const struct pol_yaml *at, struct pol_eval_peer *peer)
{
	struct pol_prefix p;
	int ret = pol_yaml_list(&w->doc, at, "addresses");

	if (ret || !at->n)
		return ret;
	if (at->item[0].kind != POL_YAML_SCALAR || pol_prefix_parse(at->item[0].text, &p) ||
	    p.len != (p.addr.family == 4 ? 32 : 128))
		return pol_yaml_err(&w->doc, at, "an address is expected here");
	peer->has_addr = true;
	peer->addr = p.addr;
	return 0;
}

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

static int read_entry(struct work *w, const struct pol_yaml *at)
{
	static const char *const key[] = { "name", "labels", "addresses", "interface", "mac" };
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	struct pol_eval_peer peer = { .kind = POL_PEER_ENDPOINT };
	struct pol_str name;
	int ret = pol_yaml_map(&w->doc, at, "an endpoint", key, POL_ARRAY_LEN(key), v);

	if (!ret && !v[0])
		ret = pol_yaml_err(&w->doc, at, "an endpoint without a name");
	if (!ret)
		ret = pol_yaml_text(&w->doc, v[0], "a name", &name);
	if (!ret && v[1])
		ret = read_labels(w, v[1], &peer.labels);
	if (!ret && v[2])
		ret = read_address(w, v[2], &peer);
	if (!ret)
		add_member(w, name, &peer);
	return ret;
}

static int read_file(struct work *w)
{
	static const char *const key[] = { "endpoints", "remote", "host", "host_addresses",
					   "uplinks",   "nodes",  "proxy" };
	static const struct pol_yaml_limits limits = {
		.depth = 8,
		.nodes = 4000000,
		.scalar = 4096,
		.keys = 512,
	};
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	struct pol_yaml root;
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;
	int ret = pol_read_file(w->doc.path, MAX_FILE, &text, &n, w->doc.err);

	if (!ret)
		ret = pol_yaml_parse(&w->doc, (struct pol_str){ text, n }, &limits, &root);
	if (!ret)
		ret = pol_yaml_map(&w->doc, &root, "the host file", key, POL_ARRAY_LEN(key), v);
	for (size_t k = 0; k < 2; k++) {
		if (!ret && v[k])
			ret = pol_yaml_list(&w->doc, v[k], key[k]);
		for (size_t i = 0; !ret && v[k] && i < v[k]->n; i++)
			ret = read_entry(w, &v[k]->item[i]);
	}
	return ret;
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
	struct work w = { .ir = ir, .arena = a, .out = out, .doc = { path, -EINVAL, a, e } };
	int ret = read_file(&w);

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
