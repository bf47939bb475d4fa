#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# A process in the host's network namespace with CAP_NET_RAW and nothing else: whatever mark it
# sets and whose address it takes, to a container's policy it is `host`.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile
{ shop_policy 8080 | sed '/^policy server/a\    allow from host on tcp 7000;'; } | compile open
cp "$PROBE" probe

# Its sockets are those of any unprivileged user with that one capability.
raw() { # PROBE-ARGUMENT...
	setpriv --reuid=65534 --clear-groups --inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw \
		--bounding-set=-all,+net_raw "$work/probe" "$@"
}
chmod 755 "$work"

# As itself, as the client that may, and as a machine outside that may: to each what that one may.
tries() { # MARK: a line each
	local n=0 family a
	rm -f try.*
	for family in 4 6; do
		local -n at=v$family
		for a in "tcp ${at[server]} 7000" "udp ${at[server]} 53" \
			"tcp ${at[server]} 7000 --foreign ${at[client]}" \
			"udp ${at[server]} 53 --foreign ${at[client]}" \
			"tcp ${at[server]} 80 --foreign ${at[world]}"; do
			n=$((n + 1))
			# shellcheck disable=SC2086
			raw connect $a --mark "$1" --timeout 400 >"try.$n" 2>&1 &
		done
	done
	wait
	cat try.*
}

# What has arrived at the server so far: answers would not come back to a taken address.
arrived() {
	inside server cat /proc/net/snmp /proc/net/snmp6 | awk '
		/^Tcp: [0-9]/ { tcp = $11 } /^Udp: [0-9]/ { udp = $2 + $3 } /^Udp6(InDatagrams|NoPorts) / { udp += $2 }
		END { print "tcp", tcp, "udp", udp }'
}

# The last of what was opened has arrived, too.
settled() {
	local i
	for ((i = 0; i < 200; i++)); do
		[ -n "$(inside server ss -Htn state connected exclude time-wait)" ] || return
		sleep 0.05
	done
	bail "a connection to the server does not end"
}

"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
expect open client server tcp 7000
expect open world server tcp 80
settled
for mark in 0x0 0x1 0x100 0x200 0x300 0x400 0x500 0x600 0x700 0x800 0xf00 0xfff 0xffffffff; do
	before=$(arrived)
	is "with mark $mark a process of the host gets nowhere" "10 timeout" \
		"$(tries $mark | sort | uniq -c | sed 's/^ *//')"
	is "and nothing of it arrives" "$before" "$(arrived)"
done
expect open client server tcp 7000
expect open world server tcp 80

"$POLLOAD" apply open.bpf.o >/dev/null || bail "apply"
for family in 4 6; do
	declare -n at=v$family
	is "where the host may, the same process opens it, as itself (v$family)" open \
		"$(raw connect tcp "${at[server]}" 7000 --timeout 20000)"
done
settled
before=$(arrived)
raw connect tcp "${v4[server]}" 7000 --foreign 192.0.2.9 --timeout 400 >/dev/null
[ "$before" != "$(arrived)" ]
is "and what it sends is seen to arrive" 0 $?
finish
