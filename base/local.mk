# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += base/libpolbase.a
base_libpolbase_a_SOURCES = \
	base/base.c \
	base/base.h \
	base/http.c \
	base/http.h \
	base/icmp.c \
	base/ip.c \
	base/maglev.c \
	base/maglev.h \
	base/message.c \
	base/message.h \
	base/notify.c \
	base/notify.h \
	base/search.c \
	base/search.h \
	base/sign.c \
	base/sign.h \
	base/table.c \
	base/table.h \
	base/yaml.c \
	base/yaml.h
