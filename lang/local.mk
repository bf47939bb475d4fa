# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += lang/liblang.a
lang_liblang_a_SOURCES = \
	lang/ast.c \
	lang/ast.h \
	lang/check.c \
	lang/check_edge.c \
	lang/diag.c \
	lang/diag.h \
	lang/dump.c \
	lang/format.c \
	lang/format.h \
	lang/lexeme.c \
	lang/lists.c \
	lang/load.c \
	lang/messages.def \
	lang/names.c \
	lang/nodes.c \
	lang/nodes_rule.c \
	lang/regex.c \
	lang/regex.h \
	lang/render.c \
	lang/resolve.c \
	lang/resolve.h \
	lang/resolving.h \
	lang/source.c \
	lang/source.h \
	lang/syntax.h \
	lang/tokens.c

# Scanner and parser are made in the build tree and are not part of a release.
nodist_lang_liblang_a_SOURCES = lang/parse.c lang/parse.h lang/scan.c
EXTRA_DIST += lang/parse.y lang/scan.l lang/reference.md lang/examples/full
BUILT_SOURCES += lang/parse.h
CLEANFILES += lang/parse.c lang/parse.h lang/scan.c

lang/parse.c: lang/parse.y
	$(AM_V_GEN)$(MKDIR_P) lang && \
	$(BISON) -Wall -Werror --defines=lang/parse.h --output=lang/parse.c $(srcdir)/lang/parse.y
lang/parse.h: lang/parse.c
	@test -f $@ || { rm -f lang/parse.c; $(MAKE) $(AM_MAKEFLAGS) lang/parse.c; }

lang/scan.c: lang/scan.l
	$(AM_V_GEN)$(MKDIR_P) lang && $(FLEX) --outfile=$@ $(srcdir)/lang/scan.l

examplesdir = $(docdir)/examples
dist_examples_DATA = \
	lang/examples/audit.pol \
	lang/examples/edge.pol \
	lang/examples/limits.pol \
	lang/examples/lists.pol \
	lang/examples/lists.txt \
	lang/examples/minimal.pol \
	lang/examples/shop.pol \
	lang/examples/tiers.pol
