/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/list.h"

#include "compiler/describe.h"
#include "compiler/listing.h"
#include "compiler/ranges.h"
#include "compiler/analysis/witness.h"

struct listing {
	const struct pol_ir *ir;
	struct pol_arena *arena;
	struct pol_list *list;
	POL_VEC(struct pol_list_member) members;
};

/* ---- members ------------------------------------------------------------------ */

/*
 * The same IR with fewer rules, in their order, for the evaluator. Ids are
 * positions in the shorter list then, which is all that it needs.
 */
static void keep_rule(struct pol_ir *small, const struct pol_rule *r)
{
	*pol_vec_push(&small->by_order) = (uint32_t)small->rules.n;
	*pol_vec_push(&small->rules) = *r;
}

static struct pol_ir without_rules(const struct pol_ir *ir)
{
	struct pol_ir small = *ir;

	memset(&small.rules, 0, sizeof(small.rules));
	memset(&small.by_order, 0, sizeof(small.by_order));
	return small;
}

static void free_rules(struct pol_ir *small)
{
	pol_vec_free(&small->rules);
	pol_vec_free(&small->by_order);
}

void pol_list_member_set(const struct pol_ir *ir, struct pol_str name, const char *family,
			 const struct pol_eval_peer *peer, struct pol_list_member *m)
{
	*m = (struct pol_list_member){ .name = name, .family = family, .peer = *peer };
	m->rules[POL_INGRESS] = m->rules[POL_EGRESS] = without_rules(ir);
	if (peer->kind != POL_PEER_ENDPOINT)
		return;
	for (size_t i = 0; i < ir->by_order.n; i++) {
		const struct pol_rule *r = &ir->rules.v[ir->by_order.v[i]];

		if (!r->audit && pol_eval_sel(ir, r->subject, peer->labels))
			keep_rule(&m->rules[r->direction], r);
	}
}

void pol_list_member_free(struct pol_list_member *m)
{
	free_rules(&m->rules[POL_INGRESS]);
	free_rules(&m->rules[POL_EGRESS]);
}

static void add_member(struct listing *l, struct pol_str name, const char *family,
		       const struct pol_eval_peer *peer)
{
	pol_list_member_set(l->ir, name, family, peer, pol_vec_push(&l->members));
}

static void add_named_set(struct listing *l, const struct pol_named_set *set)
{
	const struct pol_aset *s = &l->ir->asets.v[set->aset];
	struct pol_eval_peer four, six;
	bool has4 = pol_witness_address(l->ir, s, 4, l->arena, &four);
	/* An IPv4 prefix has its place in IPv6 too; that alone is not worth a line. */
	struct pol_range128 nat64 = { POL_NAT64_PREFIX, POL_NAT64_PREFIX | 0xffffffff };
	struct pol_aset own = pol_aset_combine(l->arena, POL_SET_SUBTRACT, *s,
					       pol_aset_of(l->arena, NULL, 0, &nat64, 1));
	bool has6 = pol_witness_address(l->ir, &own, 6, l->arena, &six);

	if (has4)
		add_member(l, set->name, has6 ? "v4" : "", &four);
	if (has6)
		add_member(l, set->name, has4 ? "v6" : "", &six);
}

static void gather(struct listing *l)
{
	static const struct {
		const char *name;
		uint32_t kind;
	} fixed[] = {
		{ "world", POL_PEER_WORLD },
		{ "host", POL_PEER_HOST },
	};
	struct pol_eval_peer peer;

	for (size_t i = 0; i < l->ir->classes.n; i++)
		if (pol_witness_endpoint(l->ir, l->ir->classes.v[i].sel, l->arena, &peer))
			add_member(l, l->ir->classes.v[i].name, "", &peer);
	for (size_t i = 0; i < POL_ARRAY_LEN(fixed); i++) {
		peer = (struct pol_eval_peer){ .kind = fixed[i].kind };
		add_member(l, pol_str(fixed[i].name), "", &peer);
	}
	for (size_t i = 0; i < l->ir->cidrs.n; i++)
		if (l->ir->cidrs.v[i].name.n)
			add_named_set(l, &l->ir->cidrs.v[i]);
}

/* ---- pairs -------------------------------------------------------------------- */

struct cuts {
	uint32_t *v;
	size_t n, cap;
};

