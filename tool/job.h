/* SPDX-License-Identifier: GPL-2.0-only */
/* What the verbs of polc have in common: one policy on its way through the passes, and printing. */
#ifndef POLC_TOOL_JOB_H
#define POLC_TOOL_JOB_H

#include <stdio.h>

#include "compiler/tabulate.h"
#include "lang/resolve.h"
#include "tool/options.h"

enum { EXIT_DONE, EXIT_NO, EXIT_BAD, EXIT_SYSTEM };

/* Frees b. */
void tool_print(FILE *to, struct pol_buf *b);
/* Says it, and returns code. */
int tool_fail(const struct pol_err *e, int code);
bool tool_colour(const struct pol_options *o, FILE *to);
bool tool_is_stdout(const char *path);

struct job {
	const struct pol_options *o;
	const char *path;
	struct pol_arena *arena;
	struct pol_diags diags;
	struct pol_program *program;
	struct pol_ir *ir;
	struct pol_tables *tables;
};

struct job *job_open(const struct pol_options *o, const char *path, struct job *j);
void job_close(struct job *j);
/* False after an error: it is among the diagnostics. */
bool job_lower(struct job *j);
bool job_tabulate(struct job *j);
/* What must hold before anything comes into force: assertions too. */
bool job_tabulate_proved(struct job *j);
/* By the diagnostics. */
int job_exit_code(const struct job *j);
void job_report(struct job *j, FILE *to);

#endif
