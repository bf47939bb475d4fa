# SPDX-License-Identifier: GPL-2.0-only
# What lint finds: as text, JSON and SARIF; and the exit codes.
cd "$TMPDIR" || exit
cat >t.pol <<'POL'
default deny;
pool 10.1.0.0/16, fd00:1::/48;
cidr office = 192.0.2.0/24, 192.0.2.128/25, 2001:db8::/32;
cidr bad = 203.0.113.0/24;
endpoint web = app == "web";
endpoint db = app == "db" and tier != "canary";
endpoint never = app == "a" and app == "b";
policy guard on any tier admin 1 {
	deny from bad;
	skip from office;
	allow from host;
	allow from bad on tcp 22;
}
policy web {
	allow from world on tcp 443;
	allow from world on tcp 80-443;
	allow from office on tcp 443;
	allow from bad on tcp 80;
	allow from { 10.1.2.0/24, 10.1.2.7, 198.51.100.0/24 } on tcp 8080;
	allow to db on tcp 5432;
	allow to web in db;
	allow from host on tcp 22;
}
policy db {
	allow from web on tcp 5432 limit 100/s burst 100;
	allow from web on tcp 5000-6000;
	deny from web on tcp 5500;
	allow to none;
}
policy other on db {
	deny from web on tcp 5600-5700;
}
policy nobody on [app=a,app=b] {
	allow from any;
}
policy last on web tier baseline {
	allow from any;
	allow to any on icmp;
}
POL
"$POLC" lint t.pol
echo "= $?"
"$POLC" lint --json t.pol | cut -c1-200
echo "= $?"
"$POLC" lint --format=sarif t.pol >t.sarif
echo "= $?"
jq -c '.runs[0] | (.results | length), .tool.driver.rules[0].id, .results[-1]' t.sarif
printf 'default deny;\n' >ok.pol
"$POLC" lint ok.pol
echo "= $?"
"$POLC" lint --json ok.pol
"$POLC" check --format=sarif ok.pol
echo "= $?"
"$POLC" lint nosuch.pol
echo "= $?"
