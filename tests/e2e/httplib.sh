# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What several tests of HTTP rules do; after lib.sh.

# Applies one.bpf.o and two.bpf.o in turn beside loads, which run in the background until there is a file `stop`.
swap_beside() { # TIMES PID...
	local i times=$1
	shift
	for ((i = 1; i <= times; i++)); do
		# What the kernel verifies goes before the loads, or each apply would wait for them longer than it works.
		nice -n -10 "$POLLOAD" apply two.bpf.o >/dev/null || not_ok "apply $i of two"
		nice -n -10 "$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply $i of one"
	done
	: >stop
	wait "$@"
}

# Two connections from one port, of which the first leaves TIME_WAIT on the proxy's side: the client
# closes when it has seen the end.  The second one's SYN is answered at once: one that is not is repeated, and
# the client's kernel counts that.  LOCALPORT: none that the kernel or the proxy picks.
again() { # WHAT FROM ADDRESS PORT PATH LOCALPORT; FROM host: this host
	local what=$1 from=$2 address=$3 port=$4 path=$5 local_port=$6 run=(inside "$2") repeated left first second
	[ "$from" != host ] || run=()
	closing_request() {
		printf 'GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' "$path" |
			"${run[@]}" timeout 60 "$HTTP" ask "$address" "$port" --port "$local_port" --answers 1 --timeout 20000 |
			sed -n '1s/.* \([0-9]*\) .*/\1/p'
	}
	first=$(closing_request)
	for _ in {1..1500}; do
		left=$(ss -Htn state time-wait "dport = :$local_port" | wc -l)
		[ "$left" -eq 0 ] || break
		sleep 0.02
	done
	repeated=$("${run[@]}" nstat -asz TcpExtTCPSynRetrans | awk 'END { print $2 }')
	second=$(closing_request)
	repeated=$(($("${run[@]}" nstat -asz TcpExtTCPSynRetrans | awk 'END { print $2 }') - repeated))
	is "$what, from a port that the proxy closed first: again, at the first SYN" "200 200, TIME_WAIT 1, repeated 0" \
		"$first $second, TIME_WAIT $left, repeated $repeated"
}
