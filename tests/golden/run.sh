#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Golden cases: what goes in is a text file, what must come out stands beside it.
#
#   lang/NAME.pol   NAME.diag   `exit: N`, then what `polc check NAME.pol` says
#                   NAME.fmt    what `polc fmt NAME.pol` prints
#   list/NAME.pol   NAME.list   what `polc list NAME.pol` prints
#   c/NAME.pol      NAME.c      what `polc -S NAME.pol` prints
#   cli/NAME.sh     NAME.out    what the script prints, and its exit code
#
# Commands run in the folder of the case.  A case of c/ needs no .diag: it must
# compile.  Without arguments all cases run; else those whose path (lang/NAME)
# matches one of the patterns.  UPDATE=1 writes what comes out; read the diff.
set -u
LC_ALL=C
export LC_ALL NO_COLOR=1
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
POLC=${POLC:-$top/build/polc}
: "${POLC_TEMPLATES:=$top/bpf-templates}" "${POLC_INCLUDE:=$top/include}"
export POLC POLC_TEMPLATES POLC_INCLUDE
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
tests=0
failed=0

selected() { # CASE PATTERN...
	local name=$1 pattern
	shift
	[ $# -eq 0 ] && return 0
	for pattern; do
		# shellcheck disable=SC2053 # a pattern on purpose
		[[ $name == $pattern ]] && return 0
	done
	return 1
}

compare() { # CASE EXPECTED-FILE: against $work/out
	tests=$((tests + 1))
	if [ "${UPDATE:-}" = 1 ]; then
		cmp -s "$work/out" "$2" 2>/dev/null || {
			cp "$work/out" "$2"
			echo "# wrote ${2#"$here"/}"
		}
		echo "ok $tests - $1"
	elif [ ! -e "$2" ]; then
		echo "# ${2#"$here"/} does not exist; UPDATE=1 writes it"
		echo "not ok $tests - $1"
		failed=1
	elif diff -u "$2" "$work/out" >"$work/diff" 2>&1; then
		echo "ok $tests - $1"
	else
		sed 's/^/# /' "$work/diff"
		echo "not ok $tests - $1"
		failed=1
	fi
}

# Output and errors of a command, errors shown only where it failed.
plain() { # COMMAND...
	local code
	"$@" >"$work/out" 2>"$work/err" </dev/null
	code=$?
	if [ $code -ne 0 ]; then
		{
			echo "exit: $code"
			cat "$work/err"
		} >>"$work/out"
	fi
}

[ -x "$POLC" ] || {
	echo "no polc at $POLC: set POLC"
	exit 99
}

for file in "$here"/lang/*.pol; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .pol)
	selected "lang/$name" "$@" || continue
	cd "$here/lang" || exit 99
	"$POLC" check "$name.pol" >"$work/said" 2>&1 </dev/null
	{
		echo "exit: $?"
		cat "$work/said"
	} >"$work/out"
	compare "lang/$name check" "$here/lang/$name.diag"

	# Not every case has a layout: what cannot be parsed is left as it is.
	if [ -e "$name.fmt" ] || [ "${UPDATE:-}" = 1 ]; then
		if "$POLC" fmt "$name.pol" >"$work/out" 2>"$work/err" </dev/null; then
			compare "lang/$name fmt" "$here/lang/$name.fmt"
			cp "$work/out" "$work/again.pol"
			"$POLC" fmt "$work/again.pol" >"$work/out2" 2>&1
			tests=$((tests + 1))
			if cmp -s "$work/out" "$work/out2"; then
				echo "ok $tests - lang/$name fmt is idempotent"
			else
				diff -u "$work/out" "$work/out2" | sed 's/^/# /'
				echo "not ok $tests - lang/$name fmt is idempotent"
				failed=1
			fi
		elif [ -e "$name.fmt" ]; then
			tests=$((tests + 1))
			sed 's/^/# /' "$work/err"
			echo "not ok $tests - lang/$name fmt"
			failed=1
		fi
	fi
done

for file in "$here"/list/*.pol; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .pol)
	selected "list/$name" "$@" || continue
	cd "$here/list" || exit 99
	plain "$POLC" list "$name.pol"
	compare "list/$name" "$here/list/$name.list"
done

for file in "$here"/c/*.pol; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .pol)
	selected "c/$name" "$@" || continue
	cd "$here/c" || exit 99
	plain "$POLC" -S "$name.pol" -o -
	compare "c/$name" "$here/c/$name.c"
done

for file in "$here"/cli/*.sh; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .sh)
	selected "cli/$name" "$@" || continue
	cd "$here/cli" || exit 99
	mkdir -p "$work/$name"
	TMPDIR=$work/$name bash "$file" >"$work/out" 2>&1 </dev/null
	echo "exit: $?" >>"$work/out"
	compare "cli/$name" "$here/cli/$name.out"
done

echo "1..$tests"
exit $failed
