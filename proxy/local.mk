# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += proxy/libproxy.a
proxy_libproxy_a_SOURCES = \
	proxy/buffer.c \
	proxy/buffer.h \
	proxy/confine.c \
	proxy/confine.h \
	proxy/conn.c \
	proxy/conn.h \
	proxy/control.c \
	proxy/control.h \
	proxy/exchange.c \
	proxy/exchange.h \
	proxy/h2.c \
	proxy/h2.h \
	proxy/h2flood.c \
	proxy/h2head.c \
	proxy/h2session.c \
	proxy/h2stream.c \
	proxy/http1.c \
	proxy/http1.h \
	proxy/http1relay.c \
	proxy/log.c \
	proxy/log.h \
	proxy/policy.c \
	proxy/policy.h \
	proxy/tap.c \
	proxy/tap.h \
	proxy/worker.c \
	proxy/worker.h

proxy_libs = proxy/libproxy.a base/libpolbase.a $(LIBBPF_LIBS) $(LIBEV_LIBS) $(LIBNGHTTP2_LIBS) $(LIBSECCOMP_LIBS)

sbin_PROGRAMS += polproxy
polproxy_SOURCES = proxy/main.c
polproxy_LDADD = $(proxy_libs)

EXTRA_DIST += proxy/polproxy.service.in
CLEANFILES += proxy/polproxy.service
proxy/polproxy.service: $(srcdir)/proxy/polproxy.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) proxy && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/proxy/polproxy.service.in >$@.tmp && mv $@.tmp $@
nodist_unit_DATA += proxy/polproxy.service
