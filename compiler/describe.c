/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/describe.h"

#include "compiler/ranges.h"
#include "lang/ast.h"

#define PROTOS 256u

static void comma(struct pol_buf *b, bool *first)
{
	if (!*first)
		pol_buf_addz(b, ", ");
	*first = false;
}

/* ---- L4 sets ------------------------------------------------------------------ */

enum share { NONE, SOME, WHOLE };

/* The highest value that a packet of this protocol can have. */
static uint32_t last_value(uint32_t proto)
{
	if (pol_proto_has_ports((uint8_t)proto))
		return 65535;
	return pol_proto_has_types((uint8_t)proto) ? 255 : 0;
}

static enum share share_of(const struct pol_l4set *s, uint32_t proto)
{
	uint32_t lo = POL_L4_KEY(proto, 0), hi = POL_L4_KEY(proto, last_value(proto));
	enum share share = NONE;

	for (size_t i = 0; i < s->n; i++) {
		if (s->range[i].lo <= lo && s->range[i].hi >= hi)
			return WHOLE;
		if (s->range[i].lo <= hi && s->range[i].hi >= lo)
			share = SOME;
	}
	return share;
}

static void add_proto(struct pol_buf *b, uint32_t proto)
{
	const char *name = pol_proto_name((uint8_t)proto);

	if (name)
		pol_buf_addz(b, name);
	else
		pol_buf_printf(b, "proto %u", proto);
}

static void add_value(struct pol_buf *b, uint32_t proto, uint32_t value)
{
	const char *name = NULL;

	if (pol_proto_has_types((uint8_t)proto))
		name = pol_icmp_type_name((uint8_t)proto, (uint8_t)value);
	if (name)
		pol_buf_addz(b, name);
	else
		pol_buf_printf(b, "%u", value);
}

/* The values of proto in s, or those not in s. */
static void add_values(struct pol_buf *b, const struct pol_l4set *s, uint32_t proto, bool outside,
		       bool *first)
{
	uint32_t end = last_value(proto), at = 0;

	for (size_t i = 0; i <= s->n && at <= end; i++) {
		bool more = i < s->n && s->range[i].lo <= POL_L4_KEY(proto, end);
		uint32_t lo, hi;

		if (more && s->range[i].hi < POL_L4_KEY(proto, at))
			continue;
		lo = !more                                   ? end + 1
		     : s->range[i].lo < POL_L4_KEY(proto, 0) ? 0
							     : s->range[i].lo & 0xffff;
		hi = !more || s->range[i].hi >= POL_L4_KEY(proto, end) ? end
								       : s->range[i].hi & 0xffff;
		if (outside ? at < lo : more) {
			uint32_t from = outside ? at : lo, to = outside ? lo - 1 : hi;

			comma(b, first);
			add_proto(b, proto);
			pol_buf_addc(b, ' ');
			add_value(b, proto, from);
			if (to > from) {
				pol_buf_addc(b, '-');
				add_value(b, proto, to);
			}
		}
		if (!more)
			return;
		at = hi + 1;
	}
}

void pol_describe_l4(struct pol_buf *b, struct pol_l4set s)
{
	enum share share[PROTOS];
	size_t count[3] = { 0 };
	bool first = true, outside;

	for (uint32_t p = 0; p < PROTOS; p++)
		count[share[p] = share_of(&s, p)]++;
	outside = count[WHOLE] > PROTOS / 2;
	if (count[NONE] == PROTOS || count[WHOLE] == PROTOS) {
		pol_buf_addz(b, outside ? "any" : "nothing");
		return;
	}
	if (outside)
		pol_buf_addz(b, "any except ");
	for (uint32_t p = 0; p < PROTOS; p++) {
		if (share[p] == SOME) {
			add_values(b, &s, p, outside, &first);
		} else if ((share[p] == WHOLE) != outside) {
			comma(b, &first);
			add_proto(b, p);
		}
	}
}

/* ---- addresses ---------------------------------------------------------------- */

static void add_range(struct pol_buf *b, pol_u128 lo, pol_u128 hi, uint8_t family)
{
	uint8_t bits = family == 4 ? 32 : 128, len = bits;
	pol_u128 size = 0; /* less one */
	char text[POL_IP_TEXT];

	while (len && !(lo >> (bits - len) & 1) && lo + (size << 1 | 1) <= hi) {
		size = size << 1 | 1;
		len--;
	}
	if (lo + size == hi) {
		pol_buf_addz(b, pol_prefix_format((struct pol_prefix){ pol_ip_of(lo, family), len },
						  text));
		return;
	}
	pol_buf_printf(b, "%s-", pol_ip_format(pol_ip_of(lo, family), text));
	pol_buf_addz(b, pol_ip_format(pol_ip_of(hi, family), text));
}

