# SPDX-License-Identifier: GPL-2.0-only
# What generated C includes; an installed polc finds it here.
templatedir = $(pkgdatadir)/templates
dist_template_DATA = \
	bpf-templates/ask.h \
	bpf-templates/classify.h \
	bpf-templates/ct.h \
	bpf-templates/ct_insert.h \
	bpf-templates/datapath.h \
	bpf-templates/edge.h \
	bpf-templates/edge_event.h \
	bpf-templates/edge_parse.h \
	bpf-templates/event.h \
	bpf-templates/filter.h \
	bpf-templates/filter_array.h \
	bpf-templates/filter_dynamic.h \
	bpf-templates/flow.h \
	bpf-templates/frag.h \
	bpf-templates/handover.h \
	bpf-templates/icmp.h \
	bpf-templates/judge.h \
	bpf-templates/limit.h \
	bpf-templates/link.h \
	bpf-templates/maps.h \
	bpf-templates/parse.h \
	bpf-templates/pkt.h \
	bpf-templates/proxy.h \
	bpf-templates/reject.h \
	bpf-templates/service.h \
	bpf-templates/service_answer.h \
	bpf-templates/service_edge.h \
	bpf-templates/service_stack.h \
	bpf-templates/tcp.h \
	bpf-templates/timewait.h \
	bpf-templates/transport.h

templateincludedir = $(pkgdatadir)/include
polcincludedir = $(templateincludedir)/polc
dist_polcinclude_DATA = \
	include/polc/abi.h \
	include/polc/http.h \
	include/polc/manifest.h \
	include/polc/proxy.h \
	include/polc/reasons.h \
	include/polc/search.h \
	include/polc/service.h \
	include/polc/tables.h
