#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
#
# `make check-kernels`: tests under Debian's kernels 6.1, 6.12 and the newest, each booted in QEMU
# over this host's root (read-only, changes stay in the guest's memory).
#
#	tests/vm/kernels.sh [BEGIN-OF-VERSION...]	e.g. 6.1; usual: 6.1 6.12 and the newest
#
# By KVM all of `make check` runs; by software emulation what is below, on this kernel first: what does not pass here
# says nothing of another one, and what clang made here need not be made there (tests/tools/clang-once).
# TESTS="..." chooses others; POLC_VM_CONTROL=no leaves out this kernel, whose tests have just passed elsewhere.
# Seconds are the guest's own, ten of this host's (POLC_VM_SLOW, vm.sh); on a busy host more are wanted.
# What the verifiers went through goes to bench/kernels.csv, for the report of `make bench`; logs
# are in vm/kernels/VERSION/out.
. "$(dirname "$0")/vm.sh"

# Of each thing that the kernel is asked for: programs of all kinds loaded, run and attached; packets; policies against
# the evaluator; the boot order, applies, endpoints that come and go; routed, bridged, HTTP, services, filters at XDP,
# hand-over; frames that nobody sends; other programs and rules of routing beside ours.
emulated="tests/packet.sh tests/packet/edge.sh tests/property.sh tests/property/limits tests/verify/verify.sh
	tests/e2e/boot.sh tests/e2e/apply.sh tests/e2e/rollback.sh tests/e2e/endpoint.sh tests/e2e/host.sh
	tests/e2e/http.sh tests/e2e/httpbridge.sh tests/e2e/service.sh tests/e2e/filter.sh tests/e2e/dispatcher.sh
	tests/e2e/handover.sh tests/e2e/frames.sh tests/e2e/neighbours.sh tests/e2e/look.sh"
seconds=${POLC_VM_SECONDS:-14400} # of a guest that hangs; beside other load an emulated one is a hundred times slower
vm_slow=${POLC_VM_SLOW:-10}
export POLC_SEED=${POLC_SEED:-$(date +%s)} # policies at random, the same ones for each kernel

