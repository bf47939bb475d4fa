#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
#
# `make check-kernels`: tests under Debian's kernels 6.1, 6.12 and the newest, each booted in QEMU
# over this host's root (read-only, changes stay in the guest's memory).
#
#	tests/vm/kernels.sh [BEGIN-OF-VERSION...]	e.g. 6.1; usual: 6.1 6.12 and the newest
#
# By KVM all of `make check` runs; by software emulation what is below.  TESTS="..." chooses others.
# What the verifiers went through goes to bench/kernels.csv, for the report of `make bench`; logs
# are in vm/kernels/VERSION/out.
. "$(dirname "$0")/vm.sh"

# Of each thing that the kernel is asked for: programs of all kinds loaded, run and attached; packets; policies against
# the evaluator; routed, bridged, HTTP, services, filters at XDP, hand-over, applies under traffic.
emulated="tests/packet.sh tests/packet/edge.sh tests/property.sh tests/property/limits tests/verify/verify.sh
	tests/e2e/apply.sh tests/e2e/rollback.sh tests/e2e/host.sh tests/e2e/http.sh tests/e2e/service.sh
	tests/e2e/filter.sh tests/e2e/handover.sh tests/e2e/look.sh"
seconds=${POLC_VM_SECONDS:-2400}

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
todo() { # TESTS, or nothing for all
	cat <<END
cd '$vm_build'
export top_srcdir='$vm_tree' srcdir='$vm_tree' top_builddir='$vm_build' builddir='$vm_build' \
	POLC='$vm_build/polc' POLLOAD='$vm_build/polload' PROBE='$vm_build/tests/tools/probe' \
	POLC_TEMPLATES='$vm_tree/bpf-templates' POLC_INCLUDE='$vm_tree/include' \
	CC=gcc CLANG=clang CMOCKA_MESSAGE_OUTPUT=TAP POLC_TEST_TIMEOUT=1200 \
	POLC_POLICIES=${POLC_POLICIES:-$policies} # few: clang is what takes long in a guest
echo "kernel \$(uname -r)"
tests/tools/verified '$vm_dir'/objects/*.o >/run/out/verified 2>&1
code=\$?
grep refused /run/out/verified
echo "programs: \$(grep -c ' [0-9]*\$' /run/out/verified) loaded, \$(grep -c refused /run/out/verified) refused"
if [ -z '$1' ]; then
	make check >/run/out/check.log 2>&1 || code=1
	grep -E '^(PASS|FAIL|SKIP|ERROR)|^      ' /run/out/check.log
	make -s count-tests
fi
for test in $1; do
	mkdir -p "/run/out/\${test%/*}"
	[ -x "\$test" ] && program=\$test || program=$vm_tree/\$test
	'$vm_tree/tests/log-driver' --test-name "\$test" --log-file "/run/out/\$test.log" \
		--trs-file "/run/out/\$test.trs" --color-tests no -- "\$program"
	grep -q '^:global-test-result: FAIL' "/run/out/\$test.trs" && code=1
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

one_kernel() { # VERSION
	local version=$1 out=$vm_dir/kernels/$1/out accelerator tests=${TESTS:-} policies=80 options
	vm_fetch "$version"
	vm_initrd "$version"
	accelerator=$(vm_accelerator "$version")
	if [ "$accelerator" = tcg ]; then
		policies=6
		: "${tests:=$(tr -s '\n\t' '  ' <<<"$emulated")}"
	fi
	echo "== $version ($(vm_suite_of "$version")), ${accelerator/tcg/software emulation}: ${tests:-all of make check}"
	rm -rf "$out"
	mkdir -p "$out"
	todo "$tests" >"$out/todo"
	mapfile -t options < <(vm_share root / ro; vm_share out "$out" rw)
	vm_boot "$seconds" "$accelerator" "$version" \
		"mitigations=off polc.root=9p:root polc.init=$vm_tree/tests/vm/guest.sh" "${options[@]}" |
		tee "$out/console" | grep --line-buffered -E '^(kernel|PASS|FAIL|SKIP|ERROR|guest:|      )|programs:|refused|passed|panic|BUG:|Oops'
	counts "$(cat "$vm_dir/kernels/$version/release")" "$out/verified" >>"$csv"
	grep -q '^guest: 0$' "$out/console"
}

[ -x "$vm_build/tests/tools/verified" ] || vm_fail "$vm_build: not built; make check-kernels builds what this needs"
vm_install
vm_lists
objects "$vm_dir/objects"
csv=$vm_build/bench/kernels.csv
mkdir -p "$vm_build/bench"
echo "experiment,case,peer,metric,unit,round,value" >"$csv"
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
