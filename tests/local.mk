# SPDX-License-Identifier: GPL-2.0-only

# ---- programs -------------------------------------------------------------------

# Every test program may use every room; the linker takes what it needs.
LDADD = verify/libverify.a runtime/libruntime.a compiler/libcompiler.a lang/liblang.a base/libpolbase.a \
	$(LIBBPF_LIBS) $(LIBELF_LIBS) $(LIBYAML_LIBS) $(LIBSODIUM_LIBS) $(CMOCKA_LIBS)

unit_tests = \
	tests/unit/test_analysis \
	tests/unit/test_base \
	tests/unit/test_confine \
	tests/unit/test_contain \
	tests/unit/test_edits \
	tests/unit/test_eval \
	tests/unit/test_flips \
	tests/unit/test_filters \
	tests/unit/test_hostfile \
	tests/unit/test_http \
	tests/unit/test_input \
	tests/unit/test_lang \
	tests/unit/test_log \
	tests/unit/test_lower \
	tests/unit/test_object \
	tests/unit/test_place \
	tests/unit/test_requests \
	tests/unit/test_maglev \
	tests/unit/test_netlink \
	tests/unit/test_search \
	tests/unit/test_sign \
	tests/unit/test_table \
	tests/unit/test_tabulate

check_PROGRAMS += $(unit_tests)

tests_unit_test_analysis_SOURCES = tests/unit/test_analysis.c tests/unit/policy_text.h $(generator)
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_edits_SOURCES = tests/unit/test_edits.c tests/unit/policy_text.h $(generator)
tests_unit_test_confine_SOURCES = tests/unit/test_confine.c
tests_unit_test_confine_LDADD = $(proxy_libs) $(CMOCKA_LIBS)
tests_unit_test_contain_SOURCES = tests/unit/test_contain.c
tests_unit_test_eval_SOURCES = tests/unit/test_eval.c tests/unit/policy_text.h
tests_unit_test_filters_SOURCES = tests/unit/test_filters.c tests/unit/policy_text.h $(filter_gen)
tests_unit_test_flips_SOURCES = tests/fuzz/fuzz_object.c tests/unit/object_maker.h tests/unit/test_flips.c
tests_unit_test_hostfile_SOURCES = tests/unit/test_hostfile.c
tests_unit_test_http_SOURCES = tests/unit/test_http.c
tests_unit_test_input_SOURCES = tests/unit/test_input.c
tests_unit_test_lang_SOURCES = tests/unit/test_lang.c
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_LDADD = $(proxy_libs) $(CMOCKA_LIBS)
tests_unit_test_lower_SOURCES = tests/unit/test_lower.c tests/unit/policy_text.h
tests_unit_test_maglev_SOURCES = tests/unit/test_maglev.c
tests_unit_test_netlink_SOURCES = tests/unit/test_netlink.c
tests_unit_test_object_SOURCES = tests/unit/test_object.c tests/unit/object_maker.h
tests_unit_test_place_SOURCES = tests/unit/test_place.c tests/unit/place_policy.c tests/unit/place_policy.h \
	tests/unit/object_maker.h
tests_unit_test_requests_SOURCES = tests/unit/test_requests.c tests/unit/policy_text.h
tests_unit_test_search_SOURCES = tests/unit/test_search.c $(generator)
tests_unit_test_sign_SOURCES = tests/unit/test_sign.c
tests_unit_test_table_SOURCES = tests/unit/test_table.c
tests_unit_test_tabulate_SOURCES = tests/unit/judge.h tests/unit/test_tabulate.c

# A traffic helper; the demo needs it too.
noinst_PROGRAMS += tests/tools/probe
tests_tools_probe_SOURCES = tests/tools/probe.c
tests_tools_probe_LDADD =

ends = tests/tools/ends.c tests/tools/ends.h

noinst_PROGRAMS += tests/tools/http
tests_tools_http_SOURCES = tests/tools/http.c $(ends)
tests_tools_http_LDADD =

noinst_PROGRAMS += tests/tools/h2
tests_tools_h2_SOURCES = tests/tools/h2.c tests/tools/h2text.c tests/tools/h2text.h $(ends)
tests_tools_h2_LDADD = $(LIBNGHTTP2_LIBS)

