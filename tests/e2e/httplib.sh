# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What several tests of HTTP rules do; after lib.sh.

# Applies one.bpf.o and two.bpf.o in turn beside loads, which run in the background until there is a file `stop`.
swap_beside() { # TIMES PID...
	local i times=$1
	shift
	for ((i = 1; i <= times; i++)); do
		"$POLLOAD" apply two.bpf.o >/dev/null || not_ok "apply $i of two"
		"$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply $i of one"
	done
	: >stop
	wait "$@"
}

# Two connections from one port, of which the first leaves TIME_WAIT on the proxy's side.  The second one's
# SYN is answered at once: one that is not is repeated, and the client's kernel counts that.
again() { # WHAT FROM URL LOCALPORT; FROM host: this host
	local what=$1 from=$2 url=$3 port=$4 run=(inside "$2") repeated left first second
	[ "$from" != host ] || run=()
	closing_request() {
		"${run[@]}" curl -s -o /dev/null -m 5 -w '%{http_code}' --local-port "$port" -H 'Connection: close' "$url"
	}
	# Now and then it is the client who closes first: then from another port.
	for _ in 1 2 3 4 5; do
		first=$(closing_request)
		left=$(ss -Htn state time-wait "dport = :$port" | wc -l)
		[ "$first $left" = "200 0" ] || break
		port=$((port + 100))
	done
	repeated=$("${run[@]}" nstat -asz TcpExtTCPSynRetrans | awk 'END { print $2 }')
	second=$(closing_request)
	repeated=$(($("${run[@]}" nstat -asz TcpExtTCPSynRetrans | awk 'END { print $2 }') - repeated))
	is "$what, from a port that the proxy closed first: again, at the first SYN" "200 200, TIME_WAIT 1, repeated 0" \
		"$first $second, TIME_WAIT $left, repeated $repeated"
}
