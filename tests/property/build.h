/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One policy made ready to be asked: through the whole front end to the IR
 * (for the evaluator), on to an object as clang makes it, opened by the
 * loader's reader, with the world's endpoints placed in it.
 */
#ifndef POLC_TESTS_BUILD_H
#define POLC_TESTS_BUILD_H

#include "lang/resolve.h"
#include "runtime/input/object.h"
#include "random.h"

struct build_paths { const char *clang, *templates, *include, *scratch_dir; };

struct build {
	struct pol_arena *arena;
	struct pol_program *program;
	struct pol_ir *ir;
	struct prt_object *object;
	struct prt_place *place;
	void *rest;		/* build.c's own */
};

/*
 * -EINVAL: the policy was refused; the diagnostics are in *messages.  Other
 * errors are the system's, in e.  Free with build_free in every case.
 */
int build_policy(struct build *b, const char *text, const struct build_paths *paths,
		 struct pol_buf *messages, struct pol_err *e);
/* Puts the endpoints of w in place of those before. */
int build_place(struct build *b, const struct world *w, struct pol_err *e);
void build_free(struct build *b);

#endif