noinst_PROGRAMS += tests/tools/httpload
tests_tools_httpload_SOURCES = tests/tools/httpload.c $(ends)
tests_tools_httpload_LDADD = base/libpolbase.a

check_PROGRAMS += tests/tools/foreign
tests_tools_foreign_SOURCES = tests/tools/foreign.c
tests_tools_foreign_LDADD =

check_PROGRAMS += tests/tools/frame
tests_tools_frame_SOURCES = tests/tools/frame.c
tests_tools_frame_LDADD =

check_PROGRAMS += tests/tools/netdev
tests_tools_netdev_SOURCES = tests/tools/netdev.c
tests_tools_netdev_LDADD =

check_PROGRAMS += tests/tools/sniff
tests_tools_sniff_SOURCES = tests/tools/sniff.c
tests_tools_sniff_LDADD =

check_PROGRAMS += tests/tools/entries
tests_tools_entries_SOURCES = tests/tools/entries.c

check_PROGRAMS += tests/tools/openmetrics
tests_tools_openmetrics_SOURCES = tests/tools/openmetrics.c
tests_tools_openmetrics_LDADD =

check_PROGRAMS += tests/tools/faultat
tests_tools_faultat_SOURCES = tests/tools/faultat.c
tests_tools_faultat_LDADD =

check_PROGRAMS += tests/tools/backedge
tests_tools_backedge_SOURCES = tests/tools/backedge.c

check_PROGRAMS += tests/tools/verified
tests_tools_verified_SOURCES = tests/tools/verified.c

preloads = tests/tools/nomem.so tests/tools/slowclock.so tests/tools/wallclock.so
check_SCRIPTS += $(preloads)
CLEANFILES += $(preloads)
$(preloads): %.so: %.c
	$(AM_V_CCLD)$(MKDIR_P) $(@D) && $(CC) -std=gnu11 $(CFLAGS) -shared -fPIC -o $@ $<

check_PROGRAMS += tests/tools/engine
tests_tools_engine_SOURCES = tests/tools/engine.c
tests_tools_engine_LDADD =

check_PROGRAMS += tests/tools/repin
tests_tools_repin_SOURCES = tests/tools/repin.c

check_PROGRAMS += tests/tools/rawfuzz
tests_tools_rawfuzz_SOURCES = tests/tools/rawfuzz.c
tests_tools_rawfuzz_LDADD =

# With the trace of bison's parser, which lang/liblang.a is built without.
check_PROGRAMS += tests/tools/grammar
tests_tools_grammar_SOURCES = tests/tools/grammar.c
nodist_tests_tools_grammar_SOURCES = lang/parse.c
tests_tools_grammar_CPPFLAGS = $(AM_CPPFLAGS) -DPOL_YYDEBUG=1

check_PROGRAMS += tests/tools/hostcheck
tests_tools_hostcheck_SOURCES = tests/tools/hostcheck.c

generator = tests/tools/genpolicy.c tests/tools/genpolicy.h

check_PROGRAMS += tests/tools/polgen
EXTRA_PROGRAMS =
tests_tools_polgen_SOURCES = tests/tools/polgen.c $(generator)

# ---- packets and policies through the kernel -----------------------------------------

check_PROGRAMS += tests/packet/run
packet_words = \
	tests/packet/cases.c \
	tests/packet/cases.h \
	tests/packet/packet.c \
	tests/packet/packet.h
tests_packet_run_SOURCES = $(packet_words) \
	tests/packet/fixture.h \
	tests/packet/run.c \
	tests/packet/world.c \
	tests/packet/world.h

check_PROGRAMS += tests/packet/edge
tests_packet_edge_SOURCES = $(packet_words) tests/packet/edge.c

check_PROGRAMS += tests/packet/listener
tests_packet_listener_SOURCES = tests/packet/listener.c

check_DATA = tests/packet/fixture.bpf.o
CLEANFILES += tests/packet/fixture.bpf.o

tests/packet/fixture.bpf.o: tests/packet/fixture.bpf.c tests/packet/fixture.h $(dist_template_DATA) $(dist_polcinclude_DATA)
	$(AM_V_CC)$(MKDIR_P) tests/packet && \
	$(CLANG) -O2 -g -mcpu=v3 -target bpf -Wall -Wextra -Werror -I$(srcdir)/include \
		-I$(srcdir)/bpf-templates -I/usr/include/$(MULTIARCH) -c -o $@ \
		$(srcdir)/tests/packet/fixture.bpf.c

