# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += runtime/libruntime.a
runtime_libruntime_a_SOURCES = \
	runtime/admit.c \
	runtime/admit.h \
	runtime/apply.c \
	runtime/apply.h \
	runtime/ask.c \
	runtime/ask.h \
	runtime/attach.c \
	runtime/attach.h \
	runtime/bpfelf.c \
	runtime/bpfelf.h \
	runtime/book.c \
	runtime/book.h \
	runtime/bpffs.c \
	runtime/bpffs.h \
	runtime/boot.c \
	runtime/boot.h \
	runtime/contain.c \
	runtime/contain.h \
	runtime/edge.c \
	runtime/edge.h \
	runtime/endpoint.c \
	runtime/endpoint.h \
	runtime/endpoints.c \
	runtime/endpoints.h \
	runtime/env.c \
	runtime/env.h \
	runtime/flows.c \
	runtime/flows.h \
	runtime/gen.c \
	runtime/gen.h \
	runtime/hostfile.c \
	runtime/hostfile.h \
	runtime/image.c \
	runtime/image.h \
	runtime/input.c \
	runtime/input.h \
	runtime/item.c \
	runtime/keep.c \
	runtime/keep.h \
	runtime/kernflows.c \
	runtime/kernflows.h \
	runtime/kinds.c \
	runtime/kinds.h \
	runtime/listen.c \
	runtime/listen.h \
	runtime/live.c \
	runtime/live.h \
	runtime/lock.c \
	runtime/lock.h \
	runtime/manifest.c \
	runtime/manifest.h \
	runtime/guard.c \
	runtime/guard.h \
	runtime/heap.c \
	runtime/metrics.c \
	runtime/metrics.h \
	runtime/metrics_json.c \
	runtime/monitor.c \
	runtime/monitor.h \
	runtime/neighbours.c \
	runtime/neighbours.h \
	runtime/net.c \
	runtime/net.h \
	runtime/netlink.c \
	runtime/netlink.h \
	runtime/nft.c \
	runtime/nft.h \
	runtime/object.c \
	runtime/object.h \
	runtime/place.c \
	runtime/place.h \
	runtime/place_change.c \
	runtime/place_private.h \
	runtime/proxy.c \
	runtime/proxy.h \
	runtime/publish.c \
	runtime/publish.h \
	runtime/query.c \
	runtime/query.h \
	runtime/query_match.c \
	runtime/quiet.c \
	runtime/quiet.h \
	runtime/rules.c \
	runtime/sets.c \
	runtime/sets.h \
	runtime/health.c \
	runtime/services.c \
	runtime/services.h \
	runtime/services_change.c \
	runtime/services_fill.c \
	runtime/services_flows.c \
	runtime/services_maps.h \
	runtime/settle.c \
	runtime/settle.h \
	runtime/shadow.c \
	runtime/shadow.h \
	runtime/shared.c \
	runtime/shared.h \
	runtime/show.c \
	runtime/show.h \
	runtime/show_inspect.c \
	runtime/show_shadow.c \
	runtime/show_services.c \
	runtime/show_status.c \
	runtime/show_traffic.c \
	runtime/show_why.c \
	runtime/store.c \
	runtime/store.h \
	runtime/stream.c \
	runtime/stub.c \
	runtime/stub.h \
	runtime/sysctl.c \
	runtime/sysctl.h \
	runtime/suggest.c \
	runtime/top.c \
	runtime/top.h \
	runtime/trust.c \
	runtime/trust.h \
	runtime/tx.c \
	runtime/tx.h \
	runtime/watch.c \
	runtime/watch.h \
	runtime/why.c \
	runtime/why.h \
	runtime/world.c \
	runtime/world.h \
	runtime/world_maps.c \
	runtime/xdp.c \
	runtime/xdp.h

runtime_libs = runtime/libruntime.a base/libpolbase.a \
	$(LIBBPF_LIBS) $(LIBELF_LIBS) $(LIBYAML_LIBS) $(LIBSODIUM_LIBS)

sbin_PROGRAMS += polload
polload_SOURCES = runtime/main.c runtime/metrics_serve.c runtime/top_screen.c
polload_LDADD = $(runtime_libs) $(MICROHTTPD_LIBS)

unitdir = $(prefix)/lib/systemd/system
nodist_unit_DATA = runtime/polload.service runtime/polload-watch.service
EXTRA_DIST += runtime/polload.service.in runtime/polload-watch.service.in
CLEANFILES += runtime/polload.service runtime/polload-watch.service
runtime/polload.service: $(srcdir)/runtime/polload.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) runtime && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/runtime/polload.service.in >$@.tmp && mv $@.tmp $@
runtime/polload-watch.service: $(srcdir)/runtime/polload-watch.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) runtime && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/runtime/polload-watch.service.in >$@.tmp && mv $@.tmp $@
