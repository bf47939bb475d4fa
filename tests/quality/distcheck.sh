#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# `make distcheck` by clang with -Werror, ASan and UBSan: a release has all that it needs to be built from a tree
# that nobody may write to, and to be tested, installed, uninstalled and made again; nothing is left behind.
# Of the tests it runs those that sanitizers see most with, the unit and golden ones: the others run on this very tree.
. "$(dirname "$0")/lib.sh"
case $build in
*/polc-*/_build/sub)
	echo "this is a distcheck"
	exit 77
	;;
esac

# By gcc, and so without clang's warnings, only where clang lacks the libraries of its sanitizers.
sanitizing=
for cc in "${CLANG:-clang}" "${CC:-gcc}"; do
	# shellcheck disable=SC2086 # a compiler may be two words
	if $cc -fsanitize=address,undefined -x c -o "$work/sanitized" - <<<'int main(void) { return 0; }' 2>/dev/null; then
		sanitizing=$cc
		break
	fi
done
if [ -z "$sanitizing" ]; then
	echo "no compiler here has sanitizers"
	exit 77
fi

# Root may write where nobody may, but for this.
as=()
[ "$(id -u)" != 0 ] || [ ! -O "$build" ] || as=(setpriv --inh-caps=-dac_override --bounding-set=-dac_override)

cd "$build" || exit 99
release=$(make -s print-distdir)
clean() {
	[ ! -d "$release" ] || chmod -R u+w "$release"
	rm -rf "$release" "$release.tar.xz"
}
clean
export ASAN_OPTIONS=detect_leaks=${POLC_LEAKS:-1}:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=print_stacktrace=1
runs=$(make -s print-sanitized-tests)
# Functions and lines are what a report names; with -g, gcc takes two thirds longer to say where variables are.
"${as[@]}" make -j"$(nproc)" distcheck XZ_OPT=-0 TESTS="$runs" \
	check_PROGRAMS="$(make -s print-unit-tests)" check_SCRIPTS= check_DATA= \
	DISTCHECK_CONFIGURE_FLAGS="CC='$sanitizing' CFLAGS='-O1 -g1' --with-clang='${CLANG:-clang}' --enable-werror --enable-sanitizers" \
	>"$work/out" 2>&1
code=$?
wrong=
if [ $code != 0 ]; then
	# Of a test that failed its own words, else the last ones of make.
	for trs in $runs; do
		! grep -q '^:global-test-result: FAIL' "$release/_build/sub/$trs.trs" 2>/dev/null ||
			wrong+="$trs:"$'\n'$(tail -n 40 "$release/_build/sub/$trs.log")$'\n'
	done
	: "${wrong:=$(tail -n 40 "$work/out")}"
fi
result "distcheck by $sanitizing with -Werror and sanitizers" "$wrong"
for test in $runs; do
	said=$(grep -E "^[A-Z]+: $test( |\$)" "$work/out" || echo "ERROR: $test")
	result "of it ${said#*: }" "$([[ $said == "PASS: "* ]] || echo "did not pass")"
done
result "and made a release" "$([ -s "$release.tar.xz" ] || echo "there is none")"
clean
# The cases of each count, not the tests.
[ $code != 0 ] || awk '/^PASS: / { n += $3 } END { print n " passed, 0 failed, 0 skipped" }' "$work/out"
finish
