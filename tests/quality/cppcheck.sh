#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# cppcheck finds nothing but what tests/quality/cppcheck.suppress says is no mistake, and why.
. "$(dirname "$0")/lib.sh"
needs cppcheck
cd "$top" || exit 99

look_at() { # FILE: with the names of files
	cppcheck --quiet --enable=warning,performance,portability --std=c11 --error-exitcode=1 \
		--suppressions-list=tests/quality/cppcheck.suppress --template='{file}:{line}: {id}: {message}' \
		-Iinclude -I. -I"$build" -D_GNU_SOURCE= --include=tests/quality/cppcheck.h --file-list="$1" >"$work/said" 2>&1
}

cat >"$work/wrong.c" <<'END'
int wrong(void)
{
	int a[3] = { 0 };

	return a[3];
}
END
echo "$work/wrong.c" >"$work/files"
look_at "$work/files"
result "it would say so" "$(grep -q arrayIndexOutOfBounds "$work/said" || cat "$work/said")"

for room in $rooms; do
	files_of "$room" '*.c' | grep -v '\.bpf\.c$' >"$work/files"
	[ -s "$work/files" ] || continue
	look_at "$work/files"
	result "cppcheck: $room/" "$(cat "$work/said")"
done
finish
