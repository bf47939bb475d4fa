# SPDX-License-Identifier: GPL-2.0-only
# The graph of an example, which Graphviz must be able to read; and as SVG, but for its numbers.
"$POLC" graph ../list/shop.pol
echo "= $?"
"$POLC" graph --format=svg ../list/shop.pol | sed 's/[-0-9.]*[0-9]\.[0-9]/N/g; s/\(width\|height\|viewBox\)="[-0-9 ]*"/\1="N"/g' | grep -v '^[.@}t]'
echo "= $?"
"$POLC" graph --json ../list/shop.pol
echo "= $?"
"$POLC" graph --format=text ../list/shop.pol | head -1
"$POLC" list --format=svg ../list/shop.pol
echo "= $?"
"$POLC" graph ../list/everywhere4.pol | grep -e '->' -e '(v4)'
cd "$TMPDIR" || exit
printf 'default deny;\nendpoint a = x == "1";\nendpoint b = x == "2";\npolicy a { allow from a, b on tcp 1; allow to b on tcp 1; }\npolicy b { allow from a on tcp 1; allow to a on tcp 1; }\n' >'<&">.pol'
"$POLC" graph --format=svg '<&">.pol' | grep -e 'title' -e '<=>' -e themselves
