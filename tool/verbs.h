/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs of polc: each takes the command line and returns the code to exit with. */
#ifndef POLC_TOOL_VERBS_H
#define POLC_TOOL_VERBS_H

#include "tool/job.h"

/* compile.c */
int verb_compile(const struct pol_options *o);
int verb_check(const struct pol_options *o);
/* questions.c */
int verb_list(const struct pol_options *o);	/* and graph */
int verb_explain(const struct pol_options *o);
int verb_lint(const struct pol_options *o);
int verb_diff(const struct pol_options *o);
/* verify.c */
int verb_verify(const struct pol_options *o);
/* files.c */
int verb_lsp(void);
int verb_import(const struct pol_options *o);
int verb_explain_code(const char *code);
int verb_fmt(const struct pol_options *o);
int verb_keygen(const struct pol_options *o);
int verb_sign(const struct pol_options *o);

#endif
