/* SPDX-License-Identifier: GPL-2.0-only */
/* What `polc list` says of services, by who may reach their VIPs, and of filters, by what they pass. */
#include "compiler/describe.h"
#include "compiler/list.h"
#include "compiler/ranges.h"
#include "compiler/analysis/witness.h"

#define CLIENT_PORT 49152 /* as `polc explain` takes it */
#define SYN 0x02

struct said {
	size_t member;
	struct pol_list_pair pair;
};

struct edge {
	const struct pol_ir *ir;
	struct pol_arena *arena;
	const struct pol_list_member *member;
	size_t n;
	struct pol_list *list;
	POL_VEC(struct said) said; /* so far, of the members of one name */
};

static struct pol_str keep(struct edge *e, struct pol_buf *b)
{
	struct pol_str kept = pol_arena_str(e->arena, pol_buf_str(b));

	pol_buf_free(b);
	return kept;
}

static bool same_pair(const struct pol_list_pair *a, const struct pol_list_pair *b)
{
	return pol_l4set_equal(a->on.all, b->on.all) && pol_str_eq(a->text, b->text);
}

static void add(struct edge *e, size_t m, struct pol_list_pair *p)
{
	p->from = (struct pol_list_end){ e->member[m].name, e->member[m].family,
					 e->member[m].peer.kind };
	*pol_vec_push(&e->said) = (struct said){ m, *p };
}

static bool same_name(const struct pol_list_member *a, const struct pol_list_member *b)
{
	return a->peer.kind == b->peer.kind && pol_str_eq(a->name, b->name);
}

/* Do all members from..to of this family (0: of any) get one answer?  Then it is the one returned. */
static const struct pol_list_pair *one_answer(const struct edge *e, size_t from, size_t to,
					      uint8_t family)
{
	const struct pol_list_pair *first = NULL;
	size_t n = 0;

	for (size_t m = from; m <= to; m++)
		n += !family || e->member[m].peer.addr.family == family;
	for (size_t i = 0; i < e->said.n; i++) {
		const struct said *x = &e->said.v[i];

		if (family && e->member[x->member].peer.addr.family != family)
			continue;
		if (first && !same_pair(first, &x->pair))
			return NULL;
		first = first ? first : &x->pair;
		n--;
	}
	return n ? NULL : first;
}

static void add_line(struct edge *e, struct pol_list_pair p, const char *family)
{
	p.from.family = family;
	*pol_vec_push(&e->list->pairs) = p;
}

/* One line for all members of a name, or for those of a family, where they get one answer. */
static void settle(struct edge *e, size_t m)
{
	const struct pol_list_pair *one;
	size_t from = m;

	if (m + 1 < e->n && same_name(&e->member[m], &e->member[m + 1]))
		return;
	while (from && same_name(&e->member[m], &e->member[from - 1]))
		from--;
	one = one_answer(e, from, m, 0);
	if (one)
		add_line(e, *one, "");
	for (uint8_t family = 4; !one && family <= 6; family += 2) {
		const struct pol_list_pair *of = one_answer(e, from, m, family);

		if (of)
			add_line(e, *of, family == 4 ? "v4" : "v6");
		for (size_t i = 0; !of && i < e->said.n; i++)
			if (e->member[e->said.v[i].member].peer.addr.family == family)
				add_line(e, e->said.v[i].pair, e->said.v[i].pair.from.family);
	}
	e->said.n = 0;
}

/* ---- services --------------------------------------------------------------------------- */

/* May the sender's own side reach the VIP?  One that is no endpoint is not asked. */
static bool may_send(const struct edge *e, const struct pol_list_member *m,
		     const struct pol_ir_service *s, const struct pol_ir_vip *v)
{
	struct pol_eval_peer vip = { .kind = pol_eval_kind(e->ir, v->addr),
				     .has_addr = true,
				     .addr = v->addr };
	struct pol_eval_side side;

	if (m->peer.has_addr && m->peer.addr.family != v->addr.family)
		return false;
	if (m->peer.kind != POL_PEER_ENDPOINT)
		return true;
	pol_eval_side(&m->rules[POL_EGRESS], m->peer.labels, POL_EGRESS, &vip,
		      POL_L4_KEY(s->proto, v->port), &side);
	return side.action == POL_ALLOW;
}

struct backends {
	struct pol_list_member *v; /* of a class: who stands for it; else kind 0 */
	size_t n;
};

static struct backends backends_of(struct edge *e, const struct pol_ir_service *s)
{
	struct backends b = { pol_arena_alloc(e->arena, (s->nbackends + 1) * sizeof(*b.v)),
			      s->nbackends };
	struct pol_eval_peer peer;

