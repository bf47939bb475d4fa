/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * polload suggest: what audit saw, as allow rules that would cover it.
 *
 * Each side of a flow is a rule of its own: a flow needs both.  What an explicit deny, a reject or a
 * limit would have stopped no allow can open; it is named in a comment.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>

#include "show.h"

struct idea {
	struct pol_str subject, peer, on;
	const struct prt_rule *rule; /* that would have denied; NULL: not known */
	uint64_t flows, first_ns, last_ns;
	uint8_t direction, reason;
	bool audit, covered;
};

struct fresh { /* a class that the policy lacks */
	struct pol_str name, selector;
};

struct suggest {
	struct prt_book book;
	struct pol_arena *arena;
	POL_VEC(struct idea) ideas;
	POL_VEC(struct fresh) fresh;
	uint64_t lost;
};

/* ---- names ----------------------------------------------------------------------------- */

static bool class_exists(const struct suggest *s, struct pol_str name)
{
	const struct prt_manifest *m = &s->book.object->manifest;

	for (size_t i = 0; i < m->nclasses; i++)
		if (pol_str_eq(m->class[i].name, name))
			return true;
	return false;
}

/* Text that stands between quotes in a policy as it is. */
static bool quotable(struct pol_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] == '"' || s.p[i] == '\\')
			return false;
	return true;
}

/* `app == "web" and "tier" == "x"`; n == 0: it has no labels, or none that can be written. */
static struct pol_str selector_of(struct suggest *s, const struct prt_member *m)
{
	const struct prt_label *labels = NULL;
	struct pol_buf text = { 0 };
	struct pol_str out;
	size_t n = 0;

	prt_labels_unpack(s->arena, m->info.labels, &labels, &n);
	for (size_t i = 0; i < n; i++) {
		if (!quotable(labels[i].key) || !quotable(labels[i].value)) {
			text.n = 0;
			break;
		}
		pol_buf_printf(&text, "%s\"%s\" == \"%s\"", i ? " and " : "", labels[i].key.p,
			       labels[i].value.p);
	}
	out = pol_arena_str(s->arena, pol_buf_str(&text));
	pol_buf_free(&text);
	return out;
}

/* The class that selects it; one of the policy, or a new one for its labels; n == 0: none can. */
static struct pol_str class_of(struct suggest *s, const struct prt_member *m)
{
	struct pol_str all = prt_book_classes(&s->book, m), selector;
	const char *comma = memchr(all.p, ',', all.n);
	struct pol_str name;

	if (all.n)
		return pol_arena_str(s->arena,
				     (struct pol_str){ all.p,
						       comma ? (size_t)(comma - all.p) : all.n });
	selector = selector_of(s, m);
	if (!selector.n)
		return selector;
	for (size_t i = 0; i < s->fresh.n; i++)
		if (pol_str_eq(s->fresh.v[i].selector, selector))
			return s->fresh.v[i].name;
	for (size_t i = s->fresh.n + 1;; i++) {
		name = pol_arena_printf(s->arena, "suggested_%zu", i);
		if (!class_exists(s, name))
			break;
	}
	*pol_vec_push(&s->fresh) = (struct fresh){ name, selector };
	return name;
}

static struct pol_str peer_of(struct suggest *s, const struct pol_audit_key *k)
{
	const struct prt_member *m = prt_book_owner(&s->book, &k->peer);
	struct pol_str class = { "", 0 };
	char text[POL_IP_TEXT];

	if (k->from_host || prt_book_entity(&s->book, &k->peer) == POL_ENTITY_HOST)
		return POL_STR("host");
	if (prt_book_entity(&s->book, &k->peer) == POL_ENTITY_NODE)
		return POL_STR("nodes");
	if (m)
		class = class_of(s, m);
	return class.n ? class
		       : pol_arena_str(s->arena,
				       pol_str(pol_ip_format(prt_ip_of_addr(&k->peer), text)));
}

static struct pol_str on_of(struct suggest *s, const struct pol_audit_key *k)
{
	const char *name = NULL;

