#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What comes back from a backend and is no whole answer: in fragments; errors, of this host, of routers and of
# the backend; and two VIPs over the same backends, whose answers are told apart.
. "$(dirname "$0")/lib.sh"

container b1 1 "app: web"
container b2 2 "app: web"
container in 4 "app: client"
outside client
for vip in 10 11; do
	inside client ip route add 198.51.100.$vip via 192.0.2.1
	inside client ip -6 route add 2001:db8:2::$vip via 2001:db8:1::1
done
serve b1 udp 8053
serve b2 udp 8053
serve client tcp 8080

compile answers <<'POL'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint web = app == "web";
policy web { allow from { world, [app == "client"] } on udp 8053; }
policy client on [app == "client"] { allow to { names, single, far, far6, silent, silent6 } on tcp 80, udp 53, udp 54, udp 55; }
service names { vip 198.51.100.10, 198.51.100.11, 2001:db8:2::10, 2001:db8:2::11 on udp 53; backend web on udp 8053; }
service single { vip 198.51.100.10, 198.51.100.11 on udp 54; backend 10.66.1.2 on udp 8053; }
service far { vip 198.51.100.10 on tcp 80; backend 192.0.2.7 on tcp 8080; }
service far6 { vip 2001:db8:2::10 on tcp 80; backend 2001:db8:1::7 on tcp 8080; }
service silent { vip 198.51.100.10 on udp 55; backend 192.0.2.7 on udp 8055; }
service silent6 { vip 2001:db8:2::10 on udp 55; backend 2001:db8:1::7 on udp 8055; }
POL
host_file b1 b2 in >host.yaml
run "$POLLOAD" apply answers.bpf.o -H host.yaml
is "apply" 0 "$code"
[ "$code" = 0 ] || echo "# $err"

# ---- fragments --------------------------------------------------------------------------------
# Questions are whole, as they must be to a VIP; answers are not, since their routes say so.
echoes() { # WHO VIP PORT OPTION...: how a stream ended
	local n how
	read -r n how < <(inside "$1" "$PROBE" stream "$2" "$3" --for 1 --timeout "${patience:-5000}" "${@:4}")
	[ "${n:-0}" -gt 0 ] && echo "$how" || echo "nothing, $how"
}
smaller() { # WHO ROUTE-OPTION...: all its routes by a gateway
	local route family
	for family in -4 -6; do
		while read -r route; do
			# shellcheck disable=SC2086 # words
			inside "$1" ip $family route change $route "${@:2}"
		done < <(inside "$1" ip $family route show | grep ' via ' | sed 's/ proto [a-z]*//; s/ pref medium//')
	done
}
smaller b1 mtu lock 1300
smaller b2 mtu lock 1300
for who in client in; do
	for vip in 198.51.100.10 2001:db8:2::10; do
		is "$who: an answer of $vip in fragments" open "$(echoes $who $vip 53 --proto udp --size 1400)"
	done
done

# ---- errors --------------------------------------------------------------------------------------
is "nothing is lost to a policy so far" "" "$("$POLLOAD" status | grep 'drops .*policy')"
for vip in 198.51.100.10 2001:db8:2::10; do
	is "to $vip as large as it gets" open "$(echoes in $vip 80 --size 50000)"
done
smaller client mtu lock 1280 advmss 1400
ip link set up0 mtu 1300
for vip in 198.51.100.10 2001:db8:2::10; do
	is "to $vip by a way that is too small, which this host says" open "$(echoes in $vip 80 --size 50000)"
done
ip link set up0 mtu 1500
word_of() { # WHAT WORD COMMAND...
	is "$1" "$2" "$("${@:3}")"
}
for vip in 198.51.100.10 2001:db8:2::10; do
	word_of "nobody listens at the backend of $vip, which says so" refused \
		inside in "$PROBE" connect udp $vip 55 --timeout 5000
done

# ---- two VIPs, one port of the client ----------------------------------------------------------------
for who in client in; do
	for port in 4001 4002 4003 4004; do
		for vip in 198.51.100.10 198.51.100.11; do
			word_of "$who: $vip from port $port" open \
				inside $who "$PROBE" connect udp $vip 53 --sport $port --timeout 5000
		done
	done
	for vip in 2001:db8:2::10 2001:db8:2::11; do
		word_of "$who: $vip from port 4001" open \
			inside $who "$PROBE" connect udp $vip 53 --sport 4001 --timeout 5000
	done
	word_of "$who: 198.51.100.10, whose service has one backend" open \
		inside $who "$PROBE" connect udp 198.51.100.10 54 --sport 4010 --timeout 5000
	word_of "$who: 198.51.100.11 gets no answers of the other" timeout \
		inside $who "$PROBE" connect udp 198.51.100.11 54 --sport 4010 --timeout 400
	word_of "$who: from another port it does" open \
		inside $who "$PROBE" connect udp 198.51.100.11 54 --sport 4011 --timeout 5000
done
finish
