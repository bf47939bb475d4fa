/* SPDX-License-Identifier: GPL-2.0-only */
#include "query.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#define WORDS_MAX 64u
#define TEXT_MAX 65536u

#define PRT_SEE_NAMES(e, k, v) [PRT_SEE_##e] = { k, v },
static const struct {
	const char *kind, *verdict;
} sees[PRT_SEE_MAX] = { PRT_SEES(PRT_SEE_NAMES) };
#undef PRT_SEE_NAMES

#define POL_REASON_NAME(e, n, t) [POL_REASON_##e] = n,
static const char *const reasons[POL_REASON_MAX] = { POL_REASONS(POL_REASON_NAME) };
#undef POL_REASON_NAME
_Static_assert(POL_REASON_MAX <= POL_WATCH_REASONS, "a bit for each");

const char *prt_see_kind(enum prt_see s)
{
	return sees[s].kind;
}

const char *prt_see_verdict(enum prt_see s)
{
	return sees[s].verdict;
}

enum prt_see prt_see_of(const struct pol_event *v)
{
	switch (v->kind) {
	case POL_EVENT_NEW:
		return PRT_SEE_NEW;
	case POL_EVENT_LOG:
		return PRT_SEE_LOG;
	case POL_EVENT_AUDIT:
		return PRT_SEE_AUDIT;
	default:
		return v->reason == POL_REASON_POLICY   ? PRT_SEE_DENY
		       : v->reason == POL_REASON_REJECT ? PRT_SEE_REJECT
							: PRT_SEE_DROP;
	}
}

/* ---- words ----------------------------------------------------------------------------- */

struct words {
	struct pol_arena *arena;
	struct pol_str v[WORDS_MAX];
	size_t n, at;
	struct pol_err *e;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* A word ends at a blank outside of brackets and quotes. */
static size_t word_length(struct pol_str s)
{
	bool quoted = false, bracket = false;
	size_t i;

	for (i = 0; i < s.n && (quoted || bracket || !blank(s.p[i])); i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && s.p[i] == '[')
			bracket = true;
		else if (!quoted && s.p[i] == ']')
			bracket = false;
	}
	return quoted || bracket ? 0 : i;
}

static int split(struct words *w, char *const *args, size_t n)
{
	struct pol_buf text = { 0 };
	struct pol_str s;

	for (size_t i = 0; i < n; i++) {
		pol_buf_addz(&text, args[i]);
		pol_buf_addc(&text, ' ');
	}
	s = pol_arena_str(w->arena, pol_buf_str(&text));
	pol_buf_free(&text);
	if (s.n > TEXT_MAX)
		return pol_err(w->e, -EINVAL, "longer than 64 KiB");
	for (;;) {
		size_t k;

		while (s.n && blank(*s.p))
			s.p++, s.n--;
		if (!s.n)
			return 0;
		k = word_length(s);
		if (!k)
			return pol_err(w->e, -EINVAL, "`%s`: a bracket or quote is not closed",
				       prt_safe(s.p));
		if (w->n == WORDS_MAX)
			return pol_err(w->e, -EINVAL, "more than %u words", WORDS_MAX);
		w->v[w->n++] = pol_arena_str(w->arena, (struct pol_str){ s.p, k });
		s.p += k;
		s.n -= k;
	}
}

static struct pol_str next(struct words *w)
{
	return w->at < w->n ? w->v[w->at++] : (struct pol_str){ "", 0 };
}

static bool take(struct words *w, const char *word)
{
	bool is = w->at < w->n && pol_str_is(w->v[w->at], word);

	w->at += is;
	return is;
}

static int not_understood(struct words *w, struct pol_str s, const char *wanted)
{
	pol_err_help(w->e, "polload(8) says how flows and filters are written");
	return s.n ? pol_err(w->e, -EINVAL, "`%s`: not %s", prt_safe(s.p), wanted)
		   : pol_err(w->e, -EINVAL, "%s is missing at the end", wanted);
}

static bool number(struct pol_str s, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;

	if (!s.n || s.n > 9)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(s.p[i] - '0');
	}
	*out = v;
	return v <= max;
}

/* ---- peers -------------------------------------------------------------------------------- */

static struct pol_str unquoted(struct words *w, struct pol_str s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return pol_arena_str(w->arena, (struct pol_str){ s.p + 1, s.n - 2 });
	return s;
}

