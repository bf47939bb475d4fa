/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a file's name to a checked policy set.
 *
 *	pol_load() = read and parse the root and its imports, bind names, read
 *	list files, check. Everything wrong is a diagnostic in d. The program may
 *	be used by the compiler only if d->n_errors is 0; before that, links may
 *	be NULL.
 */
#ifndef POLC_RESOLVE_H
#define POLC_RESOLVE_H

#include "lang/ast.h"
#include "lang/diag.h"

#define POL_MAX_POLICY (16u << 20)	/* bytes of one policy text */
#define POL_MAX_LIST (128u << 20)	/* bytes of one list file */
#define POL_MAX_FILES 1024		/* policy texts of one program */

struct pol_program {
	struct pol_arena *arena;
	struct pol_intern *names;
	struct pol_sources *sources;	/* sources->all.v[0] is the root */
	POL_VEC(struct pol_file *) files;	/* [0] is the root */

	/* Every declaration but imports; an imported file's stand where its import stood first. */
	POL_VEC(struct pol_decl *) decls;

	const struct pol_decl *dflt;	/* the `default` */
	bool default_allow;
	POL_VEC(struct pol_prefix) pool;	/* all pools, in order */
	bool host_open;			/* option host open */
	const struct pol_decl *host_open_decl;

	struct pol_name_table *table;	/* resolve's own: name -> declaration */
	POL_VEC(struct pol_str) maybe;	/* names that a broken definition gives */
	bool syntax_errors;
};

/*
 * path "-" is not special. Never NULL; frees with pol_program_free.
 * fs NULL: pol_fs_disk.
 */
struct pol_program *pol_load(const char *path, const struct pol_fs *fs, struct pol_arena *a,
			     struct pol_diags *d);
/* What pol_load took besides the arena (vectors). NULL is fine. */
void pol_program_free(struct pol_program *p);

/*
 * One text alone, parsed, not resolved: for the formatter, editors, fuzzers.
 * NULL if it could not be read (a diagnostic says why).
 */
struct pol_file *pol_parse_file(struct pol_program *p, struct pol_source *src, struct pol_diags *d);

/* An empty program to parse into; pol_load makes its own. */
struct pol_program *pol_program_new(struct pol_arena *a);

/*
 * A flow as commands take it: "from PEER to PEER on PROTO PORT [METHOD \"PATH\"]",
 * names bound against a resolved program. Exactly one protocol, and one port or type where the
 * protocol has them. NULL and diagnostics if it is wrong. The text becomes a source named "flow".
 */
struct pol_flow *pol_flow_parse(struct pol_program *p, struct pol_str text, struct pol_diags *d);

/* The declaration that a name is bound to, NULL if none (policies are not in this space). */
struct pol_decl *pol_program_find(const struct pol_program *p, struct pol_str name);
struct pol_decl *pol_program_find_policy(const struct pol_program *p, struct pol_str name);

/*
 * The whole of `polc check FILE` but assertions: loads, and appends what there is to say
 * to out. 0: no error; -EINVAL: there were errors.
 */
int pol_check_file(const char *path, const struct pol_fs *fs, const struct pol_render *how,
		   struct pol_buf *out);

#endif
