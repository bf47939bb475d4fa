# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-only
# Two policies and three containers that several tests use.  `one` and `two` differ in
# the port that a client may ask: 8080 or 8081.
shop_policy() { # PORT
	cat <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client {
    allow to server on tcp 7000, $1, 9090;
    allow to server on udp 53;
    allow to server on icmp echo-request, icmp6 echo-request;
}
policy server {
    allow from client on tcp 7000, $1;
    allow from client on udp 53;
    reject from client on tcp 9090;
    allow from client on icmp echo-request, icmp6 echo-request;
    allow from world on tcp 80;
}
END
}

shop_containers() {
	container client 1 "app: client"
	container server 2 "app: server"
	outside world
	serve server tcp 80
	serve server tcp 7000
	serve server tcp 8080
	serve server tcp 8081
	serve server tcp 9090
	serve server udp 53
	serve server udp 54
	host_file client server >host.yaml
}

shop_compile() {
	shop_policy 8080 | compile one
	shop_policy 8081 | compile two
}

shop_in_force() { # one | two: is exactly that one enforced?
	local a=open b=timeout
	[ "$1" = one ] || { a=timeout b=open; }
	expect "$a" client server tcp 8080
	expect "$b" client server tcp 8081
}

# A connection of each family from client to server, which never pauses.
declare -A shop_stream=()
shop_streams() {
	local family address
	for family in v4 v6; do
		[ $family = v4 ] && address=${v4[server]} || address=${v6[server]}
		nsenter --net="/run/netns/$test_name-client" "$PROBE" stream "$address" 7000 --interval 5 --timeout 30000 \
			--count "n.$family" >"end.$family" 2>&1 </dev/null &
		shop_stream[$family]=$!
	done
	shop_goes_on "the connections are there"
}
shop_echoes() { # v4 | v6: how many; it may be being written
	local n
	n=$(cat "n.$1" 2>/dev/null)
	echo "${n:-0}"
}
shop_goes_on() { # WHAT: both echo three times more
	local family n odd=''
	for family in v4 v6; do
		n=$(shop_echoes "$family")
		for _ in {1..600}; do
			[ "$(shop_echoes "$family")" -ge $((n + 3)) ] && continue 2
			sleep 0.05
		done
		odd+=" $family($(cat "end.$family"))"
	done
	is "$1" "" "$odd"
}
shop_streams_end() {
	kill "${shop_stream[@]}"
}