property_common = \
	tests/property/build.c \
	tests/property/build.h \
	tests/property/random.c \
	tests/property/random.h \
	$(generator)

check_PROGRAMS += tests/property/property
tests_property_property_SOURCES = \
	tests/property/check.c \
	tests/property/check.h \
	tests/property/compare.c \
	tests/property/oracle.c \
	tests/property/oracle.h \
	tests/property/property.c \
	tests/property/report.c \
	tests/property/run.h \
	tests/property/spoil.c \
	$(property_common)

check_PROGRAMS += tests/property/limits
tests_property_limits_SOURCES = tests/property/limits.c $(property_common)

check_PROGRAMS += tests/property/filters
filter_gen = tests/property/filter_gen.c tests/property/filter_gen.h
tests_property_filters_SOURCES = tests/property/filters.c $(filter_gen) $(property_common)

check_PROGRAMS += tests/corpus/katran-packets
tests_corpus_katran_packets_SOURCES = tests/corpus/katran-packets.c

check_PROGRAMS += tests/verify/mutants
tests_verify_mutants_SOURCES = tests/verify/mutants.c $(generator)


check_PROGRAMS += tests/http/automaton
tests_http_automaton_SOURCES = tests/http/automaton.c
tests_http_automaton_LDADD = $(LDADD) $(PCRE2_LIBS)

# ---- measurements: `make bench`, as root on a quiet machine ------------------------------

bench_programs = tests/bench/balance tests/bench/bench tests/bench/filters tests/bench/benchgen tests/bench/measure tests/bench/pulse tests/bench/wire
EXTRA_PROGRAMS += $(bench_programs)

tests_bench_balance_SOURCES = tests/bench/balance.c tests/bench/core.c tests/bench/core.h
tests_bench_bench_SOURCES = \
	tests/bench/bench.bpf.h \
	tests/bench/bench.c \
	tests/bench/bench_flow.h \
	tests/bench/benchpolicy.c \
	tests/bench/benchpolicy.h \
	tests/bench/core.c \
	tests/bench/core.h \
	tests/bench/load.c \
	tests/bench/load.h \
	tests/bench/subject.c \
	tests/bench/subject.h \
	$(property_common)
tests_bench_filters_SOURCES = tests/bench/core.c tests/bench/core.h tests/bench/filters.c $(filter_gen) $(property_common)
tests_bench_benchgen_SOURCES = tests/bench/benchgen.c tests/bench/benchpolicy.c tests/bench/benchpolicy.h $(generator)
tests_bench_measure_SOURCES = tests/bench/measure.c
tests_bench_measure_LDADD =
tests_bench_pulse_SOURCES = tests/bench/core.c tests/bench/core.h tests/bench/pulse.c tests/bench/load.c tests/bench/load.h
tests_bench_wire_SOURCES = tests/bench/core.c tests/bench/core.h tests/bench/wire.c
tests_bench_wire_LDADD =

tests/bench/balance.bpf.o: tests/bench/balance.bpf.c
	$(AM_V_CC)$(MKDIR_P) tests/bench && \
	$(CLANG) -O2 -g -mcpu=v3 -target bpf -I/usr/include/$(MULTIARCH) -c -o $@ $(srcdir)/tests/bench/balance.bpf.c
CLEANFILES += tests/bench/balance.bpf.o

# The report is in build/bench; `make bench-keep MACHINE=NAME` puts it where the tree keeps the last one of this machine.
bench: all $(bench_programs) tests/tools/frame tests/bench/balance.bpf.o
	$(AM_TESTS_ENVIRONMENT) unset POLC_CLANG; $(srcdir)/tests/bench/bench.sh bench
bench-peers:
	$(AM_TESTS_ENVIRONMENT) $(srcdir)/tests/bench/peers.sh
