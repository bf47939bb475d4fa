/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A strict and bounded reading of YAML for both readers, the host file's and
 * the manifest's: plain data and nothing else.  One document; no anchors,
 * aliases, tags or merge keys; no key twice in a mapping; bounds on depth, on
 * the number of nodes and on the length of a scalar.
 */
#ifndef PRT_YAML_H
#define PRT_YAML_H

#include "../base/base.h"

enum prt_yaml_kind { PRT_YAML_SCALAR, PRT_YAML_LIST, PRT_YAML_MAP };

struct prt_yaml {		/* memory is the document's arena */
	enum prt_yaml_kind kind;
	bool quoted;		/* scalar: "" or '' or a block, so it is text and no number */
	uint32_t line, column;	/* from 1; column in characters */
	size_t n;		/* items of a list, pairs of a map */
	union {
		const struct prt_yaml *item;	/* list: n; map: key, value, key, value: 2 n */
		struct pol_str text;		/* scalar; NUL-terminated, may contain NULs */
	};
};

struct prt_yaml_limits {
	unsigned depth;		/* of lists and maps in each other */
	size_t nodes;
	size_t scalar;		/* bytes */
	size_t keys;		/* of one map; they are compared pairwise */
};

struct prt_yaml_doc {
	const char *path;	/* begins every message */
	int code;		/* -errno that a mistake in the text returns */
	struct pol_arena *arena;
	struct pol_err *err;
};

/* doc->code after a mistake: e->text is "PATH:LINE:COLUMN: message". */
int prt_yaml_parse(const struct prt_yaml_doc *doc, struct pol_str text,
		   const struct prt_yaml_limits *limits, struct prt_yaml *root);

/* Sets the error at a node (NULL: the beginning) and returns doc->code. */
int prt_yaml_err(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *fmt, ...)
	POL_PRINTF(3, 4);

/*
 * Takes a map apart: value[i] is what stands under key[i], or NULL; a key that
 * is not listed is an error that suggests the nearest one.  `what` is the
 * thing described, for messages: "an endpoint".
 */
int prt_yaml_map(const struct prt_yaml_doc *doc, const struct prt_yaml *map, const char *what,
		 const char *const *key, size_t nkeys, const struct prt_yaml **value);
int prt_yaml_list(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what);
/* A scalar that is not empty unless quoted. */
int prt_yaml_text(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		  struct pol_str *out);
/* Decimal, unquoted. */
int prt_yaml_u32(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		 uint32_t min, uint32_t max, uint32_t *out);
int prt_yaml_bool(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		  bool *out);
/* One of the names; its index. */
int prt_yaml_choice(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		    const char *const *name, size_t n, uint32_t *out);

/* All digits, no sign, no leading zero, at most max. */
bool prt_parse_u32(struct pol_str s, uint32_t max, uint32_t *out);

/* Foreign text for a message: control characters and bad UTF-8 escaped, cut when long. */
#define PRT_QUOTE 96
const char *prt_quote(struct pol_str s, char out[PRT_QUOTE]);
/* UTF-8 without control, line-breaking, bidirectional or invisible formatting characters. */
bool prt_printable(struct pol_str s);
/* The listed word that s was probably meant to be, or NULL. */
const char *prt_suggest(struct pol_str s, const char *const *word, size_t n);

#endif