/* "[a=b, c=d]" without its brackets. */
static int parse_labels(struct words *w, struct pol_str s, struct prt_peer *p)
{
	POL_VEC(struct prt_label) v = { 0 };
	struct prt_label *copy;
	int r = 0;

	while (s.n && !r) {
		const char *comma = memchr(s.p, ',', s.n), *eq;
		struct pol_str one = { s.p, comma ? (size_t)(comma - s.p) : s.n };

		s.p += one.n + !!comma;
		s.n -= one.n + !!comma;
		while (one.n && blank(*one.p))
			one.p++, one.n--;
		while (one.n && blank(one.p[one.n - 1]))
			one.n--;
		eq = memchr(one.p, '=', one.n);
		if (!eq || eq == one.p) {
			r = not_understood(w, pol_arena_str(w->arena, one), "a label KEY=VALUE");
			break;
		}
		*pol_vec_push(&v) = (struct prt_label){
			unquoted(w, pol_arena_str(w->arena,
						  (struct pol_str){ one.p, (size_t)(eq - one.p) })),
			unquoted(w,
				 pol_arena_str(w->arena,
					       (struct pol_str){
						       eq + 1, one.n - (size_t)(eq - one.p) - 1 })),
		};
	}
	if (!r && !v.n)
		r = not_understood(w, p->text, "labels: there are none in the brackets");
	copy = pol_arena_alloc(w->arena, (v.n + 1) * sizeof(*copy));
	if (v.n)
		memcpy(copy, v.v, v.n * sizeof(*copy));
	p->labels = copy;
	p->nlabels = v.n;
	pol_vec_free(&v);
	return r;
}

static int parse_net(struct words *w, struct pol_str s, struct prt_peer *p)
{
	enum pol_ip_error why = pol_prefix_parse(s, &p->net);

	if (why)
		return pol_err(w->e, -EINVAL, "`%s`: %s", prt_safe(p->text.p),
			       pol_ip_error_text(why));
	p->has_net = true;
	return 0;
}

static bool like_address(struct pol_str s)
{
	struct pol_prefix p;
	enum pol_ip_error why = pol_prefix_parse(s, &p);

	return why != POL_IP_SYNTAX;
}

static int parse_peer(struct words *w, struct prt_peer *p)
{
	static const struct {
		const char *word;
		enum prt_peer_kind kind;
	} fixed[] = {
		{ "any", PRT_PEER_ANY },
		{ "world", PRT_PEER_WORLD },
		{ "host", PRT_PEER_HOST },
		{ "nodes", PRT_PEER_NODES },
	};
	struct pol_str s = next(w);
	const char *end, *at;

	*p = (struct prt_peer){ .text = s };
	if (!s.n)
		return not_understood(w, s, "a peer");
	for (size_t i = 0; i < POL_ARRAY_LEN(fixed); i++) {
		if (pol_str_is(s, fixed[i].word)) {
			p->kind = fixed[i].kind;
			return 0;
		}
	}
	end = s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
	if (end) {
		int r = parse_labels(w, (struct pol_str){ s.p + 1, (size_t)(end - s.p) - 1 }, p);
		size_t rest = s.n - (size_t)(end + 1 - s.p);

		p->kind = PRT_PEER_LABELS;
		if (r || !rest)
			return r;
		return end[1] == '@' ? parse_net(w, (struct pol_str){ end + 2, rest - 1 }, p)
				     : not_understood(w, s, "a peer");
	}
	if (like_address(s)) {
		p->kind = PRT_PEER_NET;
		return parse_net(w, s, p);
	}
	p->kind = PRT_PEER_NAME;
	at = memrchr(s.p, '@', s.n);
	p->name = unquoted(w, pol_arena_str(w->arena, (struct pol_str){ s.p, at ? (size_t)(at - s.p)
										: s.n }));
	return at ? parse_net(w, (struct pol_str){ at + 1, s.n - (size_t)(at + 1 - s.p) }, p) : 0;
}

/* ---- protocols ------------------------------------------------------------------------------- */

static int parse_port(struct words *w, struct prt_query *f, struct pol_str s)
{
	bool icmp = f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;
	const char *dash = memchr(s.p, '-', s.n);
	uint32_t lo, hi;
	int type = icmp ? pol_icmp_type(f->proto, s) : -1;

	if (type >= 0) {
		lo = hi = (uint32_t)type;
	} else {
		struct pol_str first = { s.p, dash ? (size_t)(dash - s.p) : s.n };
		struct pol_str last =
			dash ? (struct pol_str){ dash + 1, s.n - first.n - 1 } : first;

		if (!number(first, icmp ? 255 : 65535, &lo) ||
		    !number(last, icmp ? 255 : 65535, &hi) || lo > hi)
			return not_understood(w, s, icmp ? "an ICMP type" : "a port");
	}
	f->has_port = true;
	f->port_lo = (uint16_t)lo;
	f->port_hi = (uint16_t)hi;
	return 0;
}

static int parse_on(struct words *w, struct prt_query *f)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} protos[] = {
		{ "tcp", IPPROTO_TCP },   { "udp", IPPROTO_UDP },      { "sctp", IPPROTO_SCTP },
		{ "icmp", IPPROTO_ICMP }, { "icmp6", IPPROTO_ICMPV6 }, { "icmpv6", IPPROTO_ICMPV6 },
	};
	struct pol_str s = next(w);
	uint32_t v;

	f->has_proto = true;
	if (pol_str_is(s, "proto")) {
		s = next(w);
		if (!number(s, 255, &v))
			return not_understood(w, s, "a protocol's number");
		f->proto = (uint8_t)v;
		return 0;
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(protos); i++) {
		if (!pol_str_is(s, protos[i].word))
			continue;
		f->proto = protos[i].proto;
		s = w->at < w->n ? w->v[w->at] : (struct pol_str){ "", 0 };
		if (!s.n || (!(s.p[0] >= '0' && s.p[0] <= '9') && pol_icmp_type(f->proto, s) < 0))
			return 0;
		w->at++;
		return parse_port(w, f, s);
	}
	return not_understood(w, s, "a protocol");
}

