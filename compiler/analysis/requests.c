/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/requests.h"

#include <ctype.h>

#define AUTOMATA_MAX 16u

/* Where in METHOD SP host SP path; at the beginning of a part it cannot end yet. */
enum part { METHOD_BEGIN, METHOD, HOST_BEGIN, HOST, PATH, PARTS };

/* What the last segment is so far: `//`, `/./` and `/../` are no canonical paths (400). */
enum segment { EMPTY, DOT, DOTS, OTHER };

struct node {
	uint32_t state[AUTOMATA_MAX];
	uint32_t from; /* node that led here */
	uint8_t part, byte;
	uint8_t segment; /* enum segment, of a path */
};

struct automaton {
	const struct pol_http_view *view;
	uint32_t number;
};

struct walk {
	const struct pol_requests *q;
	struct automaton automaton[AUTOMATA_MAX];
	size_t n;
	size_t each; /* n; or half of it: the path asked about has another reading, and they follow again for it */
	struct pol_str read; /* that */
	POL_VEC(struct node) nodes;
	uint32_t *slot; /* hash table: node + 1 */
	size_t nslots;
	uint64_t *steps;
	struct pol_arena *arena;
	bool unsure;
};

/* ---- what the lines at the end say ------------------------------------------------------- */

static size_t place(const struct walk *w, const struct pol_http_view *view, uint32_t number)
{
	size_t i = 0;

	while (i < w->n && (w->automaton[i].view != view || w->automaton[i].number != number))
		i++;
	return i;
}

struct tally {
	bool deny, deny_if; /* a deny line; one that asks for headers */
	bool allow, allow_if;
	uint64_t sign[2]; /* of the lines that ask for headers or upgrade, in any order */
};

static void sign_line(struct tally *t, const struct pol_http_view *v,
		      const struct pol_http_line_info *l)
{
	struct pol_str text = pol_http_string(v, l->source);

	t->sign[0] += pol_hash(text.p, text.n, 11);
	t->sign[1] += pol_hash(text.p, text.n, 0x9e3779b97f4a7c15);
}

/* `from`: the first automaton of the reading. */
static struct tally count(const struct walk *w, const struct pol_http_view *v,
			  const struct node *node, const struct pol_eval_side *side, size_t from)
{
	struct tally t = { .allow = side->plain };

	for (size_t i = 0; i < side->nhttp; i++) {
		const struct pol_http_rule *r = &v->rules[side->http[i]];
		size_t at = place(w, v, r->automaton);
		const struct pol_http_automaton *m = &v->automata[r->automaton];
		const uint32_t *accept = (const void *)((const char *)v->image + m->accept_at);
		const uint32_t *set = &v->sets[accept[node->state[from + at]]];

		for (uint32_t k = 1; k <= set[0]; k++) {
			const struct pol_http_line_info *l = &v->lines[set[k]];

			if (l->http_rule != side->http[i])
				continue;
			if (l->ntests || l->flags & POL_HTTP_WEBSOCKET)
				sign_line(&t, v, l);
			if (l->flags & POL_HTTP_DENY)
				*(l->ntests ? &t.deny_if : &t.deny) = true;
			else
				*(l->ntests ? &t.allow_if : &t.allow) = true;
		}
	}
	return t;
}

/* What one policy says of the requests that end in a node, of both sides together. */
struct saying {
	bool passes; /* without any header that a line asks for */
	bool may_pass, may_fail; /* with some */
	uint64_t sign[2];
};

static void say_side(const struct walk *w, const struct pol_requests *q, const struct node *node,
		     unsigned d, size_t from, struct saying *s)
{
	const struct pol_eval_side *side = q->side[d];
	struct tally t;

	if (!side || !side->nhttp)
		return;
	t = count(w, &q->ir->http, node, side, from);
	s->passes = s->passes && t.allow && !t.deny;
	s->may_pass = s->may_pass && (t.allow || t.allow_if) && !t.deny;
	s->may_fail = s->may_fail || t.deny || t.deny_if || !t.allow;
	for (unsigned i = 0; i < 2; i++)
		s->sign[i] += (t.sign[i] * 4 + t.allow * 2u + t.deny) * (d + 1);
}

