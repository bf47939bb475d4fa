/* SPDX-License-Identifier: GPL-2.0-only */
/* Flattens what definitions name: prefixes of a cidr, its files included, and items of a port. */
#include "lang/resolving.h"

enum { MARK_NEW, MARK_OPEN, MARK_DONE };

#define LIST_ERRORS 20 /* of one file that are reported */

struct prefixes {
	POL_VEC(struct pol_prefix) all;
};

/* ---- list files ------------------------------------------------------------------- */

static bool list_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void bad_line(struct pol_resolve *r, struct pol_span at, struct pol_str rest, size_t word)
{
	struct pol_diag *g = pol_diag(r->d, POL_P0222, at, "a list has one prefix a line");

	pol_diag_label(r->d, g, "not expected here");
	if (rest.n > word && (rest.p[word] == ';' || rest.p[word] == '/'))
		pol_diag_help(r->d, g, "comments start with `#`");
}

/* One line [p, end): a prefix, a comment, both, or nothing. False: a mistake. */
static bool list_line(struct pol_resolve *r, const struct pol_source *src, const char *p,
		      const char *end, struct prefixes *out)
{
	struct pol_prefix prefix;
	enum pol_ip_error e;
	struct pol_span at;
	struct pol_str word;

	while (p < end && list_blank(*p))
		p++;
	if (p == end || *p == '#')
		return true;
	word.p = p;
	while (p < end && !list_blank(*p) && *p != '#')
		p++;
	word.n = (size_t)(p - word.p);
	at = (struct pol_span){ src->id, (uint32_t)(word.p - src->text.p),
				(uint32_t)(p - src->text.p) };
	e = pol_prefix_parse(word, &prefix);
	if (e != POL_IP_OK) {
		pol_prefix_diag(r->d, e, word, at);
		return false;
	}
	while (p < end && list_blank(*p))
		p++;
	if (p < end && *p != '#') {
		at.start = (uint32_t)(p - src->text.p);
		at.end = (uint32_t)(end - src->text.p);
		bad_line(r, at, (struct pol_str){ p, (size_t)(end - p) }, 0);
		return false;
	}
	*pol_vec_push(&out->all) = prefix;
	return true;
}

static void read_lines(struct pol_resolve *r, const struct pol_source *src, struct prefixes *out)
{
	const char *p = src->text.p, *end = p + src->text.n;
	unsigned errors = 0;

	while (p < end && errors < LIST_ERRORS) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			eol = end;
		errors += !list_line(r, src, p, eol, out);
		p = eol + 1;
	}
}

/* Every file is read once, however many cidrs name it. NULL: missing, or said to be unreadable. */
static struct pol_list *read_list(struct pol_resolve *r, struct pol_str path, struct pol_str name,
				  struct pol_span at, bool *missing)
{
	struct prefixes out = { 0 };
	size_t errors = r->d->n_errors;
	struct pol_list *list;
	struct pol_source *src;

	*missing = false;
	for (size_t i = 0; i < r->lists.n; i++)
		if (pol_str_eq(r->lists.v[i].path, path))
			return &r->lists.v[i];
	src = pol_read_source(r, path, name, POL_MAX_LIST, at, true, missing);
	if (!src)
		return NULL;
	src->list = true;
	if (pol_text_check(r->d, src))
		read_lines(r, src, &out);
	list = pol_vec_push(&r->lists);
	*list = (struct pol_list){
		.path = path, .source = src, .n = out.all.n, .bad = r->d->n_errors != errors
	};
	list->prefixes = pol_arena_alloc(r->p->arena, (out.all.n + 1) * sizeof(*out.all.v));
	if (out.all.n)
		memcpy(list->prefixes, out.all.v, out.all.n * sizeof(*out.all.v));
	pol_vec_free(&out.all);
	return list;
}

static void or_none(struct pol_resolve *r, enum pol_code code, const struct pol_cidr_item *i,
		    struct pol_str path, const char *what)
{
	struct pol_diag *g = pol_diag(r->d, code, i->file.path.span, "the list `%.*s` %s",
				      POL_STR_ARG(path), what);

	pol_diag_help(r->d, g, "if it may, write `file \"%.*s\" or none`",
		      POL_STR_ARG(i->file.path.text));
}

static void too_many(struct pol_resolve *r, const struct pol_decl *d)
{
	if (!r->too_many_prefixes)
		pol_diag(r->d, POL_P0225, d->name.span,
			 "more than %u prefixes in all cidrs together", POL_MAX_PREFIXES);
	r->too_many_prefixes = true;
}

static void add_prefixes(struct pol_resolve *r, const struct pol_decl *d, struct prefixes *out,
			 const struct pol_prefix *p, size_t n)
{
	if (r->n_prefixes + out->all.n + n > POL_MAX_PREFIXES) {
		too_many(r, d);
		return;
	}
	pol_vec_reserve(&out->all, out->all.n + n);
	if (n)
		memcpy(out->all.v + out->all.n, p, n * sizeof(*p));
	out->all.n += n;
}

static void add_file(struct pol_resolve *r, const struct pol_decl *d, struct pol_cidr_item *i,
		     struct prefixes *out)
{
	const struct pol_source *policy = pol_source_of(r->p->sources, d->span);
	struct pol_str path = pol_path_beside(r, policy->path, i->file.path.text);
	struct pol_str name = pol_path_beside(r, policy->name, i->file.path.text);
	bool missing;
	const struct pol_list *list = read_list(r, path, name, i->file.path.span, &missing);

