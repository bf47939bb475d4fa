# SPDX-License-Identifier: GPL-2.0-only
# What `polc explain` says of a flow to a VIP: the sender's own rules see the VIP, the backends' see the sender.
cat >"$TMPDIR/s.pol" <<'END'
default deny;
cidr bad = 203.0.113.0/24;
endpoint web = app == "web";
endpoint client = app == "client";
service shop {
    vip 192.0.2.80, 2001:db8::80 on tcp 80;
    backend web on tcp 8080;
    backend 10.9.9.9 on tcp 80;
    backend 2001:db8:9::9 on tcp 80;
}
service empty { vip 192.0.2.80 on udp 53; backend 10.9.9.9 on udp 53; }
policy web {
    deny from bad;
    allow from { world, client } on tcp 8080 http { allow GET "/ok"; }
}
policy client { allow to shop on tcp 80; }
END
cd "$TMPDIR" || exit
try() {
	echo "\$ polc explain $*"
	"$POLC" explain s.pol "$@" 2>&1
	echo "= $?"
}
try 'from world to 192.0.2.80 on tcp 80'
try 'from client to shop on tcp 80'
try 'from [app=x] to shop on tcp 80'
try 'from bad to 2001:db8::80 on tcp 80'
try 'from 203.0.113.9 to shop on tcp 80'
try 'from world to shop on tcp 80 GET "/ok"'
try 'from world to shop on tcp 80 GET "/no"'
try 'from world to shop on tcp 81'
try 'from world to shop on udp 53'
try --json 'from 203.0.113.9 to shop on tcp 80'
try --json 'from client to shop on tcp 80'
sed 's/on tcp 8080;/on tcp 8081;/; /^service empty/d; s/^policy client/service more { vip 192.0.2.81 on tcp 80; backend web on tcp 8080; }\n&/' s.pol >t.pol
"$POLC" diff s.pol t.pol
echo "= $?"
"$POLC" diff --json s.pol t.pol
"$POLC" diff --fail-on=widen s.pol t.pol >/dev/null
echo "= $?"