bench-keep:
	@test -n '$(MACHINE)' || { echo "bench-keep: name this machine: make bench-keep MACHINE=NAME, a folder of doc/bench" >&2; exit 2; }
	rm -rf $(srcdir)/doc/bench/$(MACHINE) && $(MKDIR_P) $(srcdir)/doc/bench/$(MACHINE)
	cp bench/report.md bench/*.svg bench/*.csv $(srcdir)/doc/bench/$(MACHINE)/
	$(srcdir)/tests/bench/report/report.sh beside $(srcdir)/doc/bench

# ---- the fuzzers of all that reads what others wrote ----------------------------------

# Compiled apart from everything else: by the compiler that has libFuzzer, and with the
# sanitizers, whatever the rest is built with.
FUZZ_OUT = tests/fuzz
fuzzers = $(FUZZ_OUT)/parse-fuzzer $(FUZZ_OUT)/compile-fuzzer $(FUZZ_OUT)/import-fuzzer $(FUZZ_OUT)/object-fuzzer \
	$(FUZZ_OUT)/hostfile-fuzzer $(FUZZ_OUT)/http-fuzzer $(FUZZ_OUT)/query-fuzzer $(FUZZ_OUT)/http1-fuzzer $(FUZZ_OUT)/h2-fuzzer \
	$(FUZZ_OUT)/lsp-fuzzer $(FUZZ_OUT)/container-fuzzer

# A source is compiled once for all of them.
FUZZ_COMPILE = $(MKDIR_P) $(@D) && $(FUZZ_CC) $(FUZZ_CFLAGS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS)
fuzz_objects = $(patsubst %.c,$(FUZZ_OUT)/objects/%.o,$(1))

$(FUZZ_OUT)/objects/%.o: %.c | lang/parse.c lang/scan.c
	$(AM_V_CC)$(FUZZ_COMPILE) -MMD -MP -c -o $@ $<
-include $(wildcard $(FUZZ_OUT)/objects/*/*.d $(FUZZ_OUT)/objects/*/*/*.d)

FUZZ_LINK = $(AM_V_CCLD)$(FUZZ_COMPILE) -o $@ $^ $(FUZZ_LIBS)
FUZZ_LIBS = $(LIBELF_LIBS) $(LIBYAML_LIBS) $(LIBSODIUM_LIBS)

fuzz_base = $(filter %.c,$(base_libpolbase_a_SOURCES))
fuzz_lang = $(fuzz_base) $(filter %.c,$(lang_liblang_a_SOURCES)) lang/parse.c lang/scan.c
fuzz_compile = $(fuzz_lang) $(filter compiler/%.c,$(compiler_libcompiler_a_SOURCES))
fuzz_hostfile = $(fuzz_base) \
	runtime/input/endpoint.c runtime/input/hostfile.c runtime/input/input.c
fuzz_object = $(fuzz_base) \
	runtime/input/bpfelf.c runtime/place/image.c runtime/input/input.c runtime/place/kinds.c runtime/input/manifest.c \
	runtime/input/object.c runtime/place/place.c runtime/place/place_change.c runtime/input/rules.c
fuzz_query = $(fuzz_base) runtime/look/query.c
# The importer with the language that its texts are in.
fuzz_import = $(fuzz_lang) $(filter compiler/import/%.c,$(compiler_libcompiler_a_SOURCES))
fuzz_http = $(fuzz_lang) $(filter compiler/http/%.c,$(compiler_libcompiler_a_SOURCES))
fuzz_http1 = $(fuzz_base) proxy/http1.c
# Connections, but not the processes around them.
fuzz_h2 = $(fuzz_base) $(filter-out proxy/confine.c proxy/control.c proxy/worker.c,$(filter %.c,$(proxy_libproxy_a_SOURCES)))
# The server with all that answers it.
fuzz_lsp = $(fuzz_lang) $(filter %.c,$(lsp_liblsp_a_SOURCES)) $(filter %.c,$(compiler_libcompiler_a_SOURCES))
# What runtimes say, without the host that it would change.
fuzz_container = $(fuzz_base) \
	container/call.c container/cni.c container/cni_request.c container/docker.c container/labels.c \
	container/link.c container/whose.c \
	runtime/input/endpoint.c runtime/input/hostfile.c runtime/input/input.c runtime/host/netlink.c

$(FUZZ_OUT)/parse-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_parse.c $(fuzz_lang) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/compile-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_compile.c $(fuzz_compile) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/object-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_object.c $(fuzz_object) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/hostfile-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_hostfile.c $(fuzz_hostfile) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/query-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_query.c $(fuzz_query) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/import-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_import.c $(fuzz_import) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/http-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_http.c $(fuzz_http) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/http1-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_http1.c $(fuzz_http1) $(fuzz_driver))
	$(FUZZ_LINK)

