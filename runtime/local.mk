# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += runtime/libruntime.a
runtime_libruntime_a_SOURCES = \
	runtime/input/admit.c \
	runtime/input/admit.h \
	runtime/input/bpfelf.c \
	runtime/input/bpfelf.h \
	runtime/input/contain.c \
	runtime/input/contain.h \
	runtime/input/endpoint.c \
	runtime/input/endpoint.h \
	runtime/input/env.c \
	runtime/input/env.h \
	runtime/input/hostfile.c \
	runtime/input/hostfile.h \
	runtime/input/input.c \
	runtime/input/input.h \
	runtime/input/manifest.c \
	runtime/input/manifest.h \
	runtime/input/object.c \
	runtime/input/object.h \
	runtime/input/quiet.c \
	runtime/input/quiet.h \
	runtime/input/rules.c \
	runtime/input/trust.c \
	runtime/input/trust.h \
	runtime/host/bpffs.c \
	runtime/host/bpffs.h \
	runtime/host/guard.c \
	runtime/host/guard.h \
	runtime/host/libxdp.c \
	runtime/host/libxdp.h \
	runtime/host/listen.c \
	runtime/host/listen.h \
	runtime/host/lock.c \
	runtime/host/lock.h \
	runtime/host/lookup.c \
	runtime/host/lookup.h \
	runtime/host/net.c \
	runtime/host/net.h \
	runtime/host/netlink.c \
	runtime/host/netlink.h \
	runtime/host/nft.c \
	runtime/host/nft.h \
	runtime/host/sysctl.c \
	runtime/host/sysctl.h \
	runtime/place/image.c \
	runtime/place/image.h \
	runtime/place/kinds.c \
	runtime/place/kinds.h \
	runtime/place/place.c \
	runtime/place/place.h \
	runtime/place/place_change.c \
	runtime/place/place_private.h \
	runtime/generation/ask.c \
	runtime/generation/ask.h \
	runtime/generation/attach.c \
	runtime/generation/attach.h \
	runtime/generation/dispatcher.c \
	runtime/generation/dispatcher.h \
	runtime/generation/edge.c \
	runtime/generation/edge.h \
	runtime/generation/flows.c \
	runtime/generation/flows.h \
	runtime/generation/gen.c \
	runtime/generation/gen.h \
	runtime/generation/kernflows.c \
	runtime/generation/kernflows.h \
	runtime/generation/live.c \
	runtime/generation/live.h \
	runtime/generation/neighbours.c \
	runtime/generation/neighbours.h \
	runtime/generation/publish.c \
	runtime/generation/publish.h \
	runtime/generation/sets.c \
	runtime/generation/sets.h \
	runtime/generation/shared.c \
	runtime/generation/shared.h \
	runtime/generation/store.c \
	runtime/generation/store.h \
	runtime/generation/stub.c \
	runtime/generation/stub.h \
	runtime/generation/world.c \
	runtime/generation/world.h \
	runtime/generation/world_maps.c \
	runtime/generation/xdp.c \
	runtime/generation/xdp.h \
	runtime/services/health.c \
	runtime/services/services.c \
	runtime/services/services.h \
	runtime/services/services_change.c \
	runtime/services/services_fill.c \
	runtime/services/services_flows.c \
	runtime/services/services_maps.h \
	runtime/services/services_state.c \
	runtime/change/apply.c \
	runtime/change/apply.h \
	runtime/change/boot.c \
	runtime/change/boot.h \
	runtime/change/endpoints.c \
	runtime/change/endpoints.h \
	runtime/change/keep.c \
	runtime/change/keep.h \
	runtime/change/pool.c \
	runtime/change/pool.h \
	runtime/change/proxy.c \
	runtime/change/proxy.h \
	runtime/change/settle.c \
	runtime/change/settle.h \
	runtime/change/shadow.c \
	runtime/change/shadow.h \
	runtime/change/tx.c \
	runtime/change/tx.h \
	runtime/look/book.c \
	runtime/look/book.h \
	runtime/look/heap.c \
	runtime/look/item.c \
	runtime/look/metrics.c \
	runtime/look/metrics.h \
	runtime/look/metrics_services.c \
	runtime/look/monitor.c \
	runtime/look/monitor.h \
	runtime/look/query.c \
	runtime/look/query.h \
	runtime/look/query_match.c \
	runtime/look/samples.c \
	runtime/look/samples.h \
	runtime/look/show.c \
	runtime/look/show.h \
	runtime/look/show_inspect.c \
	runtime/look/show_services.c \
	runtime/look/show_shadow.c \
	runtime/look/show_status.c \
	runtime/look/show_traffic.c \
	runtime/look/show_why.c \
	runtime/look/stream.c \
	runtime/look/suggest.c \
	runtime/look/top.c \
	runtime/look/top.h \
	runtime/look/watch.c \
	runtime/look/watch.h \
	runtime/look/why.c \
	runtime/look/why.h

runtime_libs = runtime/libruntime.a base/libpolbase.a \
	$(LIBBPF_LIBS) $(LIBELF_LIBS) $(LIBYAML_LIBS) $(LIBSODIUM_LIBS)

sbin_PROGRAMS += polload polload-metrics
polload_SOURCES = \
	runtime/command/choose.c \
	runtime/command/command.h \
	runtime/command/main.c \
	runtime/command/say.c \
	runtime/command/top_screen.c \
	runtime/command/verbs_host.c \
	runtime/command/verbs_look.c \
	runtime/command/verbs_policy.c
polload_LDADD = $(runtime_libs)
polload_metrics_SOURCES = \
	runtime/command/choose.c \
	runtime/command/command.h \
	runtime/command/metrics_serve.c \
	runtime/command/say.c
polload_metrics_LDADD = $(runtime_libs) $(MICROHTTPD_LIBS)

unitdir = $(prefix)/lib/systemd/system
nodist_unit_DATA = runtime/polload.service runtime/polload-watch.service
EXTRA_DIST += runtime/polload.service.in runtime/polload-watch.service.in
CLEANFILES += runtime/polload.service runtime/polload-watch.service
runtime/polload.service: $(srcdir)/runtime/polload.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) runtime && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/runtime/polload.service.in >$@.tmp && mv $@.tmp $@
runtime/polload-watch.service: $(srcdir)/runtime/polload-watch.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) runtime && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/runtime/polload-watch.service.in >$@.tmp && mv $@.tmp $@
