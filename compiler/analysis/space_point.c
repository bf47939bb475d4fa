/* SPDX-License-Identifier: GPL-2.0-only */
/* From a box to one flow of it, and to words. */
#include "compiler/describe.h"
#include "compiler/ranges.h"
#include "compiler/analysis/space.h"
#include "lang/ast.h"

#define V6(hi) ((pol_u128)(hi) << 64)

/* ---- choosing ------------------------------------------------------------------- */

static bool has(const uint64_t *bits, uint32_t bit)
{
	return bits[bit / 64] >> (bit % 64) & 1;
}

/* A value that no selector mentions. */
static struct pol_str other_value(const struct pol_space *s, const struct pol_space_key *k)
{
	struct pol_str v = POL_STR("other");

	for (unsigned i = 2;; i++) {
		bool mentioned = false;

		for (uint32_t n = 0; n < k->n; n++)
			mentioned = mentioned || pol_str_eq(k->value[n], v);
		if (!mentioned)
			return v;
		v = pol_arena_printf(s->arena, "other-%u", i);
	}
}

/* A label is left out where it may be missing. */
static struct pol_labels choose_labels(const struct pol_space *s, const uint64_t *labels)
{
	struct pol_label *v = pol_arena_alloc(s->arena, (s->n_keys + 1) * sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < s->n_keys; i++) {
		const struct pol_space_key *k = &s->key[i];
		const uint64_t *bits = labels + k->word;
		uint32_t bit = 0;

		while (!has(bits, bit))
			bit++;
		if (bit)
			v[n++] = (struct pol_label){ k->name, bit <= k->n ? k->value[bit - 1]
									  : other_value(s, k) };
	}
	return (struct pol_labels){ v, n };
}

static bool take(const struct pol_end *e, pol_u128 at, pol_u128 *out)
{
	if (at < e->lo || at > e->hi)
		return false;
	*out = at;
	return true;
}

/* Every address of the box is as good: one of the pool for endpoints, else one of the documentation. */
static pol_u128 choose_address(const struct pol_space *s, const struct pol_end *e, uint32_t kind,
			       uint8_t family, unsigned nth)
{
	static const uint32_t four[] = { 0xc6336407, 0xcb007107, 0xc0000207 };
	static const uint64_t six[] = { 0x20010db800000000, 0x20010db8000000ff };
	const struct pol_aset *pool = &s->ir[0]->asets.v[s->ir[0]->pool];
	pol_u128 at = e->lo;

	if (kind == POL_PEER_ENDPOINT && family == 4 && pool->n4 &&
	    take(e, (pol_u128)pool->v4[0].lo + 2 + nth, &at))
		return at;
	/* The first may be the pool's own copy in 64:ff9b::/96. */
	if (kind == POL_PEER_ENDPOINT && family == 6 && pool->n6 &&
	    take(e, pool->v6[pool->n6 - 1].lo + 2 + nth, &at))
		return at;
	for (size_t i = 0; family == 4 && i < POL_ARRAY_LEN(four); i++)
		if (take(e, four[i] + nth, &at))
			return at;
	for (size_t i = 0; family == 6 && i < POL_ARRAY_LEN(six); i++)
		if (take(e, V6(six[i]) + 7 + nth, &at))
			return at;
	return e->hi > e->lo ? e->lo + 1 : e->lo;
}

static struct pol_eval_peer choose_peer(const struct pol_space *s, const struct pol_box *b,
					unsigned end)
{
	static const uint32_t kinds[] = { POL_PEER_ENDPOINT, POL_KIND_STRANGER, POL_PEER_HOST,
					  POL_PEER_NODE };
	const struct pol_end *e = &b->end[end];
	struct pol_eval_peer p = { .has_addr = true };
	size_t i = 0;

	while (!(e->kinds & kinds[i]))
		i++;
	p.kind = kinds[i];
	p.addr = pol_ip_of(choose_address(s, e, p.kind, b->family, end), b->family);
	if (p.kind == POL_PEER_ENDPOINT)
		p.labels = choose_labels(s, e->labels);
	return p;
}