static struct saying say(const struct walk *w, const struct pol_requests *q,
			 const struct node *node)
{
	struct saying s = { .passes = true, .may_pass = true };

	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		for (size_t from = 0; from < w->n; from += w->each)
			say_side(w, q, node, d, from, &s);
	return s;
}

/*
 * Passes it here and not there?  Where both policies ask the same of headers they say the same
 * whatever the headers are.
 */
static enum pol_answer compare(const struct walk *w, const struct node *node)
{
	struct saying a = say(w, w->q, node), b = say(w, w->q->but, node);

	if (!a.may_pass || !(b.may_fail || !b.passes))
		return POL_NO;
	if (a.passes && !b.passes)
		return POL_YES;
	return a.sign[0] == b.sign[0] && a.sign[1] == b.sign[1] ? POL_NO : POL_UNDECIDED;
}

/*
 * Headers are free: without any, lines that ask for some do not match.  What is needed to match
 * an allow line may match a deny line too; whether it must is not looked into.
 */
static enum pol_answer answer_side(const struct walk *w, const struct node *node,
				   const struct pol_eval_side *side, size_t from)
{
	struct tally t;

	if (!side || !side->nhttp)
		return w->q->allowed ? POL_YES : POL_NO;
	t = count(w, &w->q->ir->http, node, side, from);
	if (!w->q->allowed)
		return t.deny || t.deny_if || !t.allow ? POL_YES : POL_NO;
	if (t.deny || (!t.allow && !t.allow_if))
		return POL_NO;
	return !t.allow && t.deny_if ? POL_UNDECIDED : POL_YES;
}

/* It passes if it does so on both sides and in each reading, and fails if it does in any. */
static enum pol_answer answer(const struct walk *w, const struct node *node)
{
	enum pol_answer all = w->q->allowed ? POL_YES : POL_NO,
			last = all == POL_YES ? POL_NO : POL_YES;

	if (w->q->but)
		return compare(w, node);
	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		for (size_t from = 0; from < w->n; from += w->each) {
			enum pol_answer one = answer_side(w, node, w->q->side[d], from);

			if (one == last)
				return one;
			if (one == POL_UNDECIDED)
				all = one;
		}
	return all;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static uint32_t next_state(const struct walk *w, size_t i, uint32_t state, uint8_t byte)
{
	const struct pol_http_view *v = w->automaton[i].view;
	const struct pol_http_automaton *m = &v->automata[w->automaton[i].number];
	const char *image = (const void *)v->image;
	const uint8_t *class = (const void *)(image + m->class_at);
	const uint16_t *next = (const void *)(image + m->next_at);

	return next[(size_t)state * m->classes + class[byte]];
}

static size_t slot_of(const struct walk *w, const struct node *n)
{
	uint64_t seed = n->part * 8u + n->segment;
	size_t at = pol_hash(n->state, w->n * sizeof(n->state[0]), seed) & (w->nslots - 1);

	while (w->slot[at]) {
		const struct node *have = &w->nodes.v[w->slot[at] - 1];

		if (have->part == n->part && have->segment == n->segment &&
		    !memcmp(have->state, n->state, w->n * sizeof(n->state[0])))
			break;
		at = (at + 1) & (w->nslots - 1);
	}
	return at;
}

static void grow(struct walk *w)
{
	if (2 * (w->nodes.n + 1) < w->nslots)
		return;
	free(w->slot);
	w->nslots = w->nslots ? 2 * w->nslots : 1024;
	w->slot = calloc(w->nslots, sizeof(*w->slot));
	if (!w->slot)
		pol_no_memory();
	for (size_t i = 0; i < w->nodes.n; i++)
		w->slot[slot_of(w, &w->nodes.v[i])] = (uint32_t)i + 1;
}

static void visit(struct walk *w, const struct node *n)
{
	size_t at;

	grow(w);
	at = slot_of(w, n);
	if (w->slot[at] || !*w->steps)
		return;
	--*w->steps;
	*pol_vec_push(&w->nodes) = *n;
	w->slot[at] = (uint32_t)w->nodes.n;
}

static struct node step(const struct walk *w, uint32_t from, uint8_t byte, enum part part)
{
	struct node to = { .from = from, .byte = byte, .part = (uint8_t)part };