	switch (k->proto) {
	case IPPROTO_TCP:
		return pol_arena_printf(s->arena, "tcp %u", k->port);
	case IPPROTO_UDP:
		return pol_arena_printf(s->arena, "udp %u", k->port);
	case IPPROTO_SCTP:
		return pol_arena_printf(s->arena, "sctp %u", k->port);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		name = pol_icmp_type_name(k->proto, (uint8_t)k->port);
		return name ? pol_arena_printf(s->arena, "%s %s",
					       k->proto == IPPROTO_ICMP ? "icmp" : "icmp6", name)
			    : pol_arena_printf(s->arena, "%s %u",
					       k->proto == IPPROTO_ICMP ? "icmp" : "icmp6",
					       k->port);
	default:
		return pol_arena_printf(s->arena, "proto %u", k->proto);
	}
}

/* ---- gathering ---------------------------------------------------------------------------- */

/* An allow of an ordinary policy stands before baseline tiers and before what nobody wrote. */
static bool coverable(const struct prt_rule *r, uint8_t reason)
{
	if (!r || reason == POL_REASON_LIMIT)
		return false;
	return r->implicit.n || (r->tier.n >= 8 && !memcmp(r->tier.p, "baseline", 8));
}

static void enter(struct suggest *s, const struct pol_audit_key *k,
		  const struct pol_audit_seen *seen)
{
	const struct prt_member *m = prt_book_ep(&s->book, k->ep);
	struct idea i = { .direction = k->direction,
			  .reason = k->reason,
			  .flows = seen->flows,
			  .first_ns = seen->first_ns,
			  .last_ns = seen->last_ns };

	if (!m)
		return; /* it has gone: nothing would select it */
	i.rule = prt_book_rule(&s->book, (uint32_t)s->book.l.gen.number, k->rule);
	i.audit = i.rule && i.rule->audit;
	i.subject = class_of(s, m);
	i.covered = i.subject.n && coverable(i.rule, k->reason);
	if (!i.subject.n)
		i.subject = pol_arena_str(s->arena, pol_str(m->info.name));
	i.peer = peer_of(s, k);
	i.on = on_of(s, k);
	for (size_t n = 0; n < s->ideas.n; n++) {
		struct idea *o = &s->ideas.v[n];

		if (!pol_str_eq(o->subject, i.subject) || !pol_str_eq(o->peer, i.peer) ||
		    !pol_str_eq(o->on, i.on) || o->direction != i.direction ||
		    o->audit != i.audit || o->covered != i.covered ||
		    (!i.covered && o->rule != i.rule))
			continue;
		o->flows += i.flows;
		o->first_ns = i.first_ns < o->first_ns ? i.first_ns : o->first_ns;
		o->last_ns = i.last_ns > o->last_ns ? i.last_ns : o->last_ns;
		return;
	}
	*pol_vec_push(&s->ideas) = i;
}

static int by_place(const void *a, const void *b)
{
	const struct idea *x = a, *y = b;
	int c = y->covered - x->covered;

	c = c ? c : x->audit - y->audit;
	c = c ? c : pol_str_cmp(x->subject, y->subject);
	c = c ? c : x->direction - y->direction;
	c = c ? c : pol_str_cmp(x->peer, y->peer);
	return c ? c : pol_str_cmp(x->on, y->on);
}

static int gather(const struct prt_env *env, struct suggest *s, struct pol_err *e)
{
	struct pol_audit_key k, *at = NULL;
	struct pol_audit_seen seen;
	int fd, r = prt_book_open(env, &s->book, e);

	if (r)
		return r;
	fd = s->book.l.gen.fd[PRT_GEN_AUDITED];
	while (!bpf_map_get_next_key(fd, at, &k)) {
		at = &k;
		if (!bpf_map_lookup_elem(fd, &k, &seen))
			enter(s, &k, &seen);
	}
	prt_show_percpu(s->book.l.gen.fd[PRT_GEN_AUDIT_LOST], 0, 1, &s->lost);
	if (s->ideas.n)
		qsort(s->ideas.v, s->ideas.n, sizeof(*s->ideas.v), by_place);
	return 0;
}

/* ---- saying ----------------------------------------------------------------------------------- */

static const char *way(const struct idea *i)
{
	return i->direction == POL_EGRESS ? "to" : "from";
}

static void seen_text(struct pol_buf *out, const struct idea *i)
{
	pol_buf_printf(out, "# %" PRIu64 " flow%s, the last at ", i->flows,
		       i->flows == 1 ? "" : "s");
	prt_show_clock(out, i->last_ns, true);
	pol_buf_addc(out, '\n');
}

