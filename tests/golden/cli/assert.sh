# SPDX-License-Identifier: GPL-2.0-only
# Assertions: what holds, what does not and why, what is about nobody; and the exit codes.
cd "$TMPDIR" || exit
cat >head.pol <<'POL'
default deny;
pool 10.1.0.0/16, fd00:1::/48;
cidr office = 192.0.2.0/24;
endpoint web = app == "web";
endpoint db = app == "db" and tier != "canary";
endpoint never = app == "a" and app == "b";
policy web {
	allow from world on tcp 443;
	allow to db on tcp 5432;
	deny to 10.1.7.0/24;
}
policy db {
	allow from web on tcp 5432;
	reject from web on tcp 9090;
	allow from world in office on tcp 5432-5440;
}
policy watched on db audit {
	deny from any;
}
POL
try() {
	{ cat head.pol; printf '%s\n' "$@"; } >t.pol
	printf '\n$ %s\n' "$@"
	"$POLC" check t.pol
	echo "= $?"
}
try 'assert deny from world except office to db;' 'assert allow from web@10.1.0.9 to db@10.1.1.1 on tcp 5432;' \
	'assert deny from [app=web] to [app=db,tier=canary];' 'assert allow from world to web on tcp 443;' \
	'assert deny from any to db on tcp 22, icmp;'
try 'assert deny from world to db on tcp 5432;'
try 'assert allow from web to db on tcp 5432;'
try 'assert allow from web to db on tcp 9090;'
try 'assert deny from world to db on tcp 1-5431, tcp 5441-65535;' 'assert deny from world to db on tcp 1-5432;'
try 'assert deny from never to db;' 'assert deny from world to host;' 'assert deny from web to never;'
try 'assert deny from web to db on tcp 443 GET "/";'
sed -i '/^pool/d' head.pol
try 'assert allow from web to db on tcp 5432;'
"$POLC" t.pol -o out.bpf.o
try 'assert deny from web to db on tcp 5432;'
"$POLC" t.pol -o broken.bpf.o
echo "= $?"
ls
