/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of the whole compiler up to clang, with its result carried out: what tables say of
 * endpoints, peers and ports is what the reference evaluator says (tests/unit/judge.h).
 *
 * The input is one policy (texts.h).  Endpoints have labels that its selectors ask for, peers have
 * addresses at the ends of its ranges, ports likewise; which of them meet, the bytes of the input
 * decide.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "compiler/emit.h"
#include "compiler/lower.h"
#include "lang/resolve.h"
#include "tests/unit/judge.h"
#include "texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FLOWS 24 /* sides that are judged for each input */
#define KEYS 6 /* ports for each */
#define LABELS 4

static uint64_t state;

static uint32_t some(size_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (uint32_t)((state >> 16) % below) : 0;
}

static void begin_with(const uint8_t *data, size_t n)
{
	state = 0xcbf29ce484222325u; /* FNV-1a */
	for (size_t i = 0; i < n; i++)
		state = (state ^ data[i]) * 0x100000001b3u;
	state |= 1;
}

/* ---- flows that the policy says something of --------------------------------------------- */

static struct pol_labels some_labels(const struct pol_ir *ir, struct pol_label out[LABELS])
{
	struct pol_labels l = { out, 0 };

	for (unsigned i = 0; i < 8 && l.n < LABELS; i++) {
		const struct pol_sel *s = &ir->sels.v[some(ir->sels.n)];
		bool there = false;

		if (s->op != POL_SEL_IN && s->op != POL_SEL_HAS)
			continue;
		for (size_t k = 0; k < l.n; k++)
			there |= pol_str_eq(out[k].key, s->key);
		if (!there)
			out[l.n++] = (struct pol_label){ s->key, s->op == POL_SEL_IN
									 ? s->value[some(s->n)]
									 : POL_STR("") };
	}
	return l;
}

static struct pol_ip some_ip(const struct pol_ir *ir)
{
	const struct pol_aset *a = &ir->asets.v[some(ir->asets.n)];
	uint32_t off = some(3) - 1;

	if (a->n4 && some(2)) {
		const struct pol_range32 *r = &a->v4[some(a->n4)];

		return (struct pol_ip){ .family = 4,
					.lo = (uint32_t)((some(2) ? r->lo : r->hi) + off) };
	}
	if (a->n6) {
		const struct pol_range128 *r = &a->v6[some(a->n6)];
		pol_u128 v = (some(2) ? r->lo : r->hi) + (pol_u128)(int32_t)off;

		return (struct pol_ip){ .family = 6, .hi = (uint64_t)(v >> 64), .lo = (uint64_t)v };
	}
	return (struct pol_ip){ .family = 4, .lo = (uint32_t)state };
}

/* A key that packets can have. */
static uint32_t some_key(const struct pol_ir *ir)
{
	const struct pol_l4set *s = &ir->l4sets.v[some(ir->l4sets.n)];
	uint32_t key = POL_L4_KEY(some(256), some(65536)), value;

	if (s->n) {
		key = some(2) ? s->range[some(s->n)].lo : s->range[some(s->n)].hi;
		key += some(3) - 1;
	}
	key &= POL_L4_KEY_MAX;
	value = key & 0xffff;
	switch (key >> 16) {
	case 6:
	case 17:
	case 132:
		return key;
	case 1:
	case 58:
		return POL_L4_KEY(key >> 16, value & 255);
	default:
		return POL_L4_KEY(key >> 16, 0);
	}
}

static void carry_out(const struct pol_tables *t)
{
	struct pol_label own_labels[LABELS], peer_labels[LABELS];

	for (unsigned i = 0; i < FLOWS; i++) {
		struct pol_labels own = some_labels(t->ir, own_labels);
		enum pol_direction d = some(2) ? POL_INGRESS : POL_EGRESS;
		struct pol_ip addr = some_ip(t->ir);
		unsigned which = (unsigned)some(5);
		struct pol_eval_peer peer =
			judge_peer(t->ir, which, addr, some_labels(t->ir, peer_labels));
		uint32_t row = judge(t, own, d, &peer);

		if (pol_table_failed(t->table))
			return; /* more than one flow can have: polload refuses such an endpoint */
		for (unsigned k = 0; k < KEYS; k++) {
			uint32_t key = some_key(t->ir);
			const char *what = judge_differs(t, row, own, d, &peer, key);

			if (!what)
				continue;
			fprintf(stderr, "%s differs: direction %d, peer %u, key %#x\n", what, d,
				peer.kind, key);
			abort();
		}
	}
}

/* ---- the compiler --------------------------------------------------------------------------- */

static void emit(const struct pol_tables *t)
{
	struct pol_buf out = { 0 };

	pol_emit_c_bare(t, &out);
	pol_emit_manifest(t, &out);
	pol_emit_rules(t, &out);
	pol_buf_free(&out);
}

static void compile(const struct pol_memory_file *files)
{
	/* Small, or some inputs take seconds. */
	const struct pol_capacity room = { .endpoint_kinds = 64, .max_pages = 1u << 13 };
	struct pol_fs fs = pol_fs_memory(files);
	struct pol_arena *a = pol_arena_new();
	struct pol_tables *t = NULL;
	struct pol_program *p;
	struct pol_diags d;
	struct pol_ir *ir = NULL;

	pol_diags_init(&d, a);
	p = pol_load("a.pol", &fs, a, &d);
	if (!d.n_errors)
		ir = pol_lower(p, a, &d);
	if (ir)
		t = pol_tabulate(ir, &room, &d);
	if (!t && !d.n_errors)
		abort(); /* refused without a word */
	if (t) {
		emit(t);
		carry_out(t);
	}
	pol_tables_free(t);
	pol_diags_free(&d);
	pol_program_free(p);
	pol_arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pol_memory_file files[FILES + 1];
	char *copy = malloc(n + 1); /* texts end in a NUL that is not counted */

	if (!copy)
		return 0;
	if (n)
		memcpy(copy, data, n);
	copy[n] = '\0';
	begin_with(data, n);
	cut(copy, n, files);
	compile(files);
	free(copy);
	return 0;
}
