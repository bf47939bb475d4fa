# SPDX-License-Identifier: GPL-2.0-only
# Room for kinds of endpoints, as asked: in what is compiled, not only in a dump.
cd "$TMPDIR" || exit
printf 'default deny;\npolicy all on any { allow from any on tcp 80; }\n' >k.pol
room() {
	"$POLC" -S "$@" k.pol -o - | sed -n 's/^#define POL_\(COLUMN_LEVELS\|PAGES_LEN\) *\([0-9]*\).*/\1 \2/p'
}
room
room --endpoint-kinds=5000
room --endpoint-kinds=65535
for wrong in 0 65536 -1 12x ''; do
	"$POLC" check --endpoint-kinds="$wrong" k.pol
	echo "= $?"
done
"$POLC" fmt --endpoint-kinds=9 k.pol
echo "= $?"