$(FUZZ_OUT)/h2-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_h2.c $(fuzz_h2) $(fuzz_driver))
	$(FUZZ_LINK) $(LIBBPF_LIBS) $(LIBEV_LIBS) $(LIBNGHTTP2_LIBS)

$(FUZZ_OUT)/lsp-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_lsp.c $(fuzz_lsp) $(fuzz_driver))
	$(FUZZ_LINK) $(JANSSON_LIBS)

$(FUZZ_OUT)/container-fuzzer: $(call fuzz_objects,tests/fuzz/fuzz_container.c $(fuzz_container) $(fuzz_driver))
	$(FUZZ_LINK) $(JANSSON_LIBS)

check_SCRIPTS += $(fuzzers)
CLEANFILES += $(fuzzers) tests/unit/flips.bpf.o
if FUZZERS
noinst_SCRIPTS = $(fuzzers)
endif

# Each for a while: make fuzz FUZZ_SECONDS=3600 FUZZ_SEED=7
FUZZ_SECONDS = 600
FUZZ_SEED =
fuzz_run = $(AM_TESTS_ENVIRONMENT) POLC_FUZZ_SECONDS='$(FUZZ_SECONDS)' POLC_FUZZ_SEED='$(FUZZ_SEED)'
fuzz: $(fuzzers)
	$(fuzz_run) $(srcdir)/tests/fuzz/run.sh

# Goes on where it was last night, and says what it reaches by now: eight hours, or 11 times FUZZ_SECONDS.
fuzz-nightly: $(fuzzers)
	$(fuzz_run) POLC_FUZZ_SECONDS='$(subst 600,2600,$(FUZZ_SECONDS))' POLC_FUZZ_KEEP=1 $(srcdir)/tests/fuzz/run.sh
	$(MAKE) $(AM_MAKEFLAGS) fuzz-coverage FUZZ_SECONDS=1

# Which lines of each room they reach, after so long: make fuzz-coverage FUZZ_SECONDS=10
FUZZ_COVERAGE = -std=gnu11 -O1 -g -fsanitize=fuzzer -fprofile-instr-generate -fcoverage-mapping
fuzz-coverage:
	$(MAKE) $(AM_MAKEFLAGS) fuzz-coverage-run FUZZ_OUT=tests/fuzz/coverage FUZZ_CFLAGS='$(FUZZ_COVERAGE)'
fuzz-coverage-run: $(fuzzers)
	$(fuzz_run) POLC_FUZZ_COVERAGE=1 $(srcdir)/tests/fuzz/run.sh

# ---- what `make check` runs -----------------------------------------------------------

# The long ones first, so that a second processor has company.
# They come first: one of them alone at the end would leave the other processors idle.
long_tests = \
	tests/property.sh \
	tests/quality/distcheck.sh \
	tests/e2e/upstreams.sh \
	tests/e2e/kill.sh \
	tests/corpus/roundtrip \
	tests/fuzz/run.sh

script_tests = \
	tests/filters.sh \
	tests/packet.sh \
	tests/packet/edge.sh \
	tests/golden/run.sh \
	tests/http/automaton.sh \
	tests/lsp/edit.sh \
	tests/lsp/editors.sh \
	tests/verify/mutants.sh \
	tests/report.sh \
	tests/verify/verify.sh \
	tests/corpus/cilium \
	tests/corpus/katran \
	tests/corpus/kubernetes \
	tests/demo/check.sh \
	tests/man-examples \
	tests/openssl.sh \
	tests/reproducible.sh \
	tests/security.sh \
	tests/units.sh

# What tools say of the sources: `make check-quality` runs these alone, and distcheck with them.
quality_tests = \
	tests/quality/tidy.sh \
	tests/quality/cppcheck.sh \
	tests/quality/headers.sh \
	tests/quality/format.sh \
	tests/quality/man.sh \
	tests/dependencies \
	tests/scripts.sh