	for (size_t i = 0; i < s->nbackends; i++) {
		b.v[i] = (struct pol_list_member){ .name = s->backend[i].text, .family = "" };
		if (s->backend[i].by_class &&
		    pol_witness_endpoint(e->ir, s->backend[i].sel, e->arena, &peer))
			pol_list_member_set(e->ir, s->backend[i].text, "", &peer, &b.v[i]);
	}
	return b;
}

/* How many backends let the sender in; an address outside is not asked here. */
static size_t may_serve(const struct pol_list_member *m, const struct pol_ir_service *s,
			const struct backends *b, bool *http)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct pol_eval_side side;

		if (b->v[i].peer.kind != POL_PEER_ENDPOINT) {
			n += !s->backend[i].by_class;
			continue;
		}
		pol_eval_side(&b->v[i].rules[POL_INGRESS], b->v[i].peer.labels, POL_INGRESS,
			      &m->peer, POL_L4_KEY(s->proto, s->backend[i].port), &side);
		n += side.action == POL_ALLOW;
		*http = *http || (side.action == POL_ALLOW && side.nhttp);
	}
	return n;
}

static void list_sender(struct edge *e, size_t m, const struct pol_ir_service *s,
			const struct backends *b)
{
	struct pol_list_pair p = { .to = { s->name, "", POL_PEER_WORLD }, .kind = POL_LIST_VIP };
	POL_VEC(struct pol_range32) ports = { 0 };
	struct pol_buf text = { 0 };
	bool http = false;
	size_t n = may_serve(&e->member[m], s, b, &http);

	for (size_t i = 0; i < s->nvips && n; i++) {
		uint32_t key = POL_L4_KEY(s->proto, s->vip[i].port);

		if (may_send(e, &e->member[m], s, &s->vip[i]))
			*pol_vec_push(&ports) = (struct pol_range32){ key, key };
	}
	p.on.all = pol_l4set_of(e->arena, ports.v, ports.n);
	p.on.http = http ? p.on.all : (struct pol_l4set){ 0 };
	if (ports.n) {
		pol_describe_l4(&text, p.on.all);
		pol_buf_addz(&text, http ? " (http)" : "");
		if (n < b->n)
			pol_buf_printf(&text, " (%zu of %zu backends)", n, b->n);
		p.text = keep(e, &text);
		add(e, m, &p);
	}
	pol_vec_free(&ports);
}

static void list_service(struct edge *e, const struct pol_ir_service *s)
{
	struct backends b = backends_of(e, s);

	/* what the host itself sends meets no service */
	for (size_t m = 0; m < e->n; m++) {
		if (e->member[m].peer.kind != POL_PEER_HOST)
			list_sender(e, m, s, &b);
		settle(e, m);
	}
	for (size_t i = 0; i < s->nbackends; i++) {
		uint32_t key = POL_L4_KEY(s->proto, s->backend[i].port);
		struct pol_list_pair p = { .from = { s->name, "", POL_PEER_WORLD },
					   .to = { b.v[i].name, "",
						   s->backend[i].by_class ? POL_PEER_ENDPOINT
									  : POL_PEER_WORLD },
					   .kind = POL_LIST_BACKEND };
		struct pol_range32 range = { key, key };
		struct pol_buf text = { 0 };

		p.on.all = pol_l4set_of(e->arena, &range, 1);
		pol_describe_l4(&text, p.on.all);
		if (s->backend[i].weight != 1)
			pol_buf_printf(&text, " weight %u", s->backend[i].weight);
		p.text = keep(e, &text);
		*pol_vec_push(&e->list->pairs) = p;
		pol_list_member_free(&b.v[i]);
	}
}

/* ---- filters ------------------------------------------------------------------------------ */

struct passing {
	struct pol_filter_line *line; /* those that hold for the sender and every destination */
	size_t n;
	bool other; /* more hold for some destinations */
	POL_VEC(uint32_t) cuts;
	POL_VEC(struct pol_range32) ranges;
	bool limited;
};

