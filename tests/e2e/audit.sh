#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Audit mode lets pass what it tells; suggest makes rules of it, and with them the same traffic is
# allowed, and no other.
. "$(dirname "$0")/lib.sh"
FRAME=${FRAME:-$e2e_build/tests/tools/frame}

container client 1 "app: client"
container server 2 "app: server"
container odd 3 'app: "odd one", tier: x'
outside world
host_file client server odd >host.yaml
for port in 7000 7001 7002 7003; do serve server tcp $port; done
serve server udp 53
policy() {
	cat <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy server {
    allow from client on tcp 7000;
    deny from client on tcp 7003;
}
END
}
policy | compile base
"$POLLOAD" apply base.bpf.o -H host.yaml --audit >/dev/null 2>err || bail "apply: $(cat err)"
like "status says that audit is on" "nothing is dropped by policy" "$("$POLLOAD" status)"
is "in JSON too" '"audit"' "$("$POLLOAD" status --json | jq .mode)"

traffic() { # WORD: what is to come of it
	expect "$1" client server tcp 7001
	expect "$1" odd server tcp 7002
	expect "$1" odd server udp 53
	expect "$1" world server tcp 7000
	is "${phase:+$phase: }the host to server on tcp 7002: $1" "$1" "$("$PROBE" connect tcp "${v4[server]}" 7002 --timeout 20000)"
	expect "$1" client server ping
}
phase=audit
"$POLLOAD" monitor --json audit >events &
watcher=$!
begun events
traffic open
expect open client server tcp 7000
expect open client server tcp 7003
kill -TERM "$watcher"
wait "$watcher"
is "each is told, with the rule that would have denied" true \
	"$(jq -s 'map(select(.count)) | length >= 16 and all(.verdict == "audit" and .reason == "policy" and .rule.file == "base.pol")' events)"
before=$("$POLLOAD" status --json | jq '.drops.spoofed.packets // 0')
mac=$(ip -o link show v-client | sed "s/.*link.ether \([^ ]*\).*/\1/")
inside client "$FRAME" eth0 "$mac" 10.66.2.2 "${v4[server]}" 7000 syn 3 >/dev/null
for ((i = 0; i < 100; i++)); do
	[ "$("$POLLOAD" status --json | jq '.drops.spoofed.packets // 0')" = $((before + 3)) ] && break
	sleep 0.05
done
is "a spoofed packet is dropped all the same" $((before + 3)) "$("$POLLOAD" status --json | jq '.drops.spoofed.packets')"

run "$POLLOAD" suggest
is "suggest" 0 "$code"
like "names the classes of the policy" "allow from client on tcp 7001;" "$out"
like "and makes those that it lacks" 'endpoint suggested_1 = "app" == "odd one" and "tier" == "x";' "$out"
like "what a deny stops is named" "not covered: server from client on tcp 7003: base.pol:7 deny from client on tcp 7003" "$out"
is "suggest --json is JSON" true "$("$POLLOAD" suggest --json | jq '.flows | length > 5 and any(.covered | not)')"

{ policy; echo "$out"; } | compile more
"$POLLOAD" apply more.bpf.o -H host.yaml >/dev/null 2>err || bail "apply: $(cat err)"
phase=suggested
traffic open
expect open client server tcp 7000
expect timeout client server tcp 7003
expect timeout client server tcp 7002
expect timeout odd server tcp 7001
is "nothing is audited any more" 0 "$("$POLLOAD" suggest --json 2>/dev/null | jq '.flows | length')"

# ---- a policy that only audits ------------------------------------------------------------------

phase=policy
{ policy | sed 's/default deny/default allow/'
  echo 'policy "trial" on client audit { allow to server on tcp 7000; }'; } | compile trial
"$POLLOAD" apply trial.bpf.o -H host.yaml >/dev/null 2>err || bail "apply: $(cat err)"
expect open client server tcp 7000
is "why names it" true "$("$POLLOAD" why from client to server on tcp 7001 --json | jq '.egress.audit_rule != null')"
inside client "$PROBE" connect tcp 192.0.2.7 7001 --timeout 300 >/dev/null
run "$POLLOAD" suggest
like "suggest writes audit rules for it" 'policy "suggested for client, audit" on client audit {' "$out"
like "for what it would have denied" "allow to 192.0.2.7 on tcp 7001;" "$out"
{ cat trial.pol; echo "$out"; } | compile again
"$POLLOAD" apply again.bpf.o -H host.yaml >/dev/null 2>err || bail "apply: $(cat err)"
inside client "$PROBE" connect tcp 192.0.2.7 7001 --timeout 300 >/dev/null
is "and then it is silent" 0 "$("$POLLOAD" suggest --json 2>/dev/null | jq '.flows | length')"
finish
