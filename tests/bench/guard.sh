#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What the guard of the boot order costs a packet that comes by an uplink and goes through the host's stack to an
# endpoint (experiment `guard`): one machine sends datagrams of an established flow as fast as they go; without and with in turn.
#
#	guard.sh
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
ms=500

container server 2 "app: server"
outside world
host_file server >host.yaml
compile bench <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint server = app == "server";
policy server { allow from world on udp 5000; }
END
"$POLLOAD" apply bench.bpf.o -H host.yaml >/dev/null || bail "apply"
# nobody answers, so that one direction is measured
inside server nft 'table inet sink { chain in { type filter hook prerouting priority -500; udp dport 5000 drop
	}
	}' || bail "nft"

a_packet() { # ADDRESS: ns
	inside world "$PROBE" flood "$1" 5000 --sport 1234 --for "$ms" | awk -v ms="$ms" '{ printf "%.0f\n", ms * 1e6 / $1 }'
}
for ((round = 1; round <= $(rounds 7 2); round++)); do
	for family in v4 v6; do
		to=${v4[server]}
		[ $family = v4 ] || to=${v6[server]}
		nft flush ruleset
		sample guard family=$family without packet ns "$round" "$(a_packet "$to")"
		"$POLLOAD" boot >/dev/null || bail "boot"
		sample guard family=$family with packet ns "$round" "$(a_packet "$to")"
	done
	nft flush ruleset
done
bench_done
