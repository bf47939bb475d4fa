#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the guard of the boot order costs a packet that comes by an uplink and goes through the host's stack to an
# endpoint: one machine sends datagrams of an established flow as fast as they go; rounds with and without
# in turn, IPv4 and IPv6; medians. And what it costs an apply to be kept.
#
#	guard.sh [ROUNDS]
. "$(dirname "$0")/../e2e/lib.sh"
rounds=${1:-7} ms=1000

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

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
a_packet() { # ADDRESS: ns
	inside world "$PROBE" flood "$1" 5000 --sport 1234 --for "$ms" | awk -v ms="$ms" '{ printf "%.0f\n", ms * 1e6 / $1 }'
}
for ((i = 0; i < rounds; i++)); do
	for family in v4 v6; do
		[ $family = v4 ] && to=${v4[server]} || to=${v6[server]}
		nft flush ruleset
		a_packet "$to" >>"without.$family"
		"$POLLOAD" boot >/dev/null || bail "boot"
		a_packet "$to" >>"with.$family"
	done
	nft flush ruleset
	for how in audit ''; do # another policy each time, and so kept anew
		began=$(date +%s%N)
		"$POLLOAD" apply bench.bpf.o ${how:+--audit} >/dev/null || bail "apply"
		echo $((($(date +%s%N) - began) / 1000000)) >>anew
	done
	began=$(date +%s%N)
	"$POLLOAD" apply bench.bpf.o >/dev/null || bail "apply"
	echo $((($(date +%s%N) - began) / 1000000)) >>again
done
for family in v4 v6; do
	echo "guard, $family: $(median without.$family) ns a packet without, $(median with.$family) with"
done
echo "apply: $(median anew) ms when it is kept anew, $(median again) when it is kept already"
