# SPDX-License-Identifier: GPL-2.0-only
# polc lint --fix and -H.
cd "$TMPDIR" || exit
try() {
	echo "\$ polc $*"
	"$POLC" "$@" 2>&1
	echo "= $?"
}
cat >web.pol <<'POL'
default allow;
pool 10.66.0.0/16;
endpoint web = app == "web";
endpoint client = app == "client";
endpoint ghost = app == "ghost";
# who we are
cidr office = 192.0.2.0/24, # the large one
	192.0.2.7/32,
	192.0.2.9/32, 198.51.100.0/24,
	192.0.2.128/25;
policy web {
	# the door
	allow from client on tcp 80, tcp 443;
	allow from client on tcp 443; # said above
	deny from world in office;
	allow from world in { office };
	allow from [app == "nobody"] on tcp 1;
}
# closes what is on any: must stay, though all that it allows is allowed
policy "only once" on web { allow from client on tcp 80; }
policy all on any { allow from client on tcp 80; }
POL
cat >host.yaml <<'END_'
endpoints:
  - {name: w, interface: v0, addresses: [10.66.0.1], labels: {app: web}}
remote:
  - {name: c, addresses: [10.66.0.2], labels: {app: client}}
END_
try lint -H host.yaml web.pol
cp web.pol before.pol
try lint --fix web.pol
cat web.pol
try diff before.pol web.pol
try lint --fix web.pol
try lint -H none.yaml web.pol
try lint --fix --format=json none.pol
echo 'policy {' >bad.pol
try lint --fix bad.pol
cat bad.pol
try check --fix web.pol
# More findings than are kept are counted.
{
	printf 'default deny;\npolicy p on any {\n'
	for i in $(seq 1 1100); do echo "allow from any on tcp 80;"; done
	echo '}'
} >many.pol
"$POLC" lint --json many.pol | tail -2
"$POLC" lint --format=sarif many.pol | tail -2
"$POLC" lint --fix many.pol 2>&1
cat many.pol