objects() { # FOLDER: the examples compiled, for `verified`
	local policy
	mkdir -p "$1"
	for policy in "$vm_tree"/lang/examples/*.pol; do
		"$vm_build/polc" "$policy" -o "$1/$(basename "$policy" .pol).o" \
			--templates="$vm_tree/bpf-templates" --include="$vm_tree/include" || vm_fail "$policy"
	done
}

# What a guest does; its words end with "guest: CODE".  Some tests by the driver that `make check` has
# too, but without make, which would first look at all that they could depend on.
todo() { # OUT TESTS, or nothing for all
	cat <<END
cd '$vm_build'
export top_srcdir='$vm_tree' srcdir='$vm_tree' top_builddir='$vm_build' builddir='$vm_build' \
	POLC='$vm_build/polc' POLLOAD='$vm_build/polload' PROBE='$vm_build/tests/tools/probe' \
	POLC_TEMPLATES='$vm_tree/bpf-templates' POLC_INCLUDE='$vm_tree/include' \
	CC=gcc CLANG='${CLANG:-clang}' CMOCKA_MESSAGE_OUTPUT=TAP POLC_TEST_TIMEOUT=$seconds \
	POLC_POLICIES=${POLC_POLICIES:-$policies} POLC_SEED=$POLC_SEED POLC_DISPATCHER=$dispatcher
echo "kernel \$(uname -r)"
tests/tools/verified '$vm_dir'/objects/*.o >$1/verified 2>&1
code=\$?
grep refused $1/verified
echo "programs: \$(grep -c ' [0-9]*\$' $1/verified) loaded, \$(grep -c refused $1/verified) refused"
if [ -z '$2' ]; then
	make check >$1/check.log 2>&1 || code=1
	grep -E '^(PASS|FAIL|SKIP|ERROR)|^      ' $1/check.log
	make -s count-tests
fi
# What is asked for by name has to run: a kernel that lacks something for it is news.
export POLC_NO_SKIP=1 POLC_MAY_SKIP='${POLC_MAY_SKIP:-}'
[ ! -d '$kept' ] || export CLANG_KEEPS='$kept' REAL_CLANG="\$CLANG" CLANG='$vm_tree/tests/tools/clang-once' POLC_CLANG='$vm_tree/tests/tools/clang-once'
for test in $2; do
	mkdir -p "$1/\${test%/*}"
	[ -x "\$test" ] && program=\$test || program=$vm_tree/\$test
	'$vm_tree/tests/log-driver' --test-name "\$test" --log-file "$1/\$test.log" \
		--trs-file "$1/\$test.trs" --color-tests no -- "\$program"
	grep -q '^:global-test-result: FAIL' "$1/\$test.trs" && code=1
done
echo "guest: \$code"
END
}

# Lines as every script of `make bench` writes them.
counts() { # RELEASE FILE
	awk -v release="$1" '$3 ~ /^[0-9]+$/ {
		sub(/\.o$/, "", $1)
		printf "verifier,kernel=%s policy=%s program=%s,polc,instructions,,1,%d\n", release, $1, $2, $4
	}' "$2"
}

said='^(kernel|PASS|FAIL|SKIP|ERROR|guest:|      )|programs:|refused|passed|panic|BUG:|Oops'

# Once, before the first kernel that is emulated.
here() { # TESTS
	local out=$vm_dir/here
	[ ! -d "$out" ] && [ "${POLC_VM_CONTROL:-yes}" = yes ] || return 0
	echo "== $(uname -r), which is this one: $1"
	mkdir -p "$out"
	todo "$out" "$1" >"$out/todo"
	bash "$out/todo" 2>&1 </dev/null | tee "$out/console" | grep --line-buffered -E "$said"
	grep -q '^guest: 0$' "$out/console" || failed="$failed $(uname -r)"
}

one_kernel() { # VERSION
	local version=$1 out=$vm_dir/kernels/$1/out kept='' accelerator tests=${TESTS:-} policies=80 options dispatcher=''
	vm_fetch "$version"
	vm_initrd "$version"
	accelerator=$(vm_accelerator "$version")
	rm -rf "$out"
	mkdir -p "$out"
	mapfile -t options < <(vm_share root / ro; vm_share out "$out" rw)
	if [ "$accelerator" = tcg ]; then
		policies=20 kept=$vm_dir/clang
		: "${tests:=$(tr -s '\n\t' '  ' <<<"$emulated")}"
		here "$tests"
		mapfile -t -O ${#options[@]} options < <(vm_share kept "$kept" rw)
	fi
	echo "== $version ($(vm_suite_of "$version")), ${accelerator/tcg/software emulation}: ${tests:-all of make check}"
	# whatever libxdp this host has; later kernels want a later one
	case $version in 6.1.*) dispatcher=joined ;; esac
	todo /run/out "$tests" >"$out/todo"
	vm_boot "$seconds" "$accelerator" "$version" \
		"mitigations=off polc.root=9p:root polc.init=$vm_tree/tests/vm/guest.sh polc.kept=$kept" "${options[@]}" |
		tee "$out/console" | grep --line-buffered -E "$said"
	counts "$(cat "$vm_dir/kernels/$version/release")" "$out/verified" >>"$csv"
	grep -q '^guest: 0$' "$out/console"
}

[ -x "$vm_build/tests/tools/verified" ] || vm_fail "$vm_build: not built; make check-kernels builds what this needs"
vm_install
"$vm_tree/quickstart" packages "$vm_build" || exit 3 # tests in a guest find those of this host
vm_lists
objects "$vm_dir/objects"
csv=$vm_build/bench/kernels.csv
mkdir -p "$vm_build/bench"
echo "experiment,case,peer,metric,unit,round,value" >"$csv"
rm -rf "$vm_dir/here"
mkdir -p "$vm_dir/clang"
find "$vm_dir/clang" -type f -mtime +1 -delete
failed=
[ $# != 0 ] || set -- 6.1. 6.12. ""
for begin; do
	version=$(vm_version "$begin")
	if [ -z "$version" ]; then
		echo "== no kernel $begin at $vm_mirror (suites: $vm_suites)"
		failed="$failed ${begin:-newest}"
		continue
	fi
	one_kernel "$version" || failed="$failed $version"
done
echo
if [ -n "$failed" ]; then
	echo "failed:$failed; logs in $vm_dir/kernels/VERSION/out"
	exit 1
fi
echo "all kernels pass; verifier counts in $csv"