e2e_tests = \
	tests/e2e/agentfaults.sh \
	tests/e2e/alternate.sh \
	tests/e2e/apply.sh \
	tests/e2e/audit.sh \
	tests/e2e/boot.sh \
	tests/e2e/bypass.sh \
	tests/e2e/churn.sh \
	tests/e2e/cni.sh \
	tests/e2e/contain.sh \
	tests/e2e/dispatcher.sh \
	tests/e2e/docker.sh \
	tests/e2e/dockernet.sh \
	tests/e2e/endpoint.sh \
	tests/e2e/errno.sh \
	tests/e2e/fail.sh \
	tests/e2e/faults.sh \
	tests/e2e/filter.sh \
	tests/e2e/filterflood.sh \
	tests/e2e/flood.sh \
	tests/e2e/full.sh \
	tests/e2e/frames.sh \
	tests/e2e/h2.sh \
	tests/e2e/h2life.sh \
	tests/e2e/handover.sh \
	tests/e2e/host.sh \
	tests/e2e/http.sh \
	tests/e2e/httpbounds.sh \
	tests/e2e/httpbridge.sh \
	tests/e2e/httphijack.sh \
	tests/e2e/httplife.sh \
	tests/e2e/import.sh \
	tests/e2e/look.sh \
	tests/e2e/metrics.sh \
	tests/e2e/neighbours.sh \
	tests/e2e/podman.sh \
	tests/e2e/remote.sh \
	tests/e2e/rollback.sh \
	tests/e2e/see.sh \
	tests/e2e/service.sh \
	tests/e2e/serviceanswers.sh \
	tests/e2e/serviceflood.sh \
	tests/e2e/sign.sh \
	tests/e2e/transfers.sh \
	tests/e2e/translated.sh \
	tests/e2e/trust.sh \
	tests/e2e/tutorial.sh \
	tests/e2e/twice.sh \
	tests/e2e/version.sh \
	tests/e2e/watch.sh

TESTS += $(long_tests) $(quality_tests) $(unit_tests) $(script_tests) tests/packet/listener tests/property/limits $(e2e_tests)
LOG_DRIVER = $(SHELL) $(srcdir)/tests/log-driver

AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_srcdir)'; top_srcdir='$(abs_srcdir)'; export srcdir top_srcdir; \
	builddir='$(abs_builddir)'; top_builddir='$(abs_builddir)'; export builddir top_builddir; \
	POLC='$(abs_builddir)/polc'; POLLOAD='$(abs_builddir)/polload'; export POLC POLLOAD; \
	PROBE='$(abs_builddir)/tests/tools/probe'; export PROBE; \
	POLC_TEMPLATES='$(abs_srcdir)/bpf-templates'; export POLC_TEMPLATES; \
	POLC_INCLUDE='$(abs_srcdir)/include'; export POLC_INCLUDE; \
	CC='$(CC)'; CLANG='$(CLANG)'; export CC CLANG; \
	POLC_CLANG='$(abs_srcdir)/tests/tools/clang-once'; REAL_CLANG='$(CLANG)'; CLANG_KEEPS="$${CLANG_KEEPS:-$(abs_builddir)/tests/clang-once}"; export POLC_CLANG REAL_CLANG CLANG_KEEPS; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	POLC_MAY_SKIP='tests/units.sh tests/openssl.sh tests/corpus/cilium tests/corpus/katran tests/corpus/kubernetes tests/corpus/roundtrip tests/e2e/upstreams.sh'; export POLC_MAY_SKIP;

# One line for people and scripts, from the results of the last `make check`.
count-tests:
	@cat $(TEST_LOGS:.log=.trs) | awk '/^:test-result: / { n[$$2]++ } \
	END { printf "%d passed, %d failed, %d skipped\n", n["PASS"], n["FAIL"] + n["ERROR"], n["SKIP"] }'

# Containers that come and go, as many as a host has in a day.
check-churn: all tests/tools/entries tests/tools/probe tests/tools/sniff
	$(AM_TESTS_ENVIRONMENT) CHURN_TURNS=200 CHURN_ONCE=20 $(srcdir)/tests/e2e/churn.sh

# Everything at once for half an hour: SOAK_SECONDS=N
check-soak: all tests/tools/entries tests/tools/frame tests/tools/probe tests/tools/sniff
	$(AM_TESTS_ENVIRONMENT) $(srcdir)/tests/e2e/soak.sh

