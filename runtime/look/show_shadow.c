/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <inttypes.h>

#include "show.h"
#include "runtime/generation/store.h"

struct pair { /* of rules that say different things of some flows */
	struct pol_shadow_key key;
	struct pol_shadow_diff diff;
};

struct report {
	struct prt_live l;
	struct prt_gen shadow;
	struct pol_shadow_sums sums;
	POL_VEC(struct pair) pair;
	struct prt_rules was, is;
};

static const char *verdict_name(uint8_t action)
{
	if (action & POL_SHADOW_HTTP)
		return "http";
	switch ((enum pol_action)action) {
	case POL_ALLOW:
		return "allow";
	case POL_REJECT:
		return "reject";
	case POL_DENY:
	case POL_SKIP:
	case POL_NONE:
		break;
	}
	return "deny";
}

/* ---- gathering ---------------------------------------------------------------------- */

static int by_flows(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->diff.flows != y->diff.flows)
		return x->diff.flows > y->diff.flows ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static int read_pairs(struct report *r, struct pol_err *e)
{
	int fd = r->shadow.fd[PRT_GEN_DIFFS];
	struct pol_shadow_key key, *last = NULL;
	struct pair p;

	while (!bpf_map_get_next_key(fd, last, &key)) {
		p.key = key;
		if (!bpf_map_lookup_elem(fd, &key, &p.diff))
			*pol_vec_push(&r->pair) = p;
		last = &key;
	}
	if (errno != ENOENT)
		return pol_err(e, -errno, "map '%s': cannot read: %s", POL_MAP_DIFFS,
			       strerror(errno));
	if (r->pair.n)
		qsort(r->pair.v, r->pair.n, sizeof(*r->pair.v), by_flows);
	return 0;
}

static int read_rules(struct prt_env *env, uint64_t gen, struct prt_rules *out, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	int r = prt_store_get(env, gen, &o, e);

	return r ? r : prt_rules_parse(o, out, e);
}

static int gather(struct prt_env *env, struct report *r, struct pol_err *e)
{
	int ret = prt_live_open(env, PRT_LOCK_SHARED, &r->l, e);
	uint64_t number = ret ? 0 : prt_shadow_of(&r->l.shared, r->l.gen.number);

	if (!ret && !number) {
		pol_err_help(e, "polload apply --shadow OBJECT makes one");
		return pol_err(e, -ENOENT, "there is no shadow");
	}
	ret = ret ? ret : prt_gen_open(env, number, false, &r->shadow, e);
	if (!ret &&
	    bpf_map_lookup_elem(r->shadow.fd[PRT_GEN_DIFF_SUMS], &(uint32_t){ 0 }, &r->sums))
		ret = pol_err(e, -errno, "map '%s': cannot read: %s", POL_MAP_DIFF_SUMS,
			      strerror(errno));
	ret = ret ? ret : read_pairs(r, e);
	ret = ret ? ret : read_rules(env, r->l.gen.number, &r->was, e);
	return ret ? ret : read_rules(env, number, &r->is, e);
}

/* ---- telling ---------------------------------------------------------------------------- */

static const struct prt_member *owner(const struct prt_live *l, const struct pol_addr *a)
{
	for (size_t i = 0; i < l->world.member.n; i++) {
		const struct prt_member *m = &l->world.member.v[i];

		for (size_t k = 0; k < m->addrs.n; k++) {
			if (!memcmp(&m->addrs.v[k].addr, a, sizeof(*a)))
				return m;
		}
	}
	return NULL;
}

static void peer(struct pol_buf *out, const struct prt_live *l, const struct pol_addr *a)
{
	const struct prt_member *m = owner(l, a);

	if (m)
		pol_buf_printf(out, "%s ", prt_safe(m->info.name));
	prt_show_addr(out, a);
}

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static void sample_text(struct pol_buf *out, const struct prt_live *l, const struct pol_asked *a)
{
	char room[8];

	pol_buf_addz(out, "from ");
	peer(out, l, &a->src);
	pol_buf_addz(out, " to ");
	peer(out, l, &a->dst);
	pol_buf_printf(out, " on %s %u", prt_show_proto(a->proto, room),
		       is_icmp(a->proto) ? a->type : be16toh(a->dport_be));
}

