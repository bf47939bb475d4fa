/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/fix.h"

#include <ctype.h>
#include <errno.h>

#include "compiler/analysis/diff.h"
#include "compiler/analysis/lint.h"
#include "compiler/lower.h"

#define PASSES 1000 /* neighbours in a list go one after the other */

/* ---- one text, understood ------------------------------------------------------------ */

struct reading {
	const char *path;
	struct pol_str text; /* of the root */
	struct pol_arena *arena;
	struct pol_diags diags;
	struct pol_program *program;
	struct pol_ir *ir;
};

/* The root is what we have made of it, all else is on disk. */
static int read_text(void *ctx, const char *path, size_t max, struct pol_arena *a,
		     struct pol_str *text, struct pol_err *e)
{
	const struct reading *r = ctx;

	if (strcmp(path, r->path) != 0)
		return pol_fs_disk.read(NULL, path, max, a, text, e);
	*text = pol_arena_str(a, r->text);
	return 0;
}

static int identity(void *ctx, const char *path, struct pol_arena *a, struct pol_str *id,
		    struct pol_err *e)
{
	(void)ctx;
	return pol_fs_disk.identity(NULL, path, a, id, e);
}

static bool understand(struct reading *r, const char *path, struct pol_str text)
{
	struct pol_fs fs = { read_text, identity, r };

	*r = (struct reading){ .path = path, .text = text, .arena = pol_arena_new() };
	pol_diags_init(&r->diags, r->arena);
	r->program = pol_load(path, &fs, r->arena, &r->diags);
	if (!r->diags.n_errors)
		r->ir = pol_lower(r->program, r->arena, &r->diags);
	return r->ir != NULL;
}

static void forget(struct reading *r)
{
	pol_program_free(r->program);
	pol_diags_free(&r->diags);
	pol_arena_free(r->arena);
}

/* ---- what goes ------------------------------------------------------------------------- */

struct cut {
	uint32_t from, to;
	bool rule; /* else a prefix */
};
typedef POL_VEC(struct cut) cuts;

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* With what becomes empty by it: the rest of a line, or white space twice. */
static struct cut widen(struct pol_str text, struct cut c)
{
	uint32_t from = c.from, to = c.to;

	while (from && blank(text.p[from - 1]))
		from--;
	while (to < text.n && (blank(text.p[to]) || text.p[to] == '\r'))
		to++;
	if ((!from || text.p[from - 1] == '\n') && (to == text.n || text.p[to] == '\n'))
		return (struct cut){ from, to + (to < text.n), c.rule };
	/* A comment behind it moves up. */
	if (to < text.n && text.p[to] == '#' && (!from || text.p[from - 1] == '\n'))
		c.to = to;
	return c;
}

static struct cut rule_cut(struct pol_str text, struct pol_span at)
{
	uint32_t to = at.end;

	while (to < text.n && (blank(text.p[to]) || text.p[to] == '\n'))
		to++;
	if (to == text.n || text.p[to] != ';')
		to = at.end;
	else
		to++;
	return widen(text, (struct cut){ at.start, to, true });
}

/* An item and the comma behind it, or before it if it is the last one. False: it stands alone. */
static bool item_cut(struct pol_str text, struct pol_span at, struct cut *out)
{
	uint32_t from = at.start, to = at.end;

	while (to < text.n && isspace((unsigned char)text.p[to]))
		to++;
	if (to < text.n && text.p[to] == ',') {
		to++;
		if (to < text.n && text.p[to] == ' ')
			to++;
		*out = widen(text, (struct cut){ at.start, to, false });
		return true;
	}
	while (from && isspace((unsigned char)text.p[from - 1]))
		from--;
	if (!from || text.p[from - 1] != ',')
		return false;
	*out = (struct cut){ from - 1, at.end, false };
	return true;
}

static const struct pol_rule *rule_at(const struct pol_ir *ir, struct pol_span at)
{
	for (size_t i = 0; i < ir->rules.n; i++) {
		const struct pol_rule *r = &ir->rules.v[i];

		if (r->implicit == POL_EXPLICIT && r->span.file == at.file &&
		    r->span.start == at.start)
			return r;
	}
	return NULL;
}

