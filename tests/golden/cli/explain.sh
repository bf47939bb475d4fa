# SPDX-License-Identifier: GPL-2.0-only
# The verdict on single flows.
try() {
	echo "\$ polc explain $*"
	"$POLC" explain ../list/shop.pol "$@"
	echo "= $?"
}
try 'from frontend to api on tcp 8080'
try from api to frontend on tcp 8080
try 'from 192.0.2.200 to api on tcp 9090'
try 'from office to api on tcp 9090'
try 'from world to [app=frontend]@10.1.0.7 on tcp 8080'
try 'from [app=api,tier=canary] to db on tcp 5432'
try 'from 10.1.2.3 to frontend on tcp 8080'
try 'from host to api on icmp echo-request'
try 'from world to world on proto 47'
try --json 'from frontend to db on tcp 5432'
try --json 'from office to api on tcp 9090'
try 'from any to api on tcp 1'
try 'from [app != "x"] to api on tcp 1'
try 'from nobody to api on tcp 1'
try 'from frontend to api on tcp 8080 GET "/"'
try 'from frontend to api on tcp'
cd "$TMPDIR" || exit
cat >every.pol <<'POL'
default deny;
endpoint web = app == "web";
endpoint db = app == "db";
policy web {
	allow from world in 0.0.0.0/0 on tcp 80;
	allow from world on tcp 81;
	allow from 0.0.0.0/0 on tcp 82;
	allow from nodes in 0.0.0.0/0 on tcp 83;
}
policy db {
	allow to any;
}
POL
every() {
	echo "\$ polc explain every.pol $*"
	"$POLC" explain every.pol "$@"
	echo "= $?"
}
every 'from world to web on tcp 80'
every 'from 192.0.2.1 to web on tcp 80'
every 'from world to web on tcp 81'
every 'from world to web on udp 80'
every 'from db to web on tcp 81'
every 'from db to web on tcp 82'
every 'from db@192.0.2.1 to web on tcp 82'
every 'from host to web on tcp 82'
every 'from nodes to web on tcp 83'
every 'from db to world on tcp 80'
sed 's/world in 0.0.0.0.0/{ { world in 0.0.0.0\/0 }, { world in ::\/0 } }/' every.pol >both.pol
"$POLC" explain both.pol 'from world to web on tcp 80'
echo "= $?"
sed '/tcp 80/ { p; s/0.0.0.0/::/; s/0.0.0.0/::/ }' every.pol >twice.pol
"$POLC" explain twice.pol 'from world to web on tcp 80'
echo "= $?"
"$POLC" list twice.pol