static int by_number(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

/* Between two cuts no line begins or ends to match. */
static void cut(struct passing *p, const struct pol_l4set *s)
{
	for (size_t k = 0; k < s->n; k++) {
		*pol_vec_push(&p->cuts) = s->range[k].lo;
		if (s->range[k].hi < POL_L4_KEY_MAX)
			*pol_vec_push(&p->cuts) = s->range[k].hi + 1;
	}
}

static void lines_for(struct edge *e, const struct pol_ir_filter *f,
		      const struct pol_list_member *m, struct passing *p)
{
	struct pol_eval_packet any = { 0 };

	p->line = pol_arena_alloc(e->arena, (f->n + 1) * sizeof(*p->line));
	*pol_vec_push(&p->cuts) = 0;
	/* what the protocols have differs, and with it what a line asks */
	for (uint32_t proto = 1; proto < 256; proto++)
		*pol_vec_push(&p->cuts) = POL_L4_KEY(proto, 0);
	any.src = m->peer.addr;
	for (size_t i = 0; i < f->n; i++) {
		struct pol_filter_line l = f->line[i];

		l.n = 0;
		l.dst = (struct pol_filter_end){ 0 };
		if (!pol_eval_line(e->ir, &l, &any))
			continue;
		if (f->line[i].dst.aset) {
			p->other = true;
			continue;
		}
		p->line[p->n++] = f->line[i];
		for (size_t k = 0; k < f->line[i].n; k++)
			cut(p, &e->ir->l4sets.v[f->line[i].term[k].l4]);
	}
}

static void find_passing(struct edge *e, const struct pol_list_member *m, struct passing *p)
{
	struct pol_ir_filter small = { .line = p->line, .n = p->n };

	qsort(p->cuts.v, p->cuts.n, sizeof(*p->cuts.v), by_number);
	for (size_t i = 0; i < p->cuts.n; i++) {
		uint32_t key = p->cuts.v[i];
		uint32_t next = i + 1 < p->cuts.n ? p->cuts.v[i + 1] : POL_L4_KEY_MAX + 1;
		uint8_t proto = (uint8_t)(key >> 16);
		struct pol_eval_packet packet = { .src = m->peer.addr,
						  .proto = proto,
						  .value = (uint16_t)key,
						  .sport = pol_proto_has_ports(proto) ? CLIENT_PORT
										      : 0,
						  .tcp_flags = proto == POL_PROTO_TCP ? SYN : 0 };
		struct pol_eval_filter says;

		if (next == key)
			continue;
		pol_eval_filter(e->ir, &small, &packet, &says);
		if (says.action != POL_FILTER_PASS)
			continue;
		*pol_vec_push(&p->ranges) = (struct pol_range32){ key, next - 1 };
		p->limited = p->limited || says.nlimits;
	}
}

static bool is_set(const struct pol_list_member *m)
{
	return m->peer.kind != POL_PEER_ENDPOINT && m->peer.kind != POL_PEER_HOST &&
	       !pol_str_is(m->name, "world");
}

static void list_filter(struct edge *e, size_t m, const struct pol_ir_filter *f)
{
	struct pol_list_pair pair = { .to = { f->name, "", POL_PEER_WORLD },
				      .kind = POL_LIST_FILTER };
	struct passing p = { 0 };
	struct pol_buf text = { 0 };

	lines_for(e, f, &e->member[m], &p);
	find_passing(e, &e->member[m], &p);
	pair.on.all = pol_l4set_of(e->arena, p.ranges.v, p.ranges.n);
	pol_describe_l4(&text, pair.on.all);
	pol_buf_addz(&text, p.limited ? " (limited)" : "");
	pol_buf_addz(&text, p.other ? " (otherwise for some destinations)" : "");
	pair.text = keep(e, &text);
	add(e, m, &pair);
	pol_vec_free(&p.cuts);
	pol_vec_free(&p.ranges);
}

/* Not as rules of policies tell them apart: each filter has names of its own. */
static void list_senders(struct edge *e, const struct pol_ir_filter *f)
{
	struct pol_eval_peer world = { .kind = POL_PEER_WORLD };
	POL_VEC(struct pol_list_member) member = { 0 };
	pol_stand_in_vec all = { 0 };
	struct edge to = { .ir = e->ir, .arena = e->arena, .list = e->list };

	pol_witness_packet(e->ir, &(struct pol_filter_view){ f, 1, false }, &world, e->arena, &all);
	for (size_t i = 0; i < all.n; i++)
		*pol_vec_push(&member) = (struct pol_list_member){ .name = POL_STR("world"),
								   .family = all.v[i].where,
								   .peer = all.v[i].peer };
	for (size_t m = 0; m < e->n; m++)
		if (is_set(&e->member[m]))
			*pol_vec_push(&member) = e->member[m];
	to.member = member.v;
	to.n = member.n;
	for (size_t m = 0; m < to.n; m++) {
		list_filter(&to, m, f);
		settle(&to, m);
	}
	pol_vec_free(&to.said);
	pol_vec_free(&member);
	pol_vec_free(&all);
}

void pol_list_edge(const struct pol_ir *ir, struct pol_arena *a,
		   const struct pol_list_member *member, size_t n, struct pol_list *out)
{
	struct edge e = { .ir = ir, .arena = a, .member = member, .n = n, .list = out };

	for (size_t i = 0; i < ir->services.n; i++)
		list_service(&e, &ir->services.v[i]);
	for (size_t i = 0; i < ir->filters.n; i++)
		list_senders(&e, &ir->filters.v[i]);
	pol_vec_free(&e.said);
}
