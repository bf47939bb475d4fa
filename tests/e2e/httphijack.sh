#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# A proxy in other hands: whoever has its user, its cgroup, its right to take any source address, and any
# mark, gets no further than one connection for each that a client was redirected for.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/bridge.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

container client 1 "app: client"
container third 3 "app: server"
bridge_up br0 9
bridged server br0 9 2 "app: server"
bridged beside br0 9 3 "app: client"
bridged_host_file client third server beside >host.yaml
for c in server third; do
	serve $c tcp 80
	serve $c tcp 81
done
cat >web.pol <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 80; }
policy server { allow from client on tcp 80 http { allow GET "/open"; } allow from client on tcp 81 http { allow GET "/open"; } }
END
"$POLC" web.pol -o web.bpf.o || bail "compile"
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

worker=$(pgrep -P "$(pgrep -xo polproxy)" | head -1)
user=$(stat -c %u "/proc/$worker")
is "the worker is not root" 1 "$((user != 0))"
is "what follows runs in its cgroup" "$(cat "/proc/$worker/cgroup")" "$(cat /proc/self/cgroup)"
cp "$PROBE" probe
chmod 755 "$work" probe

dial() { # SOURCE TO PORT MARK [PATIENCE]: as the proxy would
	setpriv --reuid="$user" --clear-groups --inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw \
		"$work/probe" connect tcp "$2" "$3" --foreign "$1" --mark "$4" --timeout "${5:-400}"
}

credit() { # FROM TO: a request that is denied leaves one connection that nobody made
	printf 'GET /denied HTTP/1.1\r\nHost: h\r\n\r\n' |
		inside "$1" "$HTTP" ask "$2" 80 --answers 1 --timeout 50 | head -1
}

marks="0 0x100 0x200 0x300 0x400 0x500 0xf00"
everywhere() { # WHAT SOURCE TO PORT: with every mark at once; none opens
	local m
	rm -f dialled.*
	for m in $marks; do
		dial "$2" "$3" "$4" "$m" >"dialled.$m" &
	done
	for m in $marks; do
		for _ in {1..300}; do [ -s "dialled.$m" ] && break; sleep 0.1; done
	done
	is "$1: $2 to $3 $4" "" "$(grep -L -e timeout -e refused -e reset -e unreachable dialled.*)"
}

for family in 4 6; do
	declare -n at=v$family
	nobody=198.51.100.9
	[ $family = 4 ] || nobody=2001:db8:9::9
	for from in client beside; do
		like "a request from $from is denied" "403" "$(credit $from "${at[server]}")"
		everywhere "another server" "${at[$from]}" "${at[third]}" 80
		everywhere "another port" "${at[$from]}" "${at[server]}" 81
	done
	everywhere "a source that asked for nothing" "${at[third]}" "${at[server]}" 80
	everywhere "a source of nobody" "$nobody" "${at[server]}" 80
	# what is left is what the redirected connections of client and beside would have been
	is "the one that a client asked for opens" open "$(dial "${at[client]}" "${at[server]}" 80 0x300 20000)"
	is "and no second" timeout "$(dial "${at[client]}" "${at[server]}" 80 0x300)"
done
for reason in proxy_credit proxy_foreign; do
	[ "$("$POLLOAD" status --json | jq ".drops.$reason.packets // 0")" -ge 1 ]
	is "counted as $reason" 0 $?
done

"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
