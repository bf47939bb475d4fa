#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Every C file is laid out by .clang-format. Headers are laid out by hand.
. "$(dirname "$0")/lib.sh"
needs clang-format
cd "$top" || exit 99

for room in $rooms; do
	mapfile -t files < <(files_of "$room" '*.c')
	[ ${#files[@]} = 0 ] && continue
	wrong=
	clang-format --dry-run -Werror "${files[@]}" 2>"$work/said" ||
		wrong=$(grep 'error: ' "$work/said" | cut -d : -f 1,2 | sort -u)
	result "layout of $room/" "$wrong"
done
finish
