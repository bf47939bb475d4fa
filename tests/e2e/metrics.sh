#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Metrics are OpenMetrics text and agree with the traffic and with the monitor; they are served on this
# host alone; dashboard and alerts ask for nothing that is not there.
. "$(dirname "$0")/lib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http} FRAME=${FRAME:-$e2e_build/tests/tools/frame}
OPENMETRICS=${OPENMETRICS:-$e2e_build/tests/tools/openmetrics}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

container client 1 "app: client"
container server 2 "app: server"
host_file client server >host.yaml
spawn server "$HTTP" serve "${v4[server]}" 80
listening server tcp 80 1
serve server tcp 7000
run "$POLLOAD" metrics
is "without a policy: exit code 1" 1 "$code"
like "and it says so" "polc_in_force 0" "$out"
is "in the format" polc_in_force "$("$OPENMETRICS" <<<"$out")"
mkdir 'o"d\d'
cat >'o"d\d/m.pol' <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server; allow to shop; }
policy "a \"quoted\" name" on server {
    allow from client on tcp 7000;
    deny from client on udp;
    allow from client on tcp 80 http { allow GET "/ok"; }
}
service shop { vip 198.51.100.10, 2001:db8:2::10 on tcp 70; backend server on tcp 7000; }
END
"$POLC" 'o"d\d/m.pol' -o m.bpf.o 2>err || bail "compile: $(cat err)"
cp m.bpf.o 'o"d\d/m.bpf.o'
"$POLLOAD" apply 'o"d\d/m.bpf.o' -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
"$POLLOAD" monitor --json --each >events &
watcher=$!
begun events
mac=$(ip -o link show v-client | sed "s/.*link.ether \([^ ]*\).*/\1/")
inside client "$FRAME" eth0 "$mac" "${v4[client]}" "${v4[server]}" 53 udp 7 >/dev/null
inside client "$FRAME" eth0 "$mac" "${v4[client]}" "${v4[server]}" 53 truncated 5 >/dev/null
is "a connection" open "$(inside client "$PROBE" connect tcp "${v4[server]}" 7000 --timeout 20000)"
for vip in 198.51.100.10 2001:db8:2::10; do
	is "a connection by $vip" open "$(inside client "$PROBE" connect tcp "$vip" 70 --timeout 20000)"
done
for path in /ok /no /no; do inside client curl -s -o /dev/null -m 30 "http://${v4[server]}$path"; done
for ((i = 0; i < 200; i++)); do
	[ "$(jq -s 'map(select(.count)) | length' events)" -ge 18 ] && break
	sleep 0.05
done
kill -TERM "$watcher"
wait "$watcher"

"$POLLOAD" metrics >metrics.txt 2>err
"$POLLOAD" metrics --json >metrics.json 2>>err
# Each sample that does not change from one moment to the next, with its labels and value, is the text's.
moving='polc_flows\|polc_proxy\|polc_backend_[ch]\|idle_seconds'
is "as JSON: the same samples" "$(grep -v "^#\|$moving" metrics.txt | sort)" "$(jq -r '.[].samples[] | .name +
	(if .labels == {} then "" else "{" + ([.labels | to_entries[] | .key + "=" + (.value | tojson)] | join(",")) + "}" end) +
	" " + (.value | tostring)' metrics.json | grep -v "$moving" | sort)"
is "as JSON: the same families" "$(grep -c '^# TYPE' metrics.txt)" "$(jq length metrics.json)"
run "$POLLOAD" metrics --json --listen "unix:$work/json.sock"
is "JSON is not served" 2 "$code"
is "metrics" 0 $?
"$OPENMETRICS" <metrics.txt >names 2>err
is "the text is OpenMetrics" "" "$(cat err)"
value() { # SERIES: the value of the one that has these parts
	local part lines
	lines=$(grep -v "^#" metrics.txt)
	for part; do lines=$(grep -F -- "$part" <<<"$lines"); done
	awk '{ print $NF }' <<<"$lines"
}
is "drops by policy, as sent" 7 "$(value 'polc_drops_packets_total{reason="policy"}')"
is "truncated ones, as sent" 5 "$(value 'polc_drops_packets_total{reason="truncated"}')"
is "packets of the deny" 7 "$(value polc_rule_packets_total 'line="8"')"
is "connections of the allow" 3 "$(value polc_rule_connections_total 'line="7"')"
is "requests" "1 2" "$(value polc_proxy_requests_total allow) $(value polc_proxy_requests_total deny)"
is "connections of the service" 2 "$(value polc_service_connections_total 'service="shop"')"
is "and of each of its backends, by family" "1 1" "$(value polc_backend_up "backend=\"${v4[server]}:7000\"" 'endpoint="server"') $(value polc_backend_up "backend=\"[${v6[server]}]:7000\"")"
is "the proxy is up" 1 "$(value polc_proxy_up)"
is "endpoints" 2 "$(value 'polc_endpoints{where="here"}')"
told() { jq -s "map(select($1) | .count) | add // 0" events; }
is "the monitor saw as many: drops" "7 5" "$(told '.reason == "policy"') $(told '.reason == "truncated"')"
is "connections, the proxied ones too, and both halves of those to a service" 8 "$(told '.event == "new"')"
is "by the name of the service" 2 "$(told '.event == "new" and .to.is == "service" and .to.service == "shop"')"
is "requests" "1 2" "$(told '.event == "http" and .verdict == "allow"') $(told '.event == "http" and .verdict == "deny"')"
is "names are escaped" yes "$(grep -qF 'policy="a \"quoted\" name"' metrics.txt && grep -qF 'object="o\"d\\d/' metrics.txt && echo yes)"