	for (size_t i = 0; i < w->n; i++)
		to.state[i] = next_state(w, i, w->nodes.v[from].state[i], byte);
	return to;
}

/* What a byte of that part can be; those that the proxy refuses are left out. */
static bool can_be(enum part part, unsigned char c)
{
	static const char mark[] = "-._";

	switch (part) {
	case METHOD_BEGIN:
	case METHOD:
		return c >= 'A' && c <= 'Z';
	case HOST_BEGIN:
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '[';
	case HOST:
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr(mark, c)) ||
		       c == '[' || c == ']' || c == ':';
	case PATH:
		return isalnum(c) || (c && strchr("-._~/!$&'()*+,=:@", c));
	case PARTS:
		break;
	}
	return false;
}

/* The text of a part of the way to a node. */
static struct pol_str spelt(const struct walk *w, uint32_t at, enum part part)
{
	char text[4096];
	size_t n = 0;

	for (; at; at = w->nodes.v[at].from)
		if (w->nodes.v[at].part == part && w->nodes.v[at].byte && n < sizeof(text))
			text[sizeof(text) - ++n] = (char)w->nodes.v[at].byte;
	return pol_arena_str(w->arena, (struct pol_str){ text + sizeof(text) - n, n });
}

static bool found(struct walk *w, uint32_t at, struct pol_request_witness *out)
{
	const struct pol_requests *q = w->q;
	enum pol_answer a;

	if (w->nodes.v[at].segment == DOT || w->nodes.v[at].segment == DOTS)
		return false;
	a = answer(w, &w->nodes.v[at]);

	if (a == POL_UNDECIDED)
		w->unsure = true;
	if (a != POL_YES)
		return false;
	out->method = q->method.p ? q->method : spelt(w, at, METHOD);
	out->host = spelt(w, at, HOST);
	out->path = q->path.p ? q->path : spelt(w, at, PATH);
	/* one that gets 400 is neither allowed nor denied by a line */
	if (pol_http_path_fault(out->path)) {
		w->unsure = true;
		return false;
	}
	return true;
}

/* False: no canonical path goes on like that. */
static bool segment(struct node *n, enum segment before, unsigned char c)
{
	n->segment = c != '.' ? OTHER : before == EMPTY ? DOT : before == DOT ? DOTS : OTHER;
	if (c == '/')
		n->segment = EMPTY;
	return c != '/' || before == OTHER;
}

/*
 * Encoded bytes are not tried.  Where no pattern names the percent sign it is to all automata as
 * some other sign is, and with that in its place the path is one of those that are tried; so is its other
 * reading, and a request fails where one of them does.
 */
static bool percent_is_like_others(const struct walk *w)
{
	for (unsigned char c = '!'; c < 0x7f; c++) {
		bool alike = can_be(PATH, c) && c != '/' && c != '.';

		for (size_t i = 0; i < w->n && alike; i++) {
			const struct pol_http_view *v = w->automaton[i].view;
			const uint8_t *class =
				(const void *)((const char *)v->image +
					       v->automata[w->automaton[i].number].class_at);

			alike = class['%'] == class[c];
		}
		if (alike)
			return true;
	}
	return false;
}

/* The part goes on by any byte. */
static void spread(struct walk *w, uint32_t at, enum part part)
{
	enum part here = w->nodes.v[at].part;
	struct node n;

	/* letters first: of two ways to one state the one that people would write */
	for (unsigned i = 0; i < 128; i++) {
		unsigned char c = (unsigned char)((i + 'a') % 128);

		if (!can_be(here, c))
			continue;
		n = step(w, at, c, part);
		if (here == PATH && !segment(&n, w->nodes.v[at].segment, c))
			continue;
		visit(w, &n);
	}
}

