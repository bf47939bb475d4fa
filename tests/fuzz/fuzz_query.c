/* SPDX-License-Identifier: GPL-2.0-only */
/* Flows and filters of a command line, as one word and as many: refused with a text, or in bounds. */
#include "runtime/look/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The only thing of the loader that messages need. */
const char *prt_safe(const char *text)
{
	return text;
}

static void peer(const struct prt_peer *p)
{
	if (p->kind > PRT_PEER_LABELS || (p->has_net && p->net.len > 128) ||
	    (p->kind == PRT_PEER_LABELS && !p->nlabels))
		abort();
	for (size_t i = 0; i < p->nlabels; i++)
		if (!p->labels[i].key.n || p->labels[i].key.p[p->labels[i].key.n] ||
		    p->labels[i].value.p[p->labels[i].value.n])
			abort();
}

static void query(char *const *words, size_t n, bool flow)
{
	struct pol_arena *arena = pol_arena_new();
	struct pol_err err = { 0 };
	struct prt_query q;

	if (prt_query_parse(arena, words, n, flow, &q, &err)) {
		if (!err.text[0])
			abort();
	} else {
		peer(&q.from);
		peer(&q.to);
		peer(&q.peer);
		if (q.port_lo > q.port_hi || !(q.sees & ((1u << PRT_SEE_MAX) - 1)) ||
		    (flow && (!q.has_from || !q.has_to || !q.has_proto)))
			abort();
	}
	pol_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), *words[64];
	size_t count = 0;

	memcpy(text, data, n);
	text[n] = '\0';
	query(&text, 1, true);
	query(&text, 1, false);
	for (char *at = strtok(text, " "); at && count < 64; at = strtok(NULL, " "))
		words[count++] = at;
	query(words, count, true);
	query(words, count, false);
	free(text);
	return 0;
}
