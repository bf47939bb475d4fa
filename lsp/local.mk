# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += lsp/liblsp.a
lsp_liblsp_a_SOURCES = \
	lsp/answers.c \
	lsp/complete.c \
	lsp/diagnostics.c \
	lsp/documents.c \
	lsp/hover.c \
	lsp/lsp.h \
	lsp/names.c \
	lsp/private.h \
	lsp/serve.c \
	lsp/server.c \
	lsp/text.c
