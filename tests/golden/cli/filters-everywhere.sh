# SPDX-License-Identifier: GPL-2.0-only
# What explain says of those without an address where filters name every address of a family.
cd "$TMPDIR" || exit
try() { # FILTER-LINES FLOW...
	local flow
	cat >f.pol <<POL
default deny;
pool $pool;
cidr bad = 203.0.113.0/24;
endpoint web = app == "web";
policy web { allow from any; allow to any; }
filter f on eth0 {
	pass on tcp ack;
	pass on udp sport 53;
	$1
	drop;
}
POL
	echo "# $1"
	"$POLC" list f.pol | grep '=> filter'
	shift
	for flow; do
		echo "\$ polc explain f.pol $flow"
		"$POLC" explain f.pol "$flow" 2>&1
		echo "= $?"
	done
}
pool='10.1.0.0/16, 2001:db8:1::/64'
try 'pass from 0.0.0.0/0 on tcp 80;' 'from world to web on tcp 80' 'from 192.0.2.1 to web on tcp 80' \
	'from world to web@10.1.0.2 on tcp 80' 'from world to web@2001:db8:1::2 on tcp 80' \
	'from world to web on tcp 81' 'from nodes to web on tcp 80' 'from bad to web on tcp 80' \
	'from web to world on tcp 80'
try 'pass from ::/0 on tcp 80;' 'from world to web on tcp 80'
try 'pass from { 0.0.0.0/0, ::/0 } on tcp 80;' 'from world to web on tcp 80'
try 'pass from 0.0.0.0/0 on tcp 80; pass from ::/0 on tcp 80;' 'from world to web on tcp 80'
try 'pass from 0.0.0.0/1 on tcp 80;' 'from world to web on tcp 80'
try 'pass from 0.0.0.0/1 on tcp 80; pass from 128.0.0.0/1 on tcp 81;' 'from world to web on tcp 80' \
	'from world to web on tcp 82'
try 'drop from 10.1.0.0/16; pass from { 0.0.0.0/0, ::/0 } on tcp 80;' 'from world to web on tcp 80'
try 'pass from any except bad on tcp 80;' 'from world to web on tcp 80'
try 'pass from 0.0.0.0/0 on icmp echo-request;' 'from world to web on icmp echo-request'
# the other end
try 'pass to 10.1.0.0/16 on tcp 80;' 'from world to web on tcp 80' 'from 192.0.2.1 to web on tcp 80'
try 'pass to 2001:db8:1::/64 on tcp 80; pass to 10.1.0.0/17 on tcp 80;' \
	'from 192.0.2.1 to web on tcp 80' 'from 2001:db8::1 to web on tcp 80'
try 'pass to 10.1.0.0/17 on tcp 80; pass to 10.1.128.0/17 on tcp 81;' \
	'from 192.0.2.1 to web on tcp 80' 'from 192.0.2.1 to web on tcp 82'
# replies
try 'limit 10/s burst 10 from 0.0.0.0/0 on udp sport 54;' 'from web to world on udp 54' \
	'from web to 192.0.2.1 on udp 54'
# who is of one family has no packet of the other
pool=10.1.0.0/16
try 'pass from 0.0.0.0/0 on tcp 80;' 'from world to web on tcp 80' 'from web to world on tcp 80'
pool=0.0.0.0/0
try 'pass from 0.0.0.0/0 on tcp 80;' 'from world to web on tcp 80' 'from 192.0.2.1 to web on tcp 80'
