# SPDX-License-Identifier: GPL-2.0-only
bin_PROGRAMS += polc
polc_SOURCES = \
	tool/compile.c \
	tool/files.c \
	tool/job.c \
	tool/job.h \
	tool/main.c \
	tool/options.c \
	tool/options.h \
	tool/questions.c \
	tool/verbs.h \
	tool/verify.c
polc_LDADD = verify/libverify.a lsp/liblsp.a runtime/libruntime.a $(compiler_libs) \
	$(LIBBPF_LIBS) $(JANSSON_LIBS)