/* The last ordinary rule of a direction closes it for all that no rule allows. */
static bool closes(const struct pol_ir *ir, const struct pol_rule *x, const bool *gone)
{
	for (size_t i = 0; i < ir->rules.n; i++) {
		const struct pol_rule *r = &ir->rules.v[i];

		if (r != x && r->implicit == POL_EXPLICIT && r->stage == x->stage && !gone[i] &&
		    r->direction == x->direction && r->subject == x->subject &&
		    pol_str_eq(r->policy, x->policy))
			return false;
	}
	return true;
}

static int by_place(const void *pa, const void *pb)
{
	const struct cut *a = pa, *b = pb;

	return (a->from > b->from) - (a->from < b->from);
}

static void find_cuts(struct reading *r, cuts *out)
{
	bool *gone = pol_arena_alloc(r->arena, r->ir->rules.n + 1);
	size_t before = r->diags.all.n, kept = 0;
	struct cut c;

	pol_lint(r->ir, r->program, r->arena, &r->diags);
	for (size_t i = before; i < r->diags.all.n; i++) {
		const struct pol_diag *g = r->diags.all.v[i];
		const struct pol_rule *rule;

		if (g->primary.at.file != 0)
			continue;
		if (g->code == POL_P0612 && (rule = rule_at(r->ir, g->primary.at)) &&
		    !closes(r->ir, rule, gone)) {
			gone[rule->id] = true;
			*pol_vec_push(out) = rule_cut(r->text, g->primary.at);
		} else if (g->code == POL_P0614 && item_cut(r->text, g->primary.at, &c)) {
			*pol_vec_push(out) = c;
		}
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_place);
	/* What touches the one before waits for the next pass: its comma may be gone. */
	for (size_t i = 0; i < out->n; i++) {
		if (kept && out->v[i].from <= out->v[kept - 1].to)
			continue;
		out->v[kept++] = out->v[i];
	}
	out->n = kept;
}

static void apply(struct pol_str text, const cuts *c, struct pol_buf *out)
{
	uint32_t at = 0;

	for (size_t i = 0; i < c->n; i++) {
		pol_buf_add(out, (struct pol_str){ text.p + at, c->v[i].from - at });
		at = c->v[i].to;
	}
	pol_buf_add(out, (struct pol_str){ text.p + at, text.n - at });
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* -EINVAL: not understood; 0: nothing was cut; 1: there may be more. */
static int pass(const char *path, struct pol_buf *text, struct pol_fix *fix)
{
	struct pol_buf next = { 0 };
	struct reading r;
	cuts c = { 0 };
	int ret = understand(&r, path, pol_buf_str(text)) ? 0 : -EINVAL;

	if (!ret)
		find_cuts(&r, &c);
	if (c.n) {
		apply(pol_buf_str(text), &c, &next);
		pol_buf_free(text);
		*text = next;
		for (size_t i = 0; i < c.n; i++)
			*(c.v[i].rule ? &fix->rules : &fix->prefixes) += 1;
		ret = 1;
	}
	pol_vec_free(&c);
	forget(&r);
	return ret;
}

static bool proved(const char *path, struct pol_str old, struct pol_str now)
{
	struct reading a, b;
	struct pol_diff d;
	bool same = understand(&a, path, old);

	same = understand(&b, path, now) && same;
	if (same) {
		const struct pol_ir *ir[] = { a.ir, b.ir };

		pol_diff_find(&d, ir, a.arena, 0);
		same = !d.changes.n && !d.undecided && !d.requests;
		pol_diff_free(&d);
	}
	forget(&a);
	forget(&b);
	return same;
}

int pol_lint_fix(const char *path, struct pol_fix *out, struct pol_err *e)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;
	int r = pol_read_file(path, POL_MAX_POLICY, &text, &n, e), more = 1;

	if (r)
		return r;
	pol_buf_add(&out->text, (struct pol_str){ text, n });
	for (unsigned i = 0; more == 1 && i < PASSES; i++)
		more = pass(path, &out->text, out);
	if (more < 0 && !out->rules && !out->prefixes)
		return pol_err(e, -EINVAL, "%s: has errors; nothing is changed", path);
	if ((out->rules || out->prefixes) &&
	    (more < 0 || !proved(path, (struct pol_str){ text, n }, pol_buf_str(&out->text)))) {
		pol_buf_free(&out->text);
		pol_buf_add(&out->text, (struct pol_str){ text, n });
		out->rules = out->prefixes = 0;
		out->unproved = true;
	}
	return 0;
}
