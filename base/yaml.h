/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A strict and bounded reading of YAML: plain data and nothing else.  No tags or
 * merge keys; no key twice in a mapping; bounds on depth, on the number of
 * nodes and on the length of a scalar.  The host file and the manifest are one
 * document without anchors; `polc import` reads streams of documents, where an alias
 * counts as all that it stands for.
 */
#ifndef POLC_YAML_H
#define POLC_YAML_H

#include "base/base.h"

enum pol_yaml_kind { POL_YAML_SCALAR, POL_YAML_LIST, POL_YAML_MAP };

struct pol_yaml {		/* memory is the document's arena */
	enum pol_yaml_kind kind;
	bool quoted;		/* scalar: "" or '' or a block, so it is text and no number */
	uint32_t line, column;	/* from 1; column in characters */
	size_t n;		/* items of a list, pairs of a map */
	union {
		const struct pol_yaml *item;	/* list: n; map: key, value, key, value: 2 n */
		struct pol_str text;		/* scalar; NUL-terminated, may contain NULs */
	};
};

struct pol_yaml_limits {
	unsigned depth;		/* of lists and maps in each other */
	size_t nodes;
	size_t scalar;		/* bytes */
	size_t keys;		/* of one map; they are compared pairwise */
	size_t anchors;		/* of one document; 0: neither anchors nor aliases */
};

struct pol_yaml_doc {
	const char *path;	/* begins every message */
	int code;		/* -errno that a mistake in the text returns */
	struct pol_arena *arena;
	struct pol_err *err;
};

/* doc->code after a mistake: e->text is "PATH:LINE:COLUMN: message". */
int pol_yaml_parse(const struct pol_yaml_doc *doc, struct pol_str text,
		   const struct pol_yaml_limits *limits, struct pol_yaml *root);


struct pol_yaml_stream {	/* roots of all documents, in the arena; empty documents are left out */
	const struct pol_yaml *root;
	size_t n;
};

/* As pol_yaml_parse, for any number of documents; the limits count for all of them together. */
int pol_yaml_parse_all(const struct pol_yaml_doc *doc, struct pol_str text,
		       const struct pol_yaml_limits *limits, struct pol_yaml_stream *out);

/* Sets the error at a node (NULL: the beginning) and returns doc->code. */
int pol_yaml_err(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *fmt, ...)
	POL_PRINTF(3, 4);

/*
 * Takes a map apart: value[i] is what stands under key[i], or NULL; a key that
 * is not listed is an error that suggests the nearest one.  `what` is the
 * thing described, for messages: "an endpoint".
 */
int pol_yaml_map(const struct pol_yaml_doc *doc, const struct pol_yaml *map, const char *what,
		 const char *const *key, size_t nkeys, const struct pol_yaml **value);
int pol_yaml_list(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what);
/* A scalar that is not empty unless quoted. */
int pol_yaml_text(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		  struct pol_str *out);
/* Decimal, unquoted. */
int pol_yaml_u32(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		 uint32_t min, uint32_t max, uint32_t *out);
int pol_yaml_bool(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		  bool *out);
/* One of the names; its index. */
int pol_yaml_choice(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		    const char *const *name, size_t n, uint32_t *out);

/* All digits, no sign, no leading zero, at most max. */
bool pol_parse_u32(struct pol_str s, uint32_t max, uint32_t *out);

/* Foreign text for a message: control characters and bad UTF-8 escaped, cut when long. */
#define POL_QUOTE 96
const char *pol_quote(struct pol_str s, char out[POL_QUOTE]);
/* UTF-8 without control, line-breaking, bidirectional or invisible formatting characters. */
bool pol_printable(struct pol_str s);
/* The listed word that s was probably meant to be, or NULL. */
const char *pol_suggest(struct pol_str s, const char *const *word, size_t n);

#endif
