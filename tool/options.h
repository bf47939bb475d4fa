/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line of polc, as data. */
#ifndef POLC_OPTIONS_H
#define POLC_OPTIONS_H

#include "base/base.h"

#define POL_VERBS(X)                                                                         \
	X(COMPILE, "")                                                                       \
	X(CHECK, "check")                                                                    \
	X(FMT, "fmt")                                                                        \
	X(LIST, "list")                                                                      \
	X(EXPLAIN, "explain")                                                                \
	X(KEYGEN, "keygen")                                                                  \
	X(SIGN, "sign")                                                                      \
	X(LINT, "lint")                                                                      \
	X(DIFF, "diff")                                                                      \
	X(GRAPH, "graph")                                                                    \
	X(VERIFY, "verify")                                                                  \
	X(LSP, "lsp")                                                                        \
	X(IMPORT, "import")

#define POL_VERB_ITEM(id, name) POL_VERB_##id,
enum pol_verb { POL_VERBS(POL_VERB_ITEM) POL_VERB_MAX };
#undef POL_VERB_ITEM

/* Of diff: which changes make the exit code 1. */
#define POL_FAIL_ONS(X)                                                                      \
	X(ANY, "any")                                                                        \
	X(WIDEN, "widen")                                                                    \
	X(NARROW, "narrow")                                                                  \
	X(NEVER, "never")

#define POL_FAIL_ON_ITEM(id, name) POL_FAIL_ON_##id,
enum pol_fail_on { POL_FAIL_ONS(POL_FAIL_ON_ITEM) };
#undef POL_FAIL_ON_ITEM

enum pol_colour { POL_COLOUR_AUTO, POL_COLOUR_ALWAYS, POL_COLOUR_NEVER };

struct pol_options {
	enum pol_verb verb;
	bool help, version;
	bool to_c, stats;		/* -S, --stats */
	bool json_diags, json_answer;	/* --format=json, --json */
	bool sarif;			/* --format=sarif, of lint */
	bool svg;			/* --format=svg, of graph */
	bool dot;			/* --format=dot, likewise: the default */
	bool write, check;		/* of fmt */
	bool lax;			/* of import */
	bool fix;			/* of lint */
	enum pol_colour colour;
	const char *key;		/* --key of sign */
	enum pol_fail_on fail_on;
	bool fail_on_given;
	const char *out;		/* -o, NULL: beside the policy */
	uint32_t endpoint_kinds;	/* --endpoint-kinds, 0: not given */
	const char *host;		/* -H; of import: where its host file goes, else the one that is asked */
	bool tables_only;		/* of verify */
	const char *workloads;		/* --workloads of list */
	const char *dump, *code;	/* --dump, --explain */
	const char *clang, *templates, *include; /* NULL: as built */
	char **arg;			/* files; of keygen the one to write; for explain the file and the words of the flow */
	int n_args;
};

/* 0, or -EINVAL and what is wrong. Permutes argv. */
int pol_options_parse(int argc, char **argv, struct pol_options *o, struct pol_err *e);
/* The help of a verb, that of all for COMPILE. */
const char *pol_options_help(enum pol_verb verb);

#endif
