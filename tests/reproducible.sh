#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Same input and version, same bytes: whatever the folder, the way the file is named,
# the time, the locale and the umask.
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
POLC=${POLC:-$top/build/polc}
: "${POLC_TEMPLATES:=$top/bpf-templates}" "${POLC_INCLUDE:=$top/include}"
export POLC_TEMPLATES POLC_INCLUDE
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
tests=0
failed=0

same() { # NAME FILE FILE
	tests=$((tests + 1))
	if cmp "$2" "$3" 2>&1 | sed 's/^/# /'; [ "${PIPESTATUS[0]}" = 0 ]; then
		echo "ok $tests - $1"
	else
		echo "not ok $tests - $1"
		failed=1
	fi
}

mkdir -p "$work/a" "$work/b/deeper/than that"
cp "$top"/lang/examples/shop.pol "$work/a/"
cp "$top"/lang/examples/shop.pol "$work/b/deeper/than that/"
# The templates live in another place too, as when polc is installed.
cp -r "$POLC_TEMPLATES" "$work/b/templates"
cp -r "$POLC_INCLUDE" "$work/b/include"

(cd "$work/a" && "$POLC" shop.pol -o one.o && "$POLC" -S shop.pol -o one.c) || exit 1
(
	cd "$work/b" || exit
	umask 077
	export TZ=Pacific/Auckland LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH=1 TMPDIR=$work/b
	export POLC_TEMPLATES=$work/b/templates POLC_INCLUDE=$work/b/include
	"$POLC" "$work/b/deeper/than that/shop.pol" -o two.o &&
		"$POLC" -S "deeper/than that/shop.pol" -o two.c
) || exit 1
same "object in another folder" "$work/a/one.o" "$work/b/two.o"
same "C in another folder" "$work/a/one.c" "$work/b/two.c"

(cd "$work/a" && "$POLC" shop.pol -o again.o) || exit 1
same "object made again" "$work/a/one.o" "$work/a/again.o"

# A layout that means the same has the same tables: only lines of rules may move.
"$POLC" fmt "$work/a/shop.pol" >"$work/fmt.pol" || exit 1
"$POLC" fmt "$work/fmt.pol" >"$work/fmt2.pol" || exit 1
same "fmt of what fmt wrote" "$work/fmt.pol" "$work/fmt2.pol"

for word in "$work" "$top"; do
	tests=$((tests + 1))
	if grep -qaF "$word" "$work/a/one.o"; then
		strings -a "$work/a/one.o" 2>/dev/null | grep -F "$word" | head -n 5 | sed 's/^/# /'
		echo "not ok $tests - no path of the build in the object"
		failed=1
	else
		echo "ok $tests - no path of the build in the object"
	fi
done
echo "1..$tests"
exit $failed
