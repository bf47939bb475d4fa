# SPDX-License-Identifier: GPL-2.0-only
# Several files, warnings, what this version refuses; text and JSON.
cd "$TMPDIR" || exit
cat >refused.pol <<'POL'
default deny;
endpoint a = k == "a";
policy a {
	allow from any on tcp 80 http {
		allow GET "/";
	}
}
service s {
	vip 198.51.100.10 on tcp 80;
	backend a on tcp 80;
}
filter f on eth0 {
	pass;
}
assert deny from world to a on tcp 80;
POL
cat >tiers.pol <<'POL'
default deny;
endpoint a = k == "a";
endpoint b = k in ("a", "b");
policy one on a tier admin 5 {
	deny from any;
}
policy two on b tier admin 5 {
	allow from any;
}
POL
printf 'default deny;\n' >ok.pol
"$POLC" check ok.pol refused.pol tiers.pol
echo "= $?"
"$POLC" check --format=json ok.pol refused.pol tiers.pol
echo "= $?"
"$POLC" check --format=json ok.pol
echo "= $?"
"$POLC" list refused.pol
echo "= $?"
"$POLC" fmt --check refused.pol
echo "= $?"