static void text(const struct report *r, struct pol_buf *out)
{
	pol_buf_printf(out, "shadow      %s, generation %" PRIu64 ", beside %s\n",
		       prt_safe(r->shadow.info.policy), r->shadow.number,
		       prt_safe(r->l.gen.info.policy));
	pol_buf_printf(out, "judged      %llu new flows, %llu that lived; %llu differently\n",
		       r->sums.fresh, r->sums.live, r->sums.differ);
	for (size_t i = 0; i < r->pair.n; i++) {
		const struct pair *p = &r->pair.v[i];

		pol_buf_printf(out, "%-11s %llu: %s by ", p->key.live ? "live" : "new",
			       p->diff.flows, verdict_name(p->key.was));
		prt_show_place(out, prt_rules_get(&r->was, p->key.was_rule));
		pol_buf_printf(out, " becomes %s by ", verdict_name(p->key.is));
		prt_show_place(out, prt_rules_get(&r->is, p->key.is_rule));
		pol_buf_addz(out, ": ");
		sample_text(out, &r->l, &p->diff.sample);
		pol_buf_addc(out, '\n');
	}
	if (r->sums.lost)
		pol_buf_printf(
			out,
			"lost        %llu differences by other rules: there are more than %u pairs\n",
			r->sums.lost, POL_SHADOW_DIFFS);
}

static void opinion_json(struct pol_buf *out, const char *key, const struct prt_rules *rules,
			 uint8_t action, uint32_t rule)
{
	struct pol_buf place = { 0 };

	prt_show_place(&place, prt_rules_get(rules, rule));
	pol_buf_printf(out, "\"%s\": {\"verdict\": \"%s\", \"rule\": ", key, verdict_name(action));
	pol_buf_json(out, pol_buf_str(&place));
	pol_buf_addc(out, '}');
	pol_buf_free(&place);
}

static void json(const struct report *r, struct pol_buf *out)
{
	char room[8];

	pol_buf_printf(out, "{\"generation\": %" PRIu64 ", \"beside\": %" PRIu64 ", \"policy\": ",
		       r->shadow.number, r->l.gen.number);
	prt_show_json(out, r->shadow.info.policy);
	pol_buf_printf(
		out,
		", \"new\": %llu, \"live\": %llu, \"differ\": %llu, \"lost\": %llu, \"differences\": [",
		r->sums.fresh, r->sums.live, r->sums.differ, r->sums.lost);
	for (size_t i = 0; i < r->pair.n; i++) {
		const struct pair *p = &r->pair.v[i];
		const struct pol_asked *a = &p->diff.sample;

		pol_buf_printf(out, "%s{\"flows\": %llu, \"live\": %s, ", i ? ",\n " : "",
			       p->diff.flows, p->key.live ? "true" : "false");
		opinion_json(out, "was", &r->was, p->key.was, p->key.was_rule);
		pol_buf_addz(out, ", ");
		opinion_json(out, "is", &r->is, p->key.is, p->key.is_rule);
		pol_buf_addz(out, ", \"sample\": {\"src\": \"");
		prt_show_addr(out, &a->src);
		pol_buf_addz(out, "\", \"dst\": \"");
		prt_show_addr(out, &a->dst);
		pol_buf_printf(out, "\", \"proto\": \"%s\", \"sport\": %u, \"dport\": %u}}",
			       prt_show_proto(a->proto, room), be16toh(a->sport_be),
			       is_icmp(a->proto) ? a->type : be16toh(a->dport_be));
	}
	pol_buf_addz(out, "]}\n");
}

int prt_show_shadow(struct prt_env *env, struct pol_buf *out, bool *differ, struct pol_err *e)
{
	struct report r = { 0 };
	int ret;

	prt_live_init(&r.l);
	prt_gen_init(&r.shadow);
	ret = gather(env, &r, e);
	if (!ret && env->json)
		json(&r, out);
	else if (!ret)
		text(&r, out);
	*differ = !ret && r.sums.differ;
	prt_rules_free(&r.was);
	prt_rules_free(&r.is);
	pol_vec_free(&r.pair);
	prt_gen_close(&r.shadow);
	prt_live_close(&r.l);
	return ret;
}

void prt_show_shadowed(const struct prt_env *env, const struct prt_shadowed *s, struct pol_buf *out)
{
	if (env->json) {
		pol_buf_printf(out, "{\"beside\": %" PRIu64 ", \"live\": %llu, \"differ\": %llu}\n",
			       s->beside, s->sums.live, s->sums.differ);
		return;
	}
	pol_buf_printf(out,
		       "%s judges beside generation %" PRIu64
		       " and changes nothing; of %llu live flows it would judge %llu differently\n",
		       prt_safe(s->policy), s->beside, s->sums.live, s->sums.differ);
}