static void uncovered_text(struct pol_buf *out, const struct idea *i)
{
	pol_buf_printf(out, "# not covered: %s %s %s on %s: ", prt_safe(i->subject.p), way(i),
		       prt_safe(i->peer.p), i->on.p);
	if (i->rule)
		pol_buf_printf(out, "%s:%u %s  ", prt_safe(i->rule->file.p), i->rule->line,
			       prt_safe(i->rule->text.p));
	else
		pol_buf_addz(out, "its rule is not known any more  ");
	seen_text(out, i);
}

static void text(const struct suggest *s, struct pol_buf *out)
{
	const struct idea *open = NULL;

	pol_buf_addz(
		out,
		"# What audit saw since this policy was applied. Read it before you trust it: it allows\n"
		"# all that was seen, of whoever did it.\n");
	if (s->lost)
		pol_buf_printf(out, "# %" PRIu64 " flows found no room and are not among them.\n",
			       s->lost);
	for (size_t i = 0; i < s->fresh.n; i++)
		pol_buf_printf(out, "endpoint %s = %s;\n", s->fresh.v[i].name.p,
			       s->fresh.v[i].selector.p);
	for (size_t n = 0; n < s->ideas.n; n++) {
		const struct idea *i = &s->ideas.v[n];

		if (open && (!i->covered || !pol_str_eq(open->subject, i->subject) ||
			     open->audit != i->audit)) {
			pol_buf_addz(out, "}\n");
			open = NULL;
		}
		if (!i->covered) {
			uncovered_text(out, i);
			continue;
		}
		if (!open)
			pol_buf_printf(out, "policy \"suggested for %s%s\" on %s%s {\n",
				       i->subject.p, i->audit ? ", audit" : "", i->subject.p,
				       i->audit ? " audit" : "");
		open = i;
		pol_buf_printf(out, "    allow %s %s on %s;  ", way(i), i->peer.p, i->on.p);
		seen_text(out, i);
	}
	pol_buf_addz(out, open ? "}\n" : "");
}

static void json(const struct suggest *s, struct pol_buf *out)
{
	pol_buf_printf(out, "{\"lost\": %" PRIu64 ", \"classes\": [", s->lost);
	for (size_t i = 0; i < s->fresh.n; i++) {
		pol_buf_addz(out, i ? ", {\"name\": " : "{\"name\": ");
		pol_buf_json(out, s->fresh.v[i].name);
		prt_show_member(out, "selector", s->fresh.v[i].selector);
		pol_buf_addc(out, '}');
	}
	pol_buf_addz(out, "], \"flows\": [");
	for (size_t n = 0; n < s->ideas.n; n++) {
		const struct idea *i = &s->ideas.v[n];

		pol_buf_printf(out, "%s{\"covered\": %s, \"audit\": %s, \"direction\": \"%s\"",
			       n ? ",\n " : "", i->covered ? "true" : "false",
			       i->audit ? "true" : "false",
			       i->direction == POL_EGRESS ? "egress" : "ingress");
		prt_show_member(out, "subject", i->subject);
		prt_show_member(out, "peer", i->peer);
		prt_show_member(out, "on", i->on);
		pol_buf_printf(out, ", \"flows\": %" PRIu64 ", \"first\": \"", i->flows);
		prt_show_clock(out, i->first_ns, true);
		pol_buf_addz(out, "\", \"last\": \"");
		prt_show_clock(out, i->last_ns, true);
		pol_buf_addc(out, '"');
		if (i->rule) {
			pol_buf_addz(out, ", \"rule\": {\"reason\": ");
			prt_show_json(out, i->reason == POL_REASON_LIMIT    ? "limit"
					   : i->reason == POL_REASON_REJECT ? "reject"
									    : "policy");
			prt_show_rule_json(out, i->rule);
			pol_buf_addc(out, '}');
		}
		pol_buf_addc(out, '}');
	}
	pol_buf_addz(out, "]}\n");
}

int prt_show_suggest(struct prt_env *env, struct pol_buf *out, struct pol_err *e)
{
	struct suggest s = { .arena = pol_arena_new() };
	int r;

	prt_book_init(&s.book);
	r = gather(env, &s, e);
	if (!r && !s.ideas.n)
		prt_env_note(
			env,
			"audit saw nothing; it is on after `polload apply --audit`, and for policies with `audit`");
	if (!r && env->json)
		json(&s, out);
	else if (!r)
		text(&s, out);
	prt_book_close(&s.book);
	pol_vec_free(&s.ideas);
	pol_vec_free(&s.fresh);
	pol_arena_free(s.arena);
	return r;
}
