# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += compiler/libcompiler.a
compiler_libcompiler_a_SOURCES = \
	compiler/analysis/assertions.c \
	compiler/analysis/assertions.h \
	compiler/analysis/chain.c \
	compiler/analysis/chain.h \
	compiler/analysis/diff.c \
	compiler/analysis/diff.h \
	compiler/analysis/diff_http.c \
	compiler/analysis/diff_print.c \
	compiler/analysis/diffing.h \
	compiler/analysis/explain.c \
	compiler/analysis/explain.h \
	compiler/analysis/explain_print.c \
	compiler/analysis/fix.c \
	compiler/analysis/fix.h \
	compiler/analysis/lint.c \
	compiler/analysis/lint_host.c \
	compiler/analysis/lint.h \
	compiler/analysis/lint_rules.c \
	compiler/analysis/requests.c \
	compiler/analysis/requests.h \
	compiler/analysis/sarif.c \
	compiler/analysis/sarif.h \
	compiler/analysis/solve.c \
	compiler/analysis/solve.h \
	compiler/analysis/space.c \
	compiler/analysis/space.h \
	compiler/analysis/space_point.c \
	compiler/analysis/why.c \
	compiler/analysis/why.h \
	compiler/analysis/witness.c \
	compiler/analysis/witness.h \
	compiler/blocks.c \
	compiler/blocks.h \
	compiler/classes.c \
	compiler/describe.c \
	compiler/describe.h \
	compiler/dump.c \
	compiler/dump.h \
	compiler/emit.h \
	compiler/emit_c.c \
	compiler/emit_manifest.c \
	compiler/eval.c \
	compiler/eval.h \
	compiler/graph.c \
	compiler/graph.h \
	compiler/hosts.c \
	compiler/hosts.h \
	compiler/http/automaton.h \
	compiler/http/dfa.c \
	compiler/http/http.h \
	compiler/http/image.c \
	compiler/http/minimise.c \
	compiler/http/nfa.c \
	compiler/import/cilium.c \
	compiler/import/cilium.h \
	compiler/import/cilium_peers.c \
	compiler/import/cilium_ports.c \
	compiler/import/cilium_services.c \
	compiler/import/import.c \
	compiler/import/import.h \
	compiler/import/model.c \
	compiler/import/model.h \
	compiler/import/netpol.c \
	compiler/import/open.c \
	compiler/import/read.c \
	compiler/import/rule.c \
	compiler/import/rule.h \
	compiler/import/selector.c \
	compiler/import/tier.c \
	compiler/import/values.c \
	compiler/import/workload.c \
	compiler/import/write.c \
	compiler/intern.c \
	compiler/intern.h \
	compiler/intern_sel.c \
	compiler/ir.h \
	compiler/layout.c \
	compiler/layout.h \
	compiler/list.c \
	compiler/list.h \
	compiler/listing.h \
	compiler/lower.c \
	compiler/lower_http.c \
	compiler/lower.h \
	compiler/lower_l4.c \
	compiler/lower_peer.c \
	compiler/lower_sel.c \
	compiler/lower_tiers.c \
	compiler/lowering.h \
	compiler/object.c \
	compiler/options.c \
	compiler/options.h \
	compiler/partition.c \
	compiler/partition.h \
	compiler/ranges.c \
	compiler/ranges.h \
	compiler/special.c \
	compiler/stats.c \
	compiler/stats.h \
	compiler/tabulate.c \
	compiler/tabulate.h \
	compiler/workloads.c \
	compiler/workloads.h

compiler_libs = compiler/libcompiler.a lang/liblang.a base/libpolbase.a \
	$(LIBELF_LIBS) $(LIBYAML_LIBS) $(LIBSODIUM_LIBS)

bin_PROGRAMS += polc
polc_SOURCES = compiler/main.c
polc_LDADD = verify/libverify.a lsp/liblsp.a runtime/libruntime.a $(compiler_libs) $(LIBBPF_LIBS) $(JANSSON_LIBS)
