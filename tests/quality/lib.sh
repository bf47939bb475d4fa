# SPDX-License-Identifier: GPL-2.0-only
# What the gates share: TAP lines, and how this build compiles.
# shellcheck shell=bash
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${top_builddir:-$top/build}
# What make says of the build is asked of a make of its own.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
tests=0
failed=0

needs() { # COMMAND...
	local tool
	for tool; do
		command -v "$tool" >/dev/null || {
			echo "$tool is not installed"
			exit 77
		}
	done
}

result() { # WHAT WRONG: nothing, if it is right
	tests=$((tests + 1))
	if [ -z "$2" ]; then
		echo "ok $tests - $1"
		return
	fi
	printf '# %s\n' "${2//$'\n'/$'\n'# }"
	echo "not ok $tests - $1"
	failed=1
}

finish() {
	if [ $tests = 0 ]; then
		echo "nothing was looked at"
		exit 1
	fi
	echo "1..$tests"
	exit $failed
}

export rooms="include base lang compiler bpf-templates runtime proxy container verify lsp tool tests"

# Files of ours, not of the build; names relative to $top.
files_of() { # ROOM NAME
	(cd "$top" && find "$1" -path tests/golden -prune -o -name "$2" ! -path 'lang/parse.[ch]' ! -path 'lang/scan.[ch]' -print | sort)
}

# In `flags`: what the compiler is told of macros, include paths, the language and warnings.
compile_flags() {
	mapfile -t flags < <(make -s -C "$build" print-compile-flags | grep -E '^-(D|I/|std=|W[^l])' | grep -v '^-Werror')
	if [ ${#flags[@]} -lt 10 ]; then
		echo "make print-compile-flags says too little: ${flags[*]}"
		exit 99
	fi
	flags+=(-I "$top/include" -I "$build" -I "$top")
}
