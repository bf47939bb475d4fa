# SPDX-License-Identifier: GPL-2.0-only
# Which flows change between two policies: text, JSON, exit codes.
cd "$TMPDIR" || exit
cat >old.pol <<'POL'
default deny;
pool 10.1.0.0/16;
cidr office = 192.0.2.0/24;
endpoint web = app == "web";
endpoint db = app == "db" and tier != "canary";
policy web {
	allow from world on tcp 443;
	allow to db on tcp 5432;
}
policy db {
	allow from web on tcp 5432;
	reject from office on tcp 22;
}
POL
sed -e 's/from world on tcp 443/from world on tcp 80, 443/' -e 's/tier != "canary"/tier == "gold"/' \
	-e 's/reject from office/deny from office/' old.pol >new.pol
sed -e '/reject/d' -e '6i\
# moved\
policy first on web {\
	allow to db on tcp 5432;\
}' old.pol >same.pol
try() {
	echo "\$ polc diff $*"
	"$POLC" diff "$@"
	echo "= $?"
}
try old.pol new.pol
try new.pol old.pol
try old.pol same.pol
try --fail-on=widen old.pol new.pol >/dev/null
echo "= $?"
try --fail-on=never --json old.pol new.pol
try --json old.pol old.pol
try old.pol
try --fail-on=all old.pol new.pol
echo 'default deny' >broken.pol
try old.pol broken.pol
"$POLC" lint --fail-on=any old.pol
echo "= $?"