# ---- served -----------------------------------------------------------------------------------

serve_at() { # ADDRESS CURL-OPTIONS...
	"$POLLOAD" metrics --listen "$1" >served 2>&1 &
	server=$!
	shift
	for ((i = 0; i < 200; i++)); do
		curl -s -m 30 -D head.txt -o body "$@" && break
		sleep 0.05
	done
	is "served: $* is OpenMetrics" "$(cat names)" "$("$OPENMETRICS" <body)"
}
serve_at "unix:$work/m.sock" --unix-socket "$work/m.sock" http://x/metrics
is "the socket is root's alone" 600 "$(stat -c %a m.sock)"
like "its type says so" "application/openmetrics-text; version=1.0.0" "$(tr -d '\r' <head.txt)"
is "nothing else is there" "404 405" "$(curl -s -o /dev/null -w '%{http_code} ' --unix-socket m.sock http://x/ ; curl -s -o /dev/null -w '%{http_code}' -X DELETE --unix-socket m.sock http://x/metrics)"
run "$POLLOAD" metrics --listen "unix:$work/m.sock"
is "a second one is refused" 3 "$code"
"$POLLOAD" apply m.bpf.o >/dev/null
is "it follows an apply" 2 "$(curl -s --unix-socket m.sock http://x/metrics | awk '$1 == "polc_generation" { print $2 }')"
kill -TERM "$server"
wait "$server"
is "it ends well" 0 $?
is "and takes its socket away" no "$([ -e m.sock ] || echo no)"
serve_at 127.0.0.1:9649 http://127.0.0.1:9649/metrics
kill -TERM "$server"
wait "$server"
serve_at '[::1]:9649' -g 'http://[::1]:9649/metrics'
"$POLLOAD" remove >/dev/null
is "it says when the policy has gone" "polc_in_force 0" "$(curl -s -g 'http://[::1]:9649/metrics' | grep -v '^#')"
kill -TERM "$server"
wait "$server"
for at in 0.0.0.0:9649 10.66.1.1:9649 '[::]:9649' 127.0.0.1 127.0.0.1:0 127.0.0.1:70000 unix: x; do
	run "$POLLOAD" metrics --listen "$at"
	is "refused: $at" 2 "$code"
done

# ---- dashboard and alerts -------------------------------------------------------------------------

asked() { # of a text with expressions: names of metrics
	grep -o 'polc_[a-z_]*' | sort -u
}
grep -v "^#" metrics.txt | sed 's/[{ ].*//' | sort -u >there
is "the dashboard is JSON with panels" true "$(jq '.panels | length > 5 and all(.targets | length > 0)' "$e2e_tree/monitoring/grafana.json")"
is "and asks for what there is" "" \
	"$(jq -r '.panels[].targets[].expr, .templating.list[].query' "$e2e_tree/monitoring/grafana.json" | asked | comm -23 - there)"
is "so do the alerts" "" "$(grep 'expr:' "$e2e_tree/monitoring/alerts.yml" | asked | comm -23 - there)"
is "their reasons are reasons" "" \
	"$(grep -o 'reason=~*"[^"]*"' "$e2e_tree/monitoring/alerts.yml" | sed 's/.*"\(.*\)"/\1/' | tr '|' '\n' |
		while read -r reason; do grep -q "\"$reason\"" "$e2e_tree/include/polc/reasons.h" || echo "$reason"; done)"
if command -v promtool >/dev/null; then
	is "promtool takes the alerts" 0 "$(promtool check rules "$e2e_tree/monitoring/alerts.yml" >err 2>&1; echo $?)"
fi
finish
