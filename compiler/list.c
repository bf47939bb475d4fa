/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/list.h"

#include "compiler/describe.h"
#include "compiler/listing.h"
#include "compiler/ranges.h"
#include "compiler/analysis/witness.h"

struct group { /* who stands for one name */
	size_t first, n;
};

struct listing {
	const struct pol_ir *ir;
	struct pol_arena *arena;
	struct pol_list *list;
	POL_VEC(struct pol_list_member) members; /* those of one name stand side by side */
	POL_VEC(struct group) groups;
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
	l->groups.v[l->groups.n - 1].n++;
}

static void begin_group(struct listing *l)
{
	*pol_vec_push(&l->groups) = (struct group){ .first = l->members.n };
}

/* Without an address: all who may stand for it. */
static void add_anywhere(struct listing *l, struct pol_str name, const struct pol_eval_peer *peer)
{
	pol_stand_in_vec all = { 0 };

	begin_group(l);
	pol_witness_anywhere(l->ir, peer, l->arena, &all);
	for (size_t i = 0; i < all.n; i++)
		add_member(l, name, all.v[i].where, &all.v[i].peer);
	pol_vec_free(&all);
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

	begin_group(l);
	if (has4)
		add_member(l, set->name, "v4", &four);
	if (has6)
		add_member(l, set->name, "v6", &six);
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
			add_anywhere(l, l->ir->classes.v[i].name, &peer);
	for (size_t i = 0; i < POL_ARRAY_LEN(fixed); i++) {
		peer = (struct pol_eval_peer){ .kind = fixed[i].kind };
		add_anywhere(l, pol_str(fixed[i].name), &peer);
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
static struct pol_list_ports allowed(const struct pol_ir *ir, struct pol_arena *a,
				     const struct pol_list_member *src, bool src_here,
				     const struct pol_list_member *dst, bool dst_here)
{
	struct pol_ir small = without_rules(ir);
	struct cuts cuts = { 0 };
	POL_VEC(struct pol_range32) ranges = { 0 }, http = { 0 };
	struct pol_list_ports out;

	*pol_vec_push(&cuts) = 0;
	if (src_here)
		rules_for(src, POL_EGRESS, &dst->peer, &small, &cuts);
	if (dst_here)
		rules_for(dst, POL_INGRESS, &src->peer, &small, &cuts);
	qsort(cuts.v, cuts.n, sizeof(*cuts.v), cut_cmp);
	for (size_t i = 0; i < cuts.n; i++) {
		uint32_t next = i + 1 < cuts.n ? cuts.v[i + 1] : POL_L4_KEY_MAX + 1;
		struct pol_eval_flow f;

		if (next == cuts.v[i])
			continue;
		pol_eval_flow(&small, &src->peer, src_here, &dst->peer, dst_here, cuts.v[i], &f);
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

struct pol_list_ports pol_list_allowed(const struct pol_ir *ir, struct pol_arena *a,
				       const struct pol_list_member *src,
				       const struct pol_list_member *dst)
{
	return allowed(ir, a, src, true, dst, true);
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

/*
 * All who stand for one name, and all for another, of one family: what the first may send and what
 * the second may get.  Each side is judged by the other's address alone, so that n + m questions
 * answer n * m.
 */
struct block {
	uint8_t family; /* 0: of any */
	struct group from, to;
	struct pol_list_ports *in, *out; /* by from, by to */
	bool from_one, to_one; /* the same for all of these */
};

static bool same_ports(struct pol_list_ports a, struct pol_list_ports b)
{
	return pol_l4set_equal(a.all, b.all) && pol_l4set_equal(a.http, b.http);
}

static bool all_same(const struct pol_list_ports *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (!same_ports(v[0], v[i]))
			return false;
	return true;
}

static void ask(struct listing *l, struct block *b)
{
	const struct pol_list_member *from = &l->members.v[b->from.first],
				     *to = &l->members.v[b->to.first];

	b->in = pol_arena_alloc(l->arena, b->from.n * sizeof(*b->in));
	b->out = pol_arena_alloc(l->arena, b->to.n * sizeof(*b->out));
	for (size_t i = 0; i < b->from.n; i++)
		b->in[i] = allowed(l->ir, l->arena, &from[i], false, to, true);
	for (size_t i = 0; i < b->to.n; i++)
		b->out[i] = allowed(l->ir, l->arena, from, true, &to[i], false);
	b->from_one = all_same(b->in, b->from.n);
	b->to_one = all_same(b->out, b->to.n);
}

static struct pol_list_ports both(struct listing *l, const struct block *b, size_t from, size_t to)
{
	struct pol_list_ports in = b->in[from], out = b->out[to], all;

	all.all = pol_l4set_combine(l->arena, POL_SET_INTERSECT, in.all, out.all);
	all.http = pol_l4set_combine(l->arena, POL_SET_UNION, in.http, out.http);
	all.http = pol_l4set_combine(l->arena, POL_SET_INTERSECT, all.all, all.http);
	return all;
}

static struct pol_list_end end_of(const struct pol_list_member *m, const char *where)
{
	return (struct pol_list_end){ m->name, where, m->peer.kind };
}

static void add_pair(struct listing *l, struct pol_list_end from, struct pol_list_end to,
		     struct pol_list_ports on)
{
	if (on.all.n)
		*pol_vec_push(&l->list->pairs) = (struct pol_list_pair){
			.from = from, .to = to, .on = on, .text = describe(l, on)
		};
}

/* Which of a name's addresses a line is about: nothing is said where one stands for all of it. */
static const char *where_of(const struct listing *l, const struct group *name, size_t member,
			    bool one, uint8_t family)
{
	if (name->n == 1)
		return "";
	return !one ? l->members.v[member].family : family == 4 ? "v4" : "v6";
}

static void list_block(struct listing *l, const struct group *src, const struct group *dst,
		       const struct block *b)
{
	for (size_t i = 0; i < (b->from_one ? 1 : b->from.n); i++)
		for (size_t k = 0; k < (b->to_one ? 1 : b->to.n); k++) {
			size_t from = b->from.first + i, to = b->to.first + k;

			add_pair(l,
				 end_of(&l->members.v[from],
					where_of(l, src, from, b->from_one, b->family)),
				 end_of(&l->members.v[to],
					where_of(l, dst, to, b->to_one, b->family)),
				 both(l, b, i, k));
		}
}

/* Those of one family, which stand side by side. */
static struct group of_family(const struct listing *l, const struct group *g, uint8_t family)
{
	struct group of = { .first = g->first };

	while (of.first < g->first + g->n && l->members.v[of.first].peer.addr.family != family)
		of.first++;
	while (of.first + of.n < g->first + g->n &&
	       l->members.v[of.first + of.n].peer.addr.family == family)
		of.n++;
	return of;
}

/* One line where all blocks say the same. */
static void list_blocks(struct listing *l, const struct group *src, const struct group *dst,
			const struct block *b, size_t n)
{
	bool one = n > 0;

	for (size_t i = 0; i < n; i++)
		one = one && b[i].from_one && b[i].to_one &&
		      same_ports(both(l, &b[i], 0, 0), both(l, &b[0], 0, 0));
	if (one)
		add_pair(l, end_of(&l->members.v[src->first], ""),
			 end_of(&l->members.v[dst->first], ""), both(l, &b[0], 0, 0));
	for (size_t i = 0; !one && i < n; i++)
		list_block(l, src, dst, &b[i]);
}

static bool is_endpoint(const struct listing *l, const struct group *g)
{
	return g->n && l->members.v[g->first].peer.kind == POL_PEER_ENDPOINT;
}

/*
 * The flows of two endpoints are of one family.  Where one end only is judged, its own address says
 * nothing, and any who stands for it is as good.
 */
static void list_pair(struct listing *l, struct group src, struct group dst)
{
	static const uint8_t families[] = { 0, 4, 6 };
	bool from = is_endpoint(l, &src), to = is_endpoint(l, &dst);
	struct block b[POL_ARRAY_LEN(families)];
	size_t n = 0;

	if (!from && !to)
		return;
	src.n = to || !src.n ? src.n : 1;
	dst.n = from || !dst.n ? dst.n : 1;
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		b[n] = (struct block){ .family = families[i], .from = src, .to = dst };
		if (to)
			b[n].from = of_family(l, &src, families[i]);
		if (from)
			b[n].to = of_family(l, &dst, families[i]);
		if (b[n].from.n && b[n].to.n)
			ask(l, &b[n++]);
	}
	list_blocks(l, &src, &dst, b, n);
}

void pol_list_make(const struct pol_ir *ir, struct pol_arena *a, struct pol_list *out)
{
	struct listing l = { .ir = ir, .arena = a, .list = out };

	*out = (struct pol_list){ .ir = ir };
	gather(&l);
	for (size_t i = 0; i < l.groups.n; i++)
		if (is_endpoint(&l, &l.groups.v[i]))
			*pol_vec_push(&out->classes) =
				end_of(&l.members.v[l.groups.v[i].first], "");
	for (size_t i = 0; i < l.groups.n; i++)
		for (size_t k = 0; k < l.groups.n; k++)
			list_pair(&l, l.groups.v[i], l.groups.v[k]);
	pol_list_edge(ir, a, l.members.v, l.members.n, out);
	for (size_t i = 0; i < l.members.n; i++)
		pol_list_member_free(&l.members.v[i]);
	pol_vec_free(&l.members);
	pol_vec_free(&l.groups);
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
	bool whole = strcmp(end->family, "v4") == 0 || strcmp(end->family, "v6") == 0;

	if (end->family[0])
		pol_buf_printf(out, ",\"%s_%s\":\"%s\"", key, whole ? "family" : "in", end->family);
}

static void print_object(const struct pol_list_pair *p, struct pol_buf *out)
{
	pol_buf_addz(out, "{\"from\":");
	pol_buf_json(out, p->from.name);
	pol_buf_addz(out, ",\"to\":");
	pol_buf_json(out, p->to.name);
	add_family(out, "from", &p->from);
	add_family(out, "to", &p->to);
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
