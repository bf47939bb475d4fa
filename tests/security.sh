#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/SECURITY.md says what shows each line: the file is there, is part of the tree's tests, and
# says so.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 99
tests=0
failed=0

why_not() { # FILE WORDS: nothing, or what is wrong
	[ -f "$1" ] || {
		echo "there is no $1"
		return
	}
	grep -qF "$1" tests/local.mk || echo "tests/local.mk does not name $1"
	grep -qF -- "$2" "$1" || echo "$1 does not say: $2"
}

line=0
while IFS= read -r text; do
	line=$((line + 1))
	case $text in
	'| tried'* | '|---'* | [!\|]* | '') continue ;;
	esac
	shown=${text% |}
	shown=${shown##* | }
	wrong=""
	[[ $shown =~ ^\`tests/ ]] || wrong="no test is named"
	while [[ $shown =~ \`(tests/[^:\`]*):\ ([^\`]*)\` ]]; do
		wrong+=$(why_not "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}")
		shown=${shown#*"${BASH_REMATCH[0]}"}
	done
	tests=$((tests + 1))
	if [ -z "$wrong" ]; then
		echo "ok $tests - line $line"
	else
		echo "# $wrong"
		echo "not ok $tests - tests/SECURITY.md:$line"
		failed=1
	fi
done <tests/SECURITY.md
echo "1..$tests"
[ "$tests" -gt 40 ] || failed=1
exit $failed