# Every fault of every command, and the program killed at every point: hours; make -j4 check-faults does several at once,
# of which each waits most of its time for packets that do not come.
faulted = apply rollback shadow add del remove first boot
shares = 1 2 3 4
faulted_elsewhere = $(shares:%=check-faults-elsewhere-%)
check-faults: $(faulted:%=check-faults-of-%) check-faults-memory check-faults-elsewhere check-faults-killed check-faults-flipped
check-faults-elsewhere: $(faulted_elsewhere)
faults_tools = all tests/tools/faultat tests/tools/engine $(preloads) tests/tools/probe tests/unit/test_flips
$(faulted:%=check-faults-of-%): $(faults_tools)
	$(AM_TESTS_ENVIRONMENT) FAULTS='$(FAULTS)' FAULT_COMMANDS=$(@:check-faults-of-%=%) $(srcdir)/tests/e2e/errno.sh
# Allocations of the one command that nobody watches.
check-faults-memory: $(faults_tools)
	$(AM_TESTS_ENVIRONMENT) FAULTS='$(FAULTS)' FAULT_KIND=memory FAULT_COMMANDS=boot $(srcdir)/tests/e2e/errno.sh
$(faulted_elsewhere): $(faults_tools)
	$(AM_TESTS_ENVIRONMENT) export FAULTS='$(FAULTS)' FAULT_PART=$(@:check-faults-elsewhere-%=%)/$(words $(shares)); \
	code=0; for test in faults agentfaults runtimefaults; do $(srcdir)/tests/e2e/$$test.sh || code=1; done; exit $$code
check-faults-killed: $(faults_tools)
	$(AM_TESTS_ENVIRONMENT) POINTS=200 $(srcdir)/tests/e2e/kill.sh
check-faults-flipped: $(faults_tools)
	$(AM_TESTS_ENVIRONMENT) POLC_FLIPS=all tests/unit/test_flips
	$(AM_TESTS_ENVIRONMENT) $$POLC $(srcdir)/lang/examples/shop.pol -o tests/unit/flips.bpf.o && POLC_FLIPS=tests/unit/flips.bpf.o tests/unit/test_flips
FAULTS = all

check-quality: all
	$(MAKE) check TESTS='tests/quality/distcheck.sh $(quality_tests)' check_PROGRAMS= check_SCRIPTS= check_DATA=

# The Debian packages in a fresh root; tests/package/check.sh says what it needs.
check-package: all
	top_srcdir='$(abs_srcdir)' top_builddir='$(abs_builddir)' $(srcdir)/tests/package/check.sh

# What another commit of this tree put in force, taken over by this one: make check-previous PREVIOUS=COMMIT
check-previous: all tests/tools/probe
	$(AM_TESTS_ENVIRONMENT) PREVIOUS='$(PREVIOUS)' $(srcdir)/tests/package/previous.sh
.PHONY: check-package check-previous

# Word by word, how a C file is compiled.
print-compile-flags:
	@printf '%s\n' $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS) $(AM_CFLAGS)

# Under other kernels, in QEMU: KERNELS="6.1." for one.
KERNELS =
check-kernels: all $(filter-out $(fuzzers),$(check_PROGRAMS)) $(check_DATA) $(preloads)
	$(AM_TESTS_ENVIRONMENT) TESTS='$(if $(filter command,$(firstword $(origin TESTS))),$(TESTS))' $(srcdir)/tests/vm/kernels.sh $(KERNELS)

# The demo in such a machine, then a shell there; TRY=demo: only the demo.
try-vm: all tests/tools/probe tests/tools/http tests/tools/h2
	top_builddir='$(abs_builddir)' $(srcdir)/tests/vm/try.sh $(KERNELS)

# A Debian with our packages, booted by systemd, rebooted, reset: tests/vm/reboot.sh; KERNELS as above.
check-vm: all tests/tools/probe tests/tools/http
	top_builddir='$(abs_builddir)' $(srcdir)/tests/vm/reboot.sh $(KERNELS)

# What tests/quality/distcheck.sh runs, and where make puts a release.
print-sanitized-tests:
	@echo $(unit_tests) tests/golden/run.sh
print-unit-tests:
	@echo $(unit_tests)
print-distdir:
	@echo $(distdir)

clean-local:
	rm -rf tests/clang-once tests/fuzz/run tests/fuzz/objects tests/fuzz/coverage tests/fuzz/grown tests/package.dir tests/previous.dir
	rm -f $(TEST_LOGS) $(TEST_LOGS:.log=.trs)

