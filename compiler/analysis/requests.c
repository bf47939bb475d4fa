/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/requests.h"

#define AUTOMATA_MAX 16u

/* Where in METHOD SP host SP path; at the beginning of a part it cannot end yet. */
enum part { METHOD_BEGIN, METHOD, HOST_BEGIN, HOST, PATH, PARTS };

struct node {
	uint32_t state[AUTOMATA_MAX];
	uint32_t from;		/* node that led here */
	uint8_t part, byte;
};

struct walk {
	const struct pol_requests *q;
	const struct pol_http_view *view;
	uint32_t automaton[AUTOMATA_MAX];
	size_t n;
	POL_VEC(struct node) nodes;
	uint32_t *slot;		/* hash table: node + 1 */
	size_t nslots;
	uint64_t *steps;
	struct pol_arena *arena;
	bool unsure;
};

/* ---- what the lines at the end say ------------------------------------------------------- */

static size_t place(const struct walk *w, uint32_t automaton)
{
	size_t i = 0;

	while (i < w->n && w->automaton[i] != automaton)
		i++;
	return i;
}

struct tally {
	bool deny, deny_if;	/* a deny line; one that asks for headers */
	bool allow, allow_if;
};

static struct tally count(const struct walk *w, const struct node *node,
			  const struct pol_eval_side *side)
{
	struct tally t = { .allow = side->plain };

	for (size_t i = 0; i < side->nhttp; i++) {
		const struct pol_http_rule *r = &w->view->rules[side->http[i]];
		size_t at = place(w, r->automaton);
		const struct pol_http_automaton *m = &w->view->automata[r->automaton];
		const uint32_t *accept = (const void *)((const char *)w->view->image + m->accept_at);
		const uint32_t *set = &w->view->sets[accept[node->state[at]]];

		for (uint32_t k = 1; k <= set[0]; k++) {
			const struct pol_http_line_info *l = &w->view->lines[set[k]];

			if (l->http_rule != side->http[i])
				continue;
			if (l->flags & POL_HTTP_DENY)
				*(l->ntests ? &t.deny_if : &t.deny) = true;
			else
				*(l->ntests ? &t.allow_if : &t.allow) = true;
		}
	}
	return t;
}

/*
 * Headers are free: without any, lines that ask for some do not match.  What is needed to match
 * an allow line may match a deny line too; whether it must is not looked into.
 */
static enum pol_answer answer(const struct walk *w, const struct node *node)
{
	enum pol_answer all = w->q->allowed ? POL_YES : POL_NO;

	for (unsigned d = 0; d < POL_DIRECTIONS; d++) {
		const struct pol_eval_side *side = w->q->side[d];
		struct tally t;

		if (!side || !side->nhttp)
			continue;
		t = count(w, node, side);
		if (!w->q->allowed && (t.deny || t.deny_if || !t.allow))
			return POL_YES;
		if (w->q->allowed && (t.deny || (!t.allow && !t.allow_if)))
			return POL_NO;
		if (w->q->allowed && !t.allow && t.deny_if)
			all = POL_UNDECIDED;
	}
	return all;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static uint32_t next_state(const struct walk *w, size_t i, uint32_t state, uint8_t byte)
{
	const struct pol_http_automaton *m = &w->view->automata[w->automaton[i]];
	const char *image = (const void *)w->view->image;
	const uint8_t *class = (const void *)(image + m->class_at);
	const uint16_t *next = (const void *)(image + m->next_at);

	return next[(size_t)state * m->classes + class[byte]];
}

static size_t slot_of(const struct walk *w, const struct node *n)
{
	uint64_t seed = n->part;
	size_t at = pol_hash(n->state, w->n * sizeof(n->state[0]), seed) & (w->nslots - 1);

	while (w->slot[at]) {
		const struct node *have = &w->nodes.v[w->slot[at] - 1];

		if (have->part == n->part &&
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
		abort();
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
		return c > 0x20 && c < 0x7f && !strchr("\"#;<>?\\^`{|}", c);
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
	enum pol_answer a = answer(w, &w->nodes.v[at]);

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
		visit(w, &n);
	}
}

static void go(struct walk *w, uint32_t from, struct pol_str a, struct pol_str b, enum part part,
	       uint8_t byte)
{
	struct node n = w->nodes.v[from];

	for (size_t k = 0; k < w->n; k++) {
		for (size_t i = 0; i < a.n; i++)
			n.state[k] = next_state(w, k, n.state[k], (uint8_t)a.p[i]);
		for (size_t i = 0; i < b.n; i++)
			n.state[k] = next_state(w, k, n.state[k], (uint8_t)b.p[i]);
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
		first.state[i] = w->view->automata[w->automaton[i]].start;
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
	return !*w->steps || w->unsure ? POL_UNDECIDED : POL_NO;
}

static enum pol_answer find(const struct pol_requests *q, uint64_t *budget, struct pol_arena *a,
			    struct pol_request_witness *out)
{
	struct walk w = { .q = q, .view = &q->ir->http, .steps = budget, .arena = a };
	enum pol_answer result;

	*out = (struct pol_request_witness){ 0 };
	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		for (size_t i = 0; q->side[d] && i < q->side[d]->nhttp; i++) {
			uint32_t m = w.view->rules[q->side[d]->http[i]].automaton;

			if (place(&w, m) < w.n)
				continue;
			if (w.n == AUTOMATA_MAX)
				return POL_UNDECIDED;
			w.automaton[w.n++] = m;
		}
	if (!w.n)
		return q->allowed ? POL_YES : POL_NO;
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
