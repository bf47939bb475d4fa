#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# clang-tidy finds nothing, by the checks of .clang-tidy; the warnings of clang are among them, so this is
# also what shows that clang has none, on any file of ours.
. "$(dirname "$0")/lib.sh"
needs clang-tidy
compile_flags
cd "$top" || exit 99

printf 'int wrong(int a);\nint wrong(int b)\n{\n\treturn b;\n}\n' >"$work/wrong.c"
cp .clang-tidy "$work/"
result "it would say so" "$(clang-tidy --quiet "$work/wrong.c" -- "${flags[@]}" >"$work/said" 2>&1 && echo "it says nothing")"

for room in $rooms; do
	mapfile -t files < <(files_of "$room" '*.c' | grep -v '\.bpf\.c$')
	[ ${#files[@]} = 0 ] && continue
	wrong=
	clang-tidy --quiet "${files[@]}" -- "${flags[@]}" >"$work/said" 2>"$work/errors" ||
		wrong=$(grep -hE '(warning|error): ' "$work/said" "$work/errors" || tail -n 5 "$work/errors")
	result "clang-tidy: $room/" "${wrong//$top\//}"
done
finish