/* `b`: a text, or the path, which the automata of its other reading read so. */
static void go(struct walk *w, uint32_t from, struct pol_str a, struct pol_str b, enum part part,
	       uint8_t byte)
{
	struct node n = w->nodes.v[from];

	for (size_t k = 0; k < w->n; k++) {
		struct pol_str then = part == PATH && k >= w->each ? w->read : b;

		for (size_t i = 0; i < a.n; i++)
			n.state[k] = next_state(w, k, n.state[k], (uint8_t)a.p[i]);
		for (size_t i = 0; i < then.n; i++)
			n.state[k] = next_state(w, k, n.state[k], (uint8_t)then.p[i]);
	}
	n.from = from;
	n.byte = byte;
	n.part = (uint8_t)part;
	visit(w, &n);
}

static enum pol_answer run(struct walk *w, struct pol_request_witness *out)
{
	const struct pol_str space = POL_STR(" "), slash = POL_STR("/"), none = { NULL, 0 };
	const struct pol_requests *q = w->q;
	struct node first = { .part = METHOD_BEGIN };

	for (size_t i = 0; i < w->n; i++)
		first.state[i] = w->automaton[i].view->automata[w->automaton[i].number].start;
	visit(w, &first);
	for (uint32_t at = 0; at < w->nodes.n && *w->steps; at++) {
		enum part part = w->nodes.v[at].part;

		if (part == METHOD_BEGIN && q->method.p)
			go(w, at, q->method, space, HOST_BEGIN, 0);
		else if (part <= METHOD)
			spread(w, at, METHOD);
		if (part == METHOD)
			go(w, at, space, none, HOST_BEGIN, 0);
		if (part == HOST_BEGIN || part == HOST)
			spread(w, at, HOST);
		if (part == HOST && q->path.p)
			go(w, at, space, q->path, PATH, 0);
		else if (part == HOST)
			go(w, at, space, slash, PATH, '/');
		if (part == PATH && found(w, at, out))
			return POL_YES;
		if (part == PATH && !q->path.p)
			spread(w, at, PATH);
	}
	return !*w->steps || w->unsure || (!q->path.p && !percent_is_like_others(w)) ? POL_UNDECIDED
										     : POL_NO;
}

/* False: too many at once. */
static bool gather(struct walk *w, const struct pol_requests *q)
{
	const struct pol_http_view *v = &q->ir->http;

	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		for (size_t i = 0; q->side[d] && i < q->side[d]->nhttp; i++) {
			uint32_t m = v->rules[q->side[d]->http[i]].automaton;

			if (place(w, v, m) < w->n)
				continue;
			if (w->n == AUTOMATA_MAX)
				return false;
			w->automaton[w->n++] = (struct automaton){ v, m };
		}
	return true;
}

/* False: too many at once. */
static bool gather_readings(struct walk *w)
{
	struct pol_str path = w->q->path;

	w->each = w->n;
	if (!path.p)
		return true;
	w->read = pol_http_read(path, POL_HTTP_READ_PATH, pol_arena_alloc(w->arena, path.n + 1));
	if (pol_str_eq(w->read, path))
		return true;
	if (2 * w->n > AUTOMATA_MAX)
		return false;
	memcpy(w->automaton + w->n, w->automaton, w->n * sizeof(w->automaton[0]));
	w->n *= 2;
	return true;
}

static enum pol_answer find(const struct pol_requests *q, uint64_t *budget, struct pol_arena *a,
			    struct pol_request_witness *out)
{
	struct walk w = { .q = q, .steps = budget, .arena = a };
	enum pol_answer result;

	*out = (struct pol_request_witness){ 0 };
	if (!gather(&w, q) || (q->but && !gather(&w, q->but)))
		return POL_UNDECIDED;
	if (!w.n)
		return q->allowed && !q->but ? POL_YES : POL_NO;
	if (!gather_readings(&w))
		return POL_UNDECIDED;
	result = run(&w, out);
	pol_vec_free(&w.nodes);
	free(w.slot);
	return result;
}

enum pol_answer pol_requests_find(const struct pol_requests *q, uint64_t *budget,
				  struct pol_arena *a, struct pol_request_witness *out)
{
	struct pol_requests get = *q;

	/* of all methods the one that people expect to see, if it will do */
	get.method = POL_STR("GET");
	if (!q->method.p && find(&get, budget, a, out) == POL_YES)
		return POL_YES;
	return find(q, budget, a, out);
}
