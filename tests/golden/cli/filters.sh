# SPDX-License-Identifier: GPL-2.0-only
# What explain, list, lint and diff say of filters; list and lint also of services.
cd "$TMPDIR" || exit
cat >f.pol <<'END'
default deny;
pool 10.1.0.0/16;
cidr bad = 203.0.113.0/24, 198.51.100.0/24;
cidr office = 192.0.2.0/24, 2001:db8:1::/48;
cidr live dynamic = 192.0.2.7;
endpoint web = app == "web";
endpoint never = app == "a" and app == "b";
filter edge on eth0 {
	drop from bad;
	pass from live on tcp 443;
	drop from live;
	pass from live on udp 53;
	drop from 203.0.113.7 on tcp 80;
	pass from 198.51.100.0/25 to 10.0.0.0/8;
	pass from office on tcp 22;
	pass from { 192.0.2.0/25, 192.0.2.128/26, 192.0.2.64/27 } on tcp 22-23;
	drop on tcp 0-1000;
	drop on tcp 1001-2000;
	pass on tcp 500-1500;
	limit 5000/s burst 10000 per source on tcp syn;
	limit 100/s burst 10 on tcp 80;
	pass on tcp ack;
	drop on tcp 3000 ack;
	pass on udp sport 53;
	pass on udp 100-200 sport 53;
	drop from office in bad;
	drop on udp 4000;
	pass;
}
service shop {
	vip 192.0.2.80 on tcp 8443;
	backend web on tcp 8080 weight 3;
	backend never on tcp 80;
	backend 10.9.9.9 on tcp 80;
	check http "/live";
}
policy web {
	allow from world on tcp 8080;
	deny from bad;
	allow to world;
}
policy checks on web {
	allow from host on tcp 8080 http { allow GET "/dead"; }
}
END
sed 's|"/dead"|"/live"|' f.pol >served.pol
try() {
	echo "\$ polc $*"
	"$POLC" "$@" 2>&1
	echo "= $?"
}
try explain f.pol 'from 203.0.113.9 to web on tcp 80'
try explain f.pol 'from world to [app=web]@10.1.0.2 on tcp 8080'
try explain f.pol 'from 192.0.2.7 to shop on tcp 8443'
try explain f.pol 'from office to 10.1.0.9 on tcp 22'
try explain f.pol 'from web to 198.51.100.9 on tcp 443'
try explain f.pol 'from web to world on udp 53'
try explain f.pol 'from web to world on icmp echo-request'
try explain f.pol 'from web to world on icmp redirect'
try explain --json f.pol 'from 203.0.113.9 to web on tcp 80'
try explain --json f.pol 'from web to 198.51.100.9 on tcp 443'
try list f.pol
try list --json f.pol
try graph f.pol
try lint f.pol
try lint served.pol | grep -A6 P0621
cat >h.yaml <<'END'
host: h
uplinks: [eth0]
endpoints: []
END
sed 's/backend web/backend [app=x]/' f.pol >x.pol
try lint -H h.yaml x.pol | grep -A4 'x.pol:32'

echo "# changes"
sed 's/^\tdrop from bad;/\tdrop from bad on tcp;/
	s/5000\/s/4000\/s/
	s/^\tpass;/\tdrop;/
	s/^\tdrop on udp 4000/\tpass on udp 4000/
	s/on eth0/on eth0, eth1/' f.pol >g.pol
try diff f.pol g.pol
try diff --json f.pol g.pol
sed 's/5000\/s/4000\/s/' f.pol >limit.pol
try diff f.pol limit.pol
sed 's/drop on udp 4000;/drop on udp 4000 log;/' f.pol >log.pol
try diff f.pol log.pol
sed 's/^\tpass on tcp ack;//; s/^\tdrop on tcp 3000 ack;/&\n\tpass on tcp ack;/' f.pol >moved.pol
try diff f.pol moved.pol
sed '/^filter/,/^}/d' f.pol >none.pol
try diff --fail-on=widen none.pol f.pol
try diff --fail-on=widen f.pol none.pol
try diff --fail-on=narrow f.pol none.pol
sed 's/\blive\b/alive/' f.pol >renamed.pol
try diff f.pol renamed.pol

echo "# too large"
awk 'BEGIN {
	print "default deny;\nfilter f on eth0 {"
	for (i = 0; i < 4200; i++)
		printf "\tdrop from 10.%d.%d.0/24 on tcp %d;\n", i / 250, i % 250, i
	print "\tdrop from 10.1.0.0/16 on udp 5;\n\tdrop from 10.2.0.0/15 on sctp 7;\n\tpass;\n}"
}' >large.pol
"$POLC" -S -o /dev/null large.pol 2>&1
echo "= $?"