/* Of an endpoint's rules those whose peer fits go to `small`, the bounds of their ports to cuts. */
static void rules_for(const struct pol_list_member *own, enum pol_direction dir,
		      const struct pol_eval_peer *peer, struct pol_ir *small, struct cuts *cuts)
{
	for (size_t i = 0; i < own->rules[dir].rules.n; i++) {
		const struct pol_rule *r = &own->rules[dir].rules.v[i];
		const struct pol_l4set *s = &small->l4sets.v[r->l4];

		if (!pol_eval_pred(small, r->pred, peer))
			continue;
		keep_rule(small, r);
		for (size_t k = 0; k < s->n; k++) {
			*pol_vec_push(cuts) = s->range[k].lo;
			if (s->range[k].hi < POL_L4_KEY_MAX)
				*pol_vec_push(cuts) = s->range[k].hi + 1;
		}
	}
}

static int cut_cmp(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

/* Between two cuts no rule begins or ends to match: the first key stands for all. */
struct pol_list_ports pol_list_allowed(const struct pol_ir *ir, struct pol_arena *a,
				       const struct pol_list_member *src,
				       const struct pol_list_member *dst)
{
	struct pol_ir small = without_rules(ir);
	struct cuts cuts = { 0 };
	POL_VEC(struct pol_range32) ranges = { 0 }, http = { 0 };
	struct pol_list_ports out;

	*pol_vec_push(&cuts) = 0;
	rules_for(src, POL_EGRESS, &dst->peer, &small, &cuts);
	rules_for(dst, POL_INGRESS, &src->peer, &small, &cuts);
	qsort(cuts.v, cuts.n, sizeof(*cuts.v), cut_cmp);
	for (size_t i = 0; i < cuts.n; i++) {
		uint32_t next = i + 1 < cuts.n ? cuts.v[i + 1] : POL_L4_KEY_MAX + 1;
		struct pol_eval_flow f;

		if (next == cuts.v[i])
			continue;
		pol_eval_flow(&small, &src->peer, true, &dst->peer, true, cuts.v[i], &f);
		if (f.action != POL_ALLOW)
			continue;
		*pol_vec_push(&ranges) = (struct pol_range32){ cuts.v[i], next - 1 };
		if (f.side[POL_EGRESS].nhttp || f.side[POL_INGRESS].nhttp)
			*pol_vec_push(&http) = (struct pol_range32){ cuts.v[i], next - 1 };
	}
	out.all = pol_l4set_of(a, ranges.v, ranges.n);
	out.http = pol_l4set_of(a, http.v, http.n);
	pol_vec_free(&ranges);
	pol_vec_free(&http);
	pol_vec_free(&cuts);
	free_rules(&small);
	return out;
}

/* ---- what is found ------------------------------------------------------------ */

/* "udp 53, tcp 8080 (http)" */
static struct pol_str describe(struct listing *l, struct pol_list_ports on)
{
	struct pol_range32 *room =
		pol_arena_alloc(l->arena, (on.all.n + on.http.n + 1) * sizeof(*room));
	struct pol_l4set plain = { .range = room };
	struct pol_buf b = { 0 };
	struct pol_str kept;

	plain.n = pol_range32_combine(POL_SET_SUBTRACT, on.all.range, on.all.n, on.http.range,
				      on.http.n, room);
	if (plain.n)
		pol_describe_l4(&b, plain);
	if (plain.n && on.http.n)
		pol_buf_addz(&b, ", ");
	if (on.http.n) {
		pol_describe_l4(&b, on.http);
		pol_buf_addz(&b, " (http)");
	}
	kept = pol_arena_str(l->arena, pol_buf_str(&b));
	pol_buf_free(&b);
	return kept;
}

static struct pol_list_end end_of(const struct pol_list_member *m)
{
	return (struct pol_list_end){ m->name, m->family, m->peer.kind };
}

static void add_pair(struct listing *l, const struct pol_list_member *src,
		     const struct pol_list_member *dst, struct pol_list_ports on)
{
	*pol_vec_push(&l->list->pairs) = (struct pol_list_pair){
		.from = end_of(src), .to = end_of(dst), .on = on, .text = describe(l, on)
	};
}

static bool same_ports(struct pol_list_ports a, struct pol_list_ports b)
{
	return pol_l4set_equal(a.all, b.all) && pol_l4set_equal(a.http, b.http);
}

/*
 * Both families of a named set stand side by side among the members; where the
 * answers are equal, they are one line.
 */
static void list_pair(struct listing *l, size_t src, size_t dst)
{
	struct pol_list_member *m = l->members.v, one;
	size_t pair = m[src].family[0] ? src : dst;
	struct pol_list_ports on = pol_list_allowed(l->ir, l->arena, &m[src], &m[dst]), other;

	if (!m[pair].family[0]) {
		if (on.all.n)
			add_pair(l, &m[src], &m[dst], on);
		return;
	}
	if (m[pair].family[1] == '6')
		return; /* told with its other half */
	other = pol_list_allowed(l->ir, l->arena, &m[pair == src ? src + 1 : src],
				 &m[pair == dst ? dst + 1 : dst]);
	one = m[pair];
	if (same_ports(on, other))
		one.family = "";
	if (on.all.n)
		add_pair(l, pair == src ? &one : &m[src], pair == dst ? &one : &m[dst], on);
	if (other.all.n && !same_ports(on, other))
		add_pair(l, &m[pair == src ? src + 1 : src], &m[pair == dst ? dst + 1 : dst],
			 other);
}

void pol_list_make(const struct pol_ir *ir, struct pol_arena *a, struct pol_list *out)
{
	struct listing l = { .ir = ir, .arena = a, .list = out };

	*out = (struct pol_list){ .ir = ir };
	gather(&l);
	for (size_t i = 0; i < l.members.n; i++)
		if (l.members.v[i].peer.kind == POL_PEER_ENDPOINT)
			*pol_vec_push(&out->classes) = end_of(&l.members.v[i]);
	for (size_t i = 0; i < l.members.n; i++)
		for (size_t k = 0; k < l.members.n; k++)
			if (l.members.v[i].peer.kind == POL_PEER_ENDPOINT ||
			    l.members.v[k].peer.kind == POL_PEER_ENDPOINT)
				list_pair(&l, i, k);
	pol_list_edge(ir, a, l.members.v, l.members.n, out);
	for (size_t i = 0; i < l.members.n; i++)
		pol_list_member_free(&l.members.v[i]);
	pol_vec_free(&l.members);
}

void pol_list_free(struct pol_list *l)
{
	pol_vec_free(&l->pairs);
	pol_vec_free(&l->classes);
}

/* ---- output ------------------------------------------------------------------- */

static void print_line(const struct pol_list_pair *p, struct pol_buf *out)
{
	pol_list_name(out, &p->from);
	pol_buf_addz(out, pol_list_arrow(p));
	pol_list_name(out, &p->to);
	pol_buf_printf(out, " : %.*s\n", POL_STR_ARG(p->text));
}

const char *pol_list_arrow(const struct pol_list_pair *p)
{
	return p->kind == POL_LIST_BACKEND  ? " -> "
	       : p->kind == POL_LIST_FILTER ? " => filter "
					    : " => ";
}

static void add_ports(struct pol_buf *out, const char *key, struct pol_l4set on)
{
	struct pol_buf ports = { 0 };

	pol_describe_l4(&ports, on);
	pol_buf_printf(out, ",\"%s\":", key);
	pol_buf_json(out, pol_buf_str(&ports));
	pol_buf_free(&ports);
}

static void add_family(struct pol_buf *out, const char *key, const struct pol_list_end *end)
{
	if (end->family[0])
		pol_buf_printf(out, ",\"%s\":\"%s\"", key, end->family);
}

static void print_object(const struct pol_list_pair *p, struct pol_buf *out)
{
	pol_buf_addz(out, "{\"from\":");
	pol_buf_json(out, p->from.name);
	pol_buf_addz(out, ",\"to\":");
	pol_buf_json(out, p->to.name);
	add_family(out, "from_family", &p->from);
	add_family(out, "to_family", &p->to);
	add_ports(out, "on", p->on.all);
	if (p->on.http.n)
		add_ports(out, "http", p->on.http);
	if (p->kind != POL_LIST_ALLOWED) {
		static const char *const kind[] = { [POL_LIST_VIP] = "vip",
						    [POL_LIST_BACKEND] = "backend",
						    [POL_LIST_FILTER] = "filter" };

		pol_buf_printf(out, ",\"kind\":\"%s\",\"text\":", kind[p->kind]);
		pol_buf_json(out, p->text);
	}
	pol_buf_addc(out, '}');
}

void pol_list_name(struct pol_buf *out, const struct pol_list_end *end)
{
	pol_buf_add(out, end->name);
	if (end->family[0])
		pol_buf_printf(out, " (%s)", end->family);
}

void pol_list_print(const struct pol_list *l, bool json, struct pol_buf *out)
{
	for (size_t i = 0; i < l->pairs.n; i++) {
		if (!json) {
			print_line(&l->pairs.v[i], out);
			continue;
		}
		pol_buf_addz(out, i ? ",\n " : "[\n ");
		print_object(&l->pairs.v[i], out);
	}
	if (json)
		pol_buf_addz(out, l->pairs.n ? "\n]\n" : "[]\n");
}
