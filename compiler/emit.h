/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_EMIT_H
#define POLC_EMIT_H

#include "tabulate.h"

/* The C file (polc/tables.h). Same tables, same bytes. */
void pol_emit_c(const struct pol_tables *t, struct pol_buf *out);

/*
 * The same without the contents of pol_pages and pol_verdicts, which are no
 * constants to the compiler anyway: object.c puts the bytes into their
 * sections, and clang need not parse a million numbers.  The object is the same.
 */
void pol_emit_c_bare(const struct pol_tables *t, struct pol_buf *out);

/* Heads and tables of filters, part of the C file; bare: without the contents of pol_filter_data. */
void pol_emit_filters(const struct pol_tables *t, bool bare, struct pol_buf *out);

/* The two YAML sections (polc/manifest.h). */
void pol_emit_manifest(const struct pol_tables *t, struct pol_buf *out);
void pol_emit_rules(const struct pol_tables *t, struct pol_buf *out);
/* SHA-256 over all texts in order, as hexadecimal digits: what the manifest calls sources. */
void pol_emit_sources_hash(struct pol_buf *b, const struct pol_sources *s);

/* Constants and the table of VIPs (polc/service.h), if there are services. */
void pol_emit_services(const struct pol_ir *ir, struct pol_buf *b);

struct pol_object_options {
	const char *clang;	/* command */
	const char *templates;	/* folder of datapath.h */
	const char *include;	/* folder of polc/abi.h */
};

/*
 * C through clang, then the sections added with libelf; the file at `path`
 * appears whole or not at all.  clang is started by its path without a shell, and
 * its messages become part of the error.
 */
int pol_object_write(const struct pol_tables *t, const struct pol_object_options *o,
		     const char *path, struct pol_err *e);

#endif
