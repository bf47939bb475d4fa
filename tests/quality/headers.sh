#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Every header compiles alone, and a second time: what it needs, it includes itself. Those of the data
# path do so for BPF, behind what a generated file writes above its first include of them.
. "$(dirname "$0")/lib.sh"
compile_flags
cc=${CC:-gcc}
clang=${CLANG:-clang}
cd "$top" || exit 99

# Of these many functions each file uses some.
flags+=(-Wno-unused-function -Werror)

twice() { # HEADER
	printf '#include "%s"\n#include "%s"\n' "$1" "$1"
}

for room in $rooms; do
	[ "$room" = bpf-templates ] && continue
	wrong=
	n=0
	while read -r header; do
		n=$((n + 1))
		# shellcheck disable=SC2086 # a compiler may be two words
		twice "$header" | $cc "${flags[@]}" -fsyntax-only -x c - 2>"$work/said" ||
			wrong+="$header: $(grep -m 1 error "$work/said")"$'\n'
	done < <(files_of "$room" '*.h' | grep -v '\.bpf\.h$')
	[ $n = 0 ] || result "headers of $room/" "${wrong%$'\n'}"
done

"${POLC:-$build/polc}" -S tests/quality/all.pol -o "$work/all.c" || exit 1
sed '/^#include "datapath.h"/,$d' "$work/all.c" >"$work/prelude.h"
result "what is generated uses all of the data path" "$(grep -E '^#define POL_USES_(AUDIT|DSR|FILTERS|HTTP|REJECT|SERVICES) +0' "$work/prelude.h")"
wrong=
while read -r header; do
	twice "$header" | "$clang" -target bpf -O2 -mcpu=v3 -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only \
		-include "$work/prelude.h" -I include -I bpf-templates -I. -I "/usr/include/$(gcc -print-multiarch)" -x c - 2>"$work/said" ||
		wrong+="$header: $(grep -m 1 error "$work/said")"$'\n'
done < <(files_of bpf-templates '*.h')
result "headers of bpf-templates/, for BPF" "${wrong%$'\n'}"
finish
