#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Same input and version, same bytes: whatever the folder, the way the file is named,
# the time, the locale and the umask.
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
POLC=${POLC:-$top/build/polc}
: "${POLC_TEMPLATES:=$top/bpf-templates}" "${POLC_INCLUDE:=$top/include}"
export POLC_TEMPLATES POLC_INCLUDE
unset POLC_CLANG # of clang itself, each time
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

# Where order means nothing, it changes nothing but what names the text: lists, sets,
# selectors, and the order of definitions.
cat >"$work/one.pol" <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
cidr office = 192.0.2.0/24, 2001:db8:1::/48;
cidr bad = 203.0.113.0/24, 198.51.100.0/24;
port web = tcp 80, tcp 443;
endpoint a = app in ("x", "y") and has(zone);
endpoint b = app == "b";
policy a {
    allow from { b, office } on web, udp 53;
    deny from bad;
    allow to b;
}
END
cat >"$work/two.pol" <<'END'
default deny;
pool fd66::/48, 10.66.0.0/16;
port web = tcp 443, tcp 80;
endpoint b = app == "b";
cidr bad = 198.51.100.0/24, 203.0.113.0/24;
endpoint a = has(zone) and app in ("y", "x");
cidr office = 2001:db8:1::/48, 192.0.2.0/24;
policy a {
    allow from { office, b } on udp 53, web;
    deny from bad;
    allow to b;
}
END
for name in one two; do
	"$POLC" -S "$work/$name.pol" -o - | grep -v -e '^#line' -e '/\*' -e '^ \*' >"$work/$name.shuffled" || exit 1
done
same "tables and programs of a shuffled text" "$work/one.shuffled" "$work/two.shuffled"
tests=$((tests + 1))
if [ "$(wc -l <"$work/one.shuffled")" -gt 100 ]; then
	echo "ok $tests - which are not empty"
else
	echo "not ok $tests - which are not empty"
	failed=1
fi

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