static uint32_t choose_l4(const struct pol_box *b)
{
	static const uint32_t usual[] = {
		POL_L4_KEY(POL_PROTO_TCP, 80),   POL_L4_KEY(POL_PROTO_TCP, 443),
		POL_L4_KEY(POL_PROTO_TCP, 8080), POL_L4_KEY(POL_PROTO_UDP, 53),
		POL_L4_KEY(POL_PROTO_ICMP, 8),   POL_L4_KEY(POL_PROTO_ICMP6, 128),
		POL_L4_KEY(POL_PROTO_TCP, 1),    POL_L4_KEY(POL_PROTO_UDP, 1),
	};
	uint8_t proto = (uint8_t)(b->l4_lo >> 16);

	for (size_t i = 0; i < POL_ARRAY_LEN(usual); i++)
		if (b->l4_lo <= usual[i] && usual[i] <= b->l4_hi)
			return usual[i];
	if (pol_proto_has_ports(proto))
		return b->l4_lo;
	if (pol_proto_has_types(proto))
		return (b->l4_lo & 0xffff) > 255 ? POL_L4_KEY(proto, 255) : b->l4_lo;
	return POL_L4_KEY(proto, 0);
}

struct pol_point pol_box_point(const struct pol_space *s, const struct pol_box *b)
{
	struct pol_point p = { .l4_key = choose_l4(b) };

	for (unsigned end = 0; end < POL_ENDS; end++)
		p.end[end] = choose_peer(s, b, end);
	return pol_point_for(s->ir[0], &p);
}

struct pol_point pol_point_for(const struct pol_ir *ir, const struct pol_point *p)
{
	struct pol_point out = *p;

	for (unsigned end = 0; end < POL_ENDS; end++)
		if (out.end[end].kind & (POL_PEER_WORLD | POL_PEER_POOL))
			out.end[end].kind = pol_eval_kind(ir, out.end[end].addr);
	return out;
}

void pol_point_judge(const struct pol_ir *ir, const struct pol_point *p, struct pol_eval_flow *out)
{
	struct pol_point here = pol_point_for(ir, p);

	pol_eval_flow(ir, &here.end[POL_SRC], true, &here.end[POL_DST], true, p->l4_key, out);
}

/* ---- words ---------------------------------------------------------------------------- */

static bool bare(struct pol_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		      (i && ((c >= '0' && c <= '9') || c == '-'))))
			return false;
	}
	return s.n > 0;
}

static void add_word(struct pol_buf *out, struct pol_str s)
{
	if (bare(s))
		pol_buf_add(out, s);
	else
		pol_buf_json(out, s);
}

/* Does a prefix of the policy name it? If not, a class without an address says the same. */
static bool named(const struct pol_ir *ir, struct pol_ip ip)
{
	const struct pol_named_set *all = ir->cidrs.n ? &ir->cidrs.v[ir->cidrs.n - 1] : NULL;

	return all && !all->name.n && pol_aset_contains(ir->asets.v[all->aset], ip);
}

static void add_peer(struct pol_buf *out, const struct pol_ir *ir, const struct pol_ir *other,
		     const struct pol_eval_peer *p)
{
	char text[POL_IP_TEXT];

	if (p->kind & (POL_PEER_WORLD | POL_PEER_POOL)) {
		pol_buf_addz(out, pol_ip_format(p->addr, text));
		return;
	}
	if (p->kind == POL_PEER_HOST || p->kind == POL_PEER_NODE)
		pol_buf_addz(out, p->kind == POL_PEER_HOST ? "host" : "nodes");
	else
		pol_buf_addc(out, '[');
	for (size_t i = 0; i < p->labels.n; i++) {
		pol_buf_addz(out, i ? "," : "");
		add_word(out, p->labels.v[i].key);
		pol_buf_addc(out, '=');
		add_word(out, p->labels.v[i].value);
	}
	if (p->kind == POL_PEER_ENDPOINT)
		pol_buf_addc(out, ']');
	if (p->has_addr && (named(ir, p->addr) || named(other, p->addr)))
		pol_buf_printf(out, "@%s", pol_ip_format(p->addr, text));
}

void pol_point_print(struct pol_buf *out, const struct pol_ir *ir, const struct pol_point *p)
{
	pol_point_print_both(out, ir, ir, p);
}

void pol_point_print_both(struct pol_buf *out, const struct pol_ir *ir, const struct pol_ir *other,
			  const struct pol_point *p)
{
	struct pol_range32 key = { p->l4_key, p->l4_key };
	uint8_t proto = (uint8_t)(p->l4_key >> 16);

	pol_buf_addz(out, "from ");
	add_peer(out, ir, other, &p->end[POL_SRC]);
	pol_buf_addz(out, " to ");
	add_peer(out, ir, other, &p->end[POL_DST]);
	pol_buf_addz(out, " on ");
	if (pol_proto_has_ports(proto) || pol_proto_has_types(proto))
		pol_describe_l4(out, (struct pol_l4set){ &key, 1 });
	else
		pol_buf_printf(out, "proto %u", proto);
}