/* ---- the rest of a filter ----------------------------------------------------------------------- */

static int parse_reason(struct words *w, struct prt_query *f)
{
	struct pol_str s = next(w);

	for (unsigned i = 1; i < POL_REASON_MAX; i++) {
		if (!pol_str_is(s, reasons[i]))
			continue;
		f->reasons[i / 64] |= 1ull << i % 64;
		return 0;
	}
	return not_understood(w, s, "a reason (polload status names those that occur)");
}

static int parse_rule(struct words *w, struct prt_query *f)
{
	struct pol_str s = next(w);
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
	struct pol_str line =
		colon ? (struct pol_str){ colon + 1, s.n - (size_t)(colon + 1 - s.p) } : s;

	if (!number(line, 0x7fffffff, &f->rule_line))
		return not_understood(w, s, "a rule as FILE:LINE");
	f->has_rule = true;
	if (colon)
		f->rule_file =
			pol_arena_str(w->arena, (struct pol_str){ s.p, (size_t)(colon - s.p) });
	return 0;
}

static uint32_t mask_of(struct pol_str s, bool kind)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < PRT_SEE_MAX; i++)
		if (pol_str_is(s, kind ? sees[i].kind : sees[i].verdict))
			mask |= 1u << i;
	if (kind && pol_str_is(s, "new")) /* whoever asks for new connections wants all of them */
		mask |= 1u << PRT_SEE_LOG;
	return mask;
}

static int parse_filter(struct words *w, struct prt_query *f)
{
	uint32_t kinds = 0, verdicts = 0;
	int r = 0;

	while (!r && w->at < w->n) {
		struct pol_str s = w->v[w->at];

		if (mask_of(s, true)) {
			kinds |= mask_of(next(w), true);
		} else if (mask_of(s, false)) {
			verdicts |= mask_of(next(w), false);
		} else if (take(w, "from")) {
			f->has_from = true;
			r = parse_peer(w, &f->from);
		} else if (take(w, "to")) {
			f->has_to = true;
			r = parse_peer(w, &f->to);
		} else if (take(w, "peer")) {
			f->has_peer = true;
			r = parse_peer(w, &f->peer);
		} else if (take(w, "on")) {
			r = parse_on(w, f);
		} else if (take(w, "reason")) {
			r = parse_reason(w, f);
		} else if (take(w, "rule")) {
			r = parse_rule(w, f);
		} else {
			r = not_understood(w, s, "a word of a filter");
		}
	}
	f->sees = (kinds ? kinds : ~0u) & (verdicts ? verdicts : ~0u);
	if (!r && !(f->sees & ((1u << PRT_SEE_MAX) - 1)))
		r = pol_err(w->e, -EINVAL, "nothing is both of what these words ask for");
	return r;
}

static int parse_flow(struct words *w, struct prt_query *f)
{
	bool ports;
	int r;

	f->sees = ~0u;
	f->has_from = f->has_to = true;
	r = take(w, "from") ? parse_peer(w, &f->from) : not_understood(w, next(w), "`from`");
	r = r ? r : take(w, "to") ? parse_peer(w, &f->to) : not_understood(w, next(w), "`to`");
	r = r ? r : take(w, "on") ? parse_on(w, f) : not_understood(w, next(w), "`on`");
	ports = f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || f->proto == IPPROTO_SCTP ||
		f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;
	if (!r && ((ports && !f->has_port) || f->port_lo != f->port_hi)) {
		pol_err_help(w->e, "write `on tcp 80`, `on icmp echo-request`, or `on proto 47`");
		r = pol_err(w->e, -EINVAL, "a flow has one protocol and one port");
	}
	if (r || w->at == w->n)
		return r;
	f->method = next(w);
	f->path = unquoted(w, next(w));
	if (f->proto != IPPROTO_TCP)
		return pol_err(w->e, -EINVAL, "`%s`: only a flow on tcp carries requests",
			       prt_safe(f->method.p));
	if (!f->path.n)
		return not_understood(w, f->path, "a path");
	return w->at == w->n ? 0 : not_understood(w, next(w), "the end of the flow");
}

int prt_query_parse(struct pol_arena *arena, char *const *words, size_t n, bool flow,
		    struct prt_query *out, struct pol_err *e)
{
	struct words w = { .arena = arena, .e = e };
	int r = split(&w, words, n);

	*out = (struct prt_query){ 0 };
	return r ? r : flow ? parse_flow(&w, out) : parse_filter(&w, out);
}
