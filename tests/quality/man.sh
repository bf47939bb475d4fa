#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# mandoc and groff warn of nothing in the manual pages, and each page of ours that one names is there.
. "$(dirname "$0")/lib.sh"
needs mandoc groff
cd "$top" || exit 99

for page in man/*.[1-8]; do
	wrong=$({
		mandoc -T lint -W warning "$page"
		groff -mdoc -ww -z -Tutf8 "$page"
		sed -nE 's/^\.Xr (pol[a-z-]*) ([1-8]).*/\1.\2/p' "$page" | sort -u | while read -r other; do
			[ -e "man/$other" ] || echo "$page names $other, which is not there"
		done
	} 2>&1)
	result "$page" "$wrong"
done
finish