void pol_describe_aset(struct pol_buf *b, const struct pol_aset *s, size_t max)
{
	bool first = true;
	size_t shown = 0;

	for (size_t i = 0; i < s->n4 && shown < max; i++, shown++) {
		comma(b, &first);
		add_range(b, s->v4[i].lo, s->v4[i].hi, 4);
	}
	for (size_t i = 0; i < s->n6 && shown < max; i++, shown++) {
		comma(b, &first);
		add_range(b, s->v6[i].lo, s->v6[i].hi, 6);
	}
	if (s->n4 + s->n6 > shown)
		pol_buf_printf(b, " ... and %zu more", s->n4 + s->n6 - shown);
	if (first && !s->n4 && !s->n6)
		pol_buf_addz(b, "none");
}

/* ---- selectors ---------------------------------------------------------------- */

static void add_key(struct pol_buf *b, struct pol_str key)
{
	bool bare = key.n > 0;

	for (size_t i = 0; i < key.n && bare; i++) {
		char c = key.p[i];

		bare = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		       (i && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
	}
	if (bare)
		pol_buf_add(b, key);
	else
		pol_buf_json(b, key);
}

static void add_in(struct pol_buf *b, const struct pol_sel *s, bool negated)
{
	add_key(b, s->key);
	if (s->n == 1) {
		pol_buf_addz(b, negated ? " != " : " == ");
		pol_buf_json(b, s->value[0]);
		return;
	}
	pol_buf_addz(b, negated ? " not in (" : " in (");
	for (size_t i = 0; i < s->n; i++) {
		if (i)
			pol_buf_addz(b, ", ");
		pol_buf_json(b, s->value[i]);
	}
	pol_buf_addc(b, ')');
}

static void add_sel(struct pol_buf *b, const struct pol_ir *ir, uint32_t sel, bool inside)
{
	const struct pol_sel *s = &ir->sels.v[sel];

	switch (s->op) {
	case POL_SEL_TRUE:
		pol_buf_addz(b, "true");
		return;
	case POL_SEL_IN:
		add_in(b, s, false);
		return;
	case POL_SEL_HAS:
		pol_buf_addz(b, "has(");
		add_key(b, s->key);
		pol_buf_addc(b, ')');
		return;
	case POL_SEL_NOT:
		if (ir->sels.v[s->operand[0]].op == POL_SEL_IN) {
			add_in(b, &ir->sels.v[s->operand[0]], true);
			return;
		}
		pol_buf_addz(b, "not ");
		add_sel(b, ir, s->operand[0], true);
		return;
	case POL_SEL_AND:
	case POL_SEL_OR:
		if (inside)
			pol_buf_addc(b, '(');
		for (size_t i = 0; i < s->n; i++) {
			if (i)
				pol_buf_addz(b, s->op == POL_SEL_AND ? " and " : " or ");
			add_sel(b, ir, s->operand[i], true);
		}
		if (inside)
			pol_buf_addc(b, ')');
		return;
	}
}

void pol_describe_sel(struct pol_buf *b, const struct pol_ir *ir, uint32_t sel)
{
	add_sel(b, ir, sel, false);
}

/* ---- predicates --------------------------------------------------------------- */

static void add_mask(struct pol_buf *b, uint32_t mask)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ POL_PEER_WORLD, "world" },        { POL_PEER_POOL, "pool" },
		{ POL_PEER_HOST, "host" },          { POL_PEER_NODE, "nodes" },
		{ POL_PEER_ENDPOINT, "endpoints" },
	};
	bool first = true;

	for (size_t i = 0; i < POL_ARRAY_LEN(names); i++) {
		if (!(mask & names[i].bit))
			continue;
		if (!first)
			pol_buf_addc(b, '|');
		pol_buf_addz(b, names[i].name);
		first = false;
	}
}

void pol_describe_pred(struct pol_buf *b, const struct pol_ir *ir, uint32_t pred)
{
	const struct pol_pred *p = &ir->preds.v[pred];

	if (!p->n)
		pol_buf_addz(b, "none");
	for (size_t i = 0; i < p->n; i++) {
		const struct pol_term *t = &p->term[i];

		if (i)
			pol_buf_addz(b, " or ");
		if (t->mask == POL_PEER_ALL)
			pol_buf_addz(b, "any");
		else
			add_mask(b, t->mask);
		if (t->sel) {
			pol_buf_addz(b, " [");
			pol_describe_sel(b, ir, t->sel);
			pol_buf_addc(b, ']');
		}
		if (t->aset)
			pol_buf_printf(b, " in aset %u", t->aset);
	}
}

const char *pol_describe_action(enum pol_action a)
{
	switch (a) {
	case POL_DENY:
		return "deny";
	case POL_REJECT:
		return "reject";
	case POL_ALLOW:
		return "allow";
	case POL_SKIP:
		return "skip";
	case POL_NONE:
		break;
	}
	return "none";
}

const char *pol_describe_stage(enum pol_stage s)
{
	switch (s) {
	case POL_STAGE_ADMIN:
		return "admin";
	case POL_STAGE_MAIN:
		return "main";
	case POL_STAGE_BASELINE:
		return "baseline";
	case POL_STAGES:
		break;
	}
	return "?";
}

const char *pol_describe_direction(enum pol_direction d)
{
	return d == POL_INGRESS ? "ingress" : "egress";
}