	if (!list) {
		if (missing && !i->file.or_none)
			or_none(r, POL_P0224, i, path, "does not exist");
		return;
	}
	i->file.source = list->source;
	if (!list->n && !list->bad && !i->file.or_none)
		or_none(r, POL_P0223, i, path, "is empty");
	add_prefixes(r, d, out, list->prefixes, list->n);
}

/* ---- cidrs -------------------------------------------------------------------------- */

static bool enter(struct pol_resolve *r, struct pol_decl *d, uint8_t *mark, enum pol_code cycle,
		  const struct pol_name *by)
{
	struct pol_diag *g;

	if (*mark == MARK_DONE)
		return false;
	if (*mark == MARK_OPEN) {
		g = pol_diag(r->d, cycle, by->span, "`%.*s` is defined by itself",
			     POL_STR_ARG(d->name.text));
		pol_diag_also(r->d, g, d->name.span, "defined here");
		return false;
	}
	if (r->chain == POL_MAX_CHAIN) {
		pol_diag(r->d, POL_P0105, d->name.span, "nested too deeply");
		return false;
	}
	r->chain++;
	*mark = MARK_OPEN;
	return true;
}

static void flatten_cidr(struct pol_resolve *r, struct pol_decl *d, const struct pol_name *by);

static void flatten_items(struct pol_resolve *r, struct pol_decl *d, struct prefixes *out)
{
	for (struct pol_cidr_item *i = d->cidr.items.first; i; i = i->next) {
		switch (i->kind) {
		case POL_CIDR_PREFIX:
			add_prefixes(r, d, out, &i->prefix, 1);
			break;
		case POL_CIDR_NAME:
			if (!i->name.decl)
				break;
			flatten_cidr(r, i->name.decl, &i->name);
			add_prefixes(r, d, out, i->name.decl->cidr.prefixes,
				     i->name.decl->cidr.n_prefixes);
			break;
		case POL_CIDR_FILE:
			add_file(r, d, i, out);
			break;
		}
	}
}

static void flatten_cidr(struct pol_resolve *r, struct pol_decl *d, const struct pol_name *by)
{
	struct prefixes out = { 0 };

	if (!enter(r, d, &d->cidr.mark, POL_P0220, by))
		return;
	flatten_items(r, d, &out);
	r->n_prefixes += out.all.n;
	d->cidr.n_prefixes = out.all.n;
	if (out.all.n) {
		d->cidr.prefixes = pol_arena_alloc(r->p->arena, out.all.n * sizeof(*out.all.v));
		memcpy(d->cidr.prefixes, out.all.v, out.all.n * sizeof(*out.all.v));
	}
	pol_vec_free(&out.all);
	d->cidr.mark = MARK_DONE;
	r->chain--;
}

/* ---- ports ------------------------------------------------------------------------------ */

struct items {
	POL_VEC(const struct pol_port *) all;
};

static void flatten_port(struct pol_resolve *r, struct pol_decl *d, const struct pol_name *by);

static void flatten_list(struct pol_resolve *r, const struct pol_ports *ports, struct items *out)
{
	for (const struct pol_port *p = ports->of.first; p; p = p->next) {
		struct pol_decl *d = p->name.decl;

		if (!p->name.text.p) {
			*pol_vec_push(&out->all) = p;
			continue;
		}
		if (!d)
			continue;
		flatten_port(r, d, &p->name);
		for (size_t i = 0; i < d->port.n_flat && out->all.n < POL_MAX_PORTS; i++)
			*pol_vec_push(&out->all) = d->port.flat[i];
	}
}

static void flatten_port(struct pol_resolve *r, struct pol_decl *d, const struct pol_name *by)
{
	if (!enter(r, d, &d->port.mark, POL_P0221, by))
		return;
	pol_flatten_ports(r, d->port.ports, &d->port.flat, &d->port.n_flat);
	r->n_ports += d->port.n_flat;
	if (r->n_ports >= POL_MAX_PORTS) {
		if (!r->too_many_ports)
			pol_diag(r->d, POL_P0225, d->name.span,
				 "more than %u items in all ports together", POL_MAX_PORTS);
		r->too_many_ports = true;
		d->port.n_flat = 0;
	}
	d->port.mark = MARK_DONE;
	r->chain--;
}

void pol_flatten_ports(struct pol_resolve *r, const struct pol_ports *ports,
		       const struct pol_port ***out, size_t *n)
{
	struct items items = { 0 };

	flatten_list(r, ports, &items);
	*n = items.all.n;
	*out = pol_arena_alloc(r->p->arena, (items.all.n + 1) * sizeof(**out));
	if (items.all.n)
		memcpy(*out, items.all.v, items.all.n * sizeof(**out));
	pol_vec_free(&items.all);
}

struct pol_flat_ports pol_flat(struct pol_resolve *r, const struct pol_ports *ports)
{
	struct pol_flat_ports f = { 0 };

	if (!ports)
		return f;
	if (ports->of.n == 1 && ports->of.first->name.decl) { /* one name: it has the list */
		const struct pol_decl *d = ports->of.first->name.decl;

		return (struct pol_flat_ports){ d->port.flat, d->port.n_flat };
	}
	pol_flatten_ports(r, ports, &f.v, &f.n);
	return f;
}

void pol_pass_lists(struct pol_resolve *r)
{
	for (size_t i = 0; i < r->p->decls.n; i++) {
		struct pol_decl *d = r->p->decls.v[i];

		if (d->kind == POL_DECL_CIDR)
			flatten_cidr(r, d, &d->name);
		else if (d->kind == POL_DECL_PORT)
			flatten_port(r, d, &d->name);
	}
}
