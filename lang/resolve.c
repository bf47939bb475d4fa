/* SPDX-License-Identifier: GPL-2.0-only */
/* The passes over a policy set, in order; parsing of one text; flows; `polc check`. */
#include "lang/resolving.h"

#include <errno.h>

struct pol_program *pol_program_new(struct pol_arena *a)
{
	struct pol_program *p = pol_arena_alloc(a, sizeof(*p));

	p->arena = a;
	p->names = pol_intern_new(a);
	p->sources = pol_sources_new(a);
	return p;
}

void pol_program_free(struct pol_program *p)
{
	if (!p)
		return;
	pol_sources_free(p->sources);
	pol_vec_free(&p->files);
	pol_vec_free(&p->decls);
	pol_vec_free(&p->pool);
	pol_vec_free(&p->maybe);
}

/* ---- one text ---------------------------------------------------------------------- */

static bool parse(struct pol_program *p, struct pol_parse *ctx, struct pol_source *src,
		  struct pol_diags *d)
{
	ctx->arena = p->arena;
	ctx->names = p->names;
	ctx->diags = d;
	ctx->src = src;
	if (!pol_text_check(d, src))
		return false;
	pol_scan_init(ctx);
	pol_yyparse(ctx);
	pol_scan_end(ctx);
	return !ctx->errors;
}

struct pol_file *pol_parse_file(struct pol_program *p, struct pol_source *src, struct pol_diags *d)
{
	struct pol_file *f = pol_arena_alloc(p->arena, sizeof(*f));
	struct pol_parse ctx = { .file = f };

	f->source = src;
	if (!parse(p, &ctx, src, d))
		p->syntax_errors = true;
	for (size_t i = 0; i < ctx.maybe.n; i++)
		*pol_vec_push(&p->maybe) = ctx.maybe.v[i];
	pol_vec_free(&ctx.maybe);
	return f;
}

bool pol_spend(struct pol_resolve *r, uint64_t steps)
{
	r->spent += steps;
	return r->spent < 100000000;
}

/* ---- a policy set --------------------------------------------------------------------- */

struct pol_program *pol_load(const char *path, const struct pol_fs *fs, struct pol_arena *a,
			     struct pol_diags *d)
{
	struct pol_resolve r = { .p = pol_program_new(a), .d = d, .fs = fs ? fs : &pol_fs_disk };

	pol_pass_load(&r, path);
	if (r.p->sources->all.n) {
		pol_pass_names(&r);
		pol_pass_lists(&r);
		pol_pass_check(&r);
	}
	pol_vec_free(&r.loaded);
	pol_vec_free(&r.lists);
	return r.p;
}

/* ---- flows ----------------------------------------------------------------------------- */

/* A command asks about one flow, not about many. */
static void check_single(struct pol_resolve *r, const struct pol_flow *f)
{
	struct pol_flat_ports ports = pol_flat(r, f->on);
	struct pol_span at =
		f->on ? f->on->span : (struct pol_span){ f->span.file, f->span.end, f->span.end };
	const struct pol_port *p = ports.n ? ports.v[0] : NULL;
	struct pol_diag *g;

	if (ports.n == 1 &&
	    (p->lo == p->hi || !(pol_proto_has_ports(p->proto) || pol_proto_has_types(p->proto))))
		return;
	if (f->on && !ports.n)
		return; /* unknown names: said already */
	g = pol_diag(r->d, POL_P0324, at, "a flow has one protocol and one port");
	pol_diag_help(r->d, g, "write `on tcp 80`, `on icmp echo-request`, or `on proto 47`");
}

struct pol_flow *pol_flow_parse(struct pol_program *p, struct pol_str text, struct pol_diags *d)
{
	struct pol_parse ctx = { .flow = true };
	struct pol_resolve r = { .p = p, .d = d, .fs = &pol_fs_none };
	size_t errors = d->n_errors;
	struct pol_source *src;

	if (text.n > 65536) {
		pol_diag(d, POL_P0102, POL_NO_SPAN, "the flow is longer than 64 KiB");
		return NULL;
	}
	src = pol_source_add(p->sources, POL_STR("flow"), POL_STR("flow"),
			     pol_arena_str(p->arena, text));
	parse(p, &ctx, src, d);
	pol_vec_free(&ctx.maybe);
	if (d->n_errors != errors || !ctx.flow_result)
		return NULL;
	pol_bind_flow(&r, ctx.flow_result);
	pol_check_flow(&r, ctx.flow_result);
	check_single(&r, ctx.flow_result);
	return d->n_errors == errors ? ctx.flow_result : NULL;
}

/* ---- polc check --------------------------------------------------------------------------- */

int pol_check_file(const char *path, const struct pol_fs *fs, const struct pol_render *how,
		   struct pol_buf *out)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_diags d;
	struct pol_program *p;
	int r;

	pol_diags_init(&d, a);
	p = pol_load(path, fs, a, &d);
	pol_diags_sort(&d);
	pol_diags_render(out, &d, p->sources, how);
	r = d.n_errors ? -EINVAL : 0;
	pol_diags_free(&d);
	pol_program_free(p);
	pol_arena_free(a);
	return r;
}