.PHONY: $(faulted:%=check-faults-of-%) $(faulted_elsewhere) bench bench-keep bench-peers check-churn check-faults check-faults-elsewhere check-faults-flipped check-faults-killed check-faults-memory check-kernels check-quality check-soak check-vm count-tests fuzz fuzz-coverage fuzz-coverage-run fuzz-nightly print-compile-flags print-distdir print-sanitized-tests print-unit-tests try-vm

EXTRA_DIST += \
	.ci/run \
	tests/log-driver \
	$(long_tests) \
	$(script_tests) \
	$(quality_tests) \
	$(e2e_tests) \
	tests/package/build.sh \
	tests/package/check.sh \
	tests/package/inside.sh \
	tests/package/previous.sh \
	tests/quality/all.pol \
	tests/quality/cppcheck.h \
	tests/quality/cppcheck.suppress \
	tests/quality/lib.sh \
	tests/e2e/bridge.sh \
	tests/e2e/httplib.sh \
	tests/e2e/engine.sh \
	tests/e2e/floods.sh \
	tests/e2e/runtimefaults.sh \
	tests/e2e/soak.sh \
	tests/e2e/lib.sh \
	tests/e2e/places.sh \
	tests/e2e/shop.sh \
	tests/demo/demo.sh \
	tests/vm/guest.sh \
	tests/vm/init \
	tests/vm/kernels.sh \
	tests/vm/reboot-inside.sh \
	tests/vm/reboot.sh \
	tests/vm/try.sh \
	tests/vm/vm.sh \
	tests/fuzz/corpus \
	tests/fuzz/driver.c \
	tests/fuzz/fuzz_h2.c \
	tests/fuzz/fuzz_hostfile.c \
	tests/fuzz/fuzz_query.c \
	tests/fuzz/fuzz_http.c \
	tests/fuzz/fuzz_http1.c \
	tests/fuzz/fuzz_import.c \
	tests/fuzz/fuzz_lsp.c \
	tests/fuzz/fuzz_container.c \
	tests/fuzz/container-corpus \
	tests/fuzz/fuzz_compile.c \
	tests/fuzz/fuzz_parse.c \
	tests/fuzz/texts.h \
	tests/fuzz/hostfile-corpus \
	tests/fuzz/query-corpus \
	tests/fuzz/http-corpus \
	tests/fuzz/import-corpus \
	tests/fuzz/object-corpus \
	tests/fuzz/regressions \
	tests/tools/clang-once \
	tests/tools/nomem.c \
	tests/tools/slowclock.c \
	tests/tools/wallclock.c \
	tests/SECURITY.md \
	tests/bench/apply.sh \
	tests/bench/bench.sh \
	tests/bench/compile.sh \
	tests/bench/edge.sh \
	tests/bench/filters.sh \
	tests/bench/guard.sh \
	tests/bench/lib.sh \
	tests/bench/monitor.sh \
	tests/bench/packets.sh \
	tests/bench/peers.sh \
	tests/bench/balance.bpf.c \
	tests/bench/proxy.sh \
	tests/bench/questions.sh \
	tests/bench/report/aims \
	tests/bench/report/beside.awk \
	tests/bench/report/report.awk \
	tests/bench/report/report.md.in \
	tests/bench/report/report.sh \
	tests/bench/report/stats.awk \
	tests/bench/report/svg.awk \
	tests/bench/services.sh \
	tests/bench/wire.sh \
	tests/golden \
	tests/http/cases.sh \
	tests/http/h2requests.case \
	tests/http/h2responses.case \
	tests/http/requests.case \
	tests/http/responses.case \
	tests/packet/basic.pkt \
	tests/packet/edge/services.pkt \
	tests/packet/flood.pkt \
	tests/packet/frag.pkt \
	tests/packet/full.pkt \
	tests/packet/headers.pkt \
	tests/packet/icmp.pkt \
	tests/packet/identity.pkt \
	tests/packet/link.pkt \
	tests/packet/policy.pkt \
	tests/packet/proxy.pkt \
	tests/packet/spoof.pkt \
	tests/packet/tcp.pkt \
	tests/packet/truncate.pkt \
	tests/packet/fixture.bpf.c
