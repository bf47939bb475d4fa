# SPDX-License-Identifier: GPL-2.0-only
# Every verb that answers, over every example that is installed.
top=$(cd ../../.. && pwd)
cd "$top/lang/examples" || exit
try() {
	echo "\$ polc $*"
	"$POLC" "$@" 2>&1
	echo "= $?"
}
ask() { # FILE FLOW...
	local file=$1 flow
	shift
	for flow; do
		# shellcheck disable=SC2086 # words
		try explain "$file" $flow
	done
}
for file in *.pol; do
	try check "$file"
	try fmt --check "$file"
	try list "$file"
	try lint "$file"
	try diff minimal.pol "$file"
	"$POLC" "$file" -o "$TMPDIR/object.bpf.o" >/dev/null 2>&1
	"$POLC" verify --tables-only "$TMPDIR/object.bpf.o" "$file" | sed 's|^.*/||'
	"$POLC" graph --format=svg "$file" | grep -c '<path class="edge'
done
ask minimal.pol "from world to web on tcp 8080" "from web to world on tcp 80"
ask shop.pol "from frontend to api on tcp 8080" "from world to db on tcp 5432" \
	'from frontend to api on tcp 8080 GET "/v1/items"'
ask tiers.pol "from world to app on tcp 23"
ask limits.pol "from world to login on tcp 443"
ask lists.pol "from 192.0.2.1 to web on tcp 80"
ask audit.pol "from web to api on tcp 8080"
