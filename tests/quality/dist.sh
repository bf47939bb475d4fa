#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# `make distcheck` by clang with -Werror: a release has all that it needs to be built from a tree that
# nobody may write to, and to be tested, installed, uninstalled and made again; nothing is left behind.
# Of the tests it runs the unit tests: the others have run on this very tree.
. "$(dirname "$0")/lib.sh"
clang=${CLANG:-clang}
dir=$build/tests/quality/dist.dir
case $build in
*/polc-*/_build/sub)
	echo "this is a distcheck"
	exit 77
	;;
esac

source=$top
if [ -e "$top/config.status" ]; then
	# The tree is configured: build from a copy of what a release would have.
	make -C "$build" distdir distdir="$dir.src" >/dev/null || exit 99
	source=$dir.src
fi
rm -rf "$dir"
mkdir -p "$dir" && cd "$dir" || exit 99
options=(CC="$clang" "CFLAGS=-O1" --with-clang="$clang" --enable-werror --enable-silent-rules)
"$source/configure" "${options[@]}" >configure.out 2>&1 || {
	tail -n 20 configure.out
	exit 1
}
unit=$(make -s print-unit-tests)
make distcheck AM_DISTCHECK_CONFIGURE_FLAGS="CC='$clang' CFLAGS=-O1 --with-clang='$clang' --enable-werror" \
	XZ_OPT=-0 TESTS="$unit" check_PROGRAMS="$unit" check_SCRIPTS= check_DATA= >distcheck.out 2>&1
code=$?
result "distcheck by $clang with -Werror" "$([ $code = 0 ] || tail -n 40 distcheck.out)"
result "which ran the unit tests" "$([ "$(grep -c '^PASS: tests/unit/' distcheck.out)" = "$(wc -w <<<"$unit")" ] || grep -E '^(PASS|FAIL|SKIP|ERROR|#)' distcheck.out)"
result "and made a release" "$(compgen -G 'polc-*.tar.xz' >/dev/null || echo "there is none")"
rm -rf "$dir" "$dir.src"
finish
