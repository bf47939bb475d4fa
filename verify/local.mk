# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += verify/libverify.a
verify_libverify_a_SOURCES = \
	verify/cells.c \
	verify/cells.h \
	verify/frame.c \
	verify/judge.c \
	verify/judge.h \
	verify/kernel.c \
	verify/kernel.h \
	verify/lists.c \
	verify/names.c \
	verify/packets.c \
	verify/preds.c \
	verify/private.h \
	verify/tables.c \
	verify/verify.c \
	verify/verify.h \
	verify/world.c \
	verify/world.h
