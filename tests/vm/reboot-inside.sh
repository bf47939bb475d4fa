#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Part of reboot.sh: what runs in its machine, /vm/inside there.
#
#	inside attack	of vm-attack.service, before polload.service: containers and a machine outside, without an
#			interface yet, which send what is denied; what arrives is counted
#	inside plug	of vm-plug.service, after network-pre.target: their interfaces, and their servers
#	inside stage	of vm-stage.service, when the machine is up: what is to be seen of this boot, and the next
# shellcheck disable=SC2086 # $units and $daemons are names
set -u
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd /vm || exit 99

declare -A v4=([client]=10.66.1.2 [server]=10.66.2.2 [stranger]=10.66.3.2 [world]=192.0.2.7)
declare -A v6=([client]=fd66:0:0:1::2 [server]=fd66:0:0:2::2 [stranger]=fd66:0:0:3::2 [world]=2001:db8:1::7)
vip4=198.18.0.80 vip6=2001:db8:3::80
units="polproxy.service polload.service polload-watch.service polload-health.service polload-metrics.service polc-agent.service"
daemons=${units/polload.service /}

inside() { # NAME COMMAND...
	local name=$1
	shift
	nsenter --net="/run/netns/$name" "$@"
}

# ---- who sends and who is sent to ---------------------------------------------------------------

count_in() { # NAME MATCH...: counter of all that a machine gets of it, from its first packet on
	local name=$1
	shift
	inside "$name" nft "table inet seen {
		counter c { packets 0 bytes 0; }
		chain in { type filter hook input priority 200;
		$(printf '%s counter name c\n' "$@")
		}
		}"
}

sends() { # NAME ADDRESS PORT [OPTION...]: all the time, whether it has an interface or not
	local name=$1
	shift
	# shellcheck disable=SC2016 # of the inner shell
	inside "$name" setsid bash -c 'while :; do ./probe repeat udp "$@" --timeout 1 --interval 300; sleep 0.3; done' \
		- "$@" --for 10000 >/dev/null 2>&1 </dev/null &
}

attack() {
	local name a
	# shellcheck disable=SC2016 # of the inner shell
	for name in client server stranger world; do
		ip netns add $name
		inside $name sh -c 'for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done'
	done
	ln -s /proc/1/ns/net /run/netns/host
	# What Docker's containers send has port 54, too.
	count_in server 'udp dport { 54, 9999 }' 'udp dport 53 ip saddr 10.66.3.2' 'udp dport 53 ip6 saddr fd66:0:0:3::2'
	count_in stranger 'udp dport 53'
	count_in world 'udp dport { 53, 9999 }'
	count_in host 'udp dport 9999'
	for a in 10.66.2.2 fd66:0:0:2::2; do sends client $a 54; sends stranger $a 53; done
	for a in 192.0.2.7 2001:db8:1::7; do sends client $a 53; sends stranger $a 53; done
	for a in 10.66.1.1 fd66:0:0:3::1; do sends client $a 9999; sends stranger $a 9999; done
	for a in 10.66.3.2 fd66:0:0:3::2; do sends server $a 53; sends world $a 53; sends host $a 53; done
	for a in server world; do sends stranger "${v4[$a]}" 9999 --foreign 198.51.100.9; done
	sends stranger 10.66.2.2 54 --foreign 10.66.1.2
	sends stranger fd66:0:0:3::1 9999 --foreign fe80::77
}

link() { # NAME NUMBER
	local dev=v-$1 gw4=10.66.$2.1 gw6=fd66:0:0:$2::1
	[ "$1" != world ] || { dev=up0 gw4=192.0.2.1 gw6=2001:db8:1::1; }
	ip link add "$dev" type veth peer name eth0 netns "$1"
	inside "$1" sh -c "ip link set lo up; ip link set eth0 up; ip addr add ${v4[$1]}/24 dev eth0;
		ip addr add ${v6[$1]}/64 dev eth0 nodad"
	ip link set "$dev" up
	ip addr add "$gw4/24" dev "$dev"
	ip addr add "$gw6/64" dev "$dev" nodad
	inside "$1" sh -c "ip route add default via $gw4; ip route add default via $gw6"
}

listens() { # NAME PROTOCOL PORT
	local a
	for a in "${v4[$1]}" "${v6[$1]}"; do inside "$1" setsid ./probe listen "$2" "$a" "$3" >/dev/null 2>&1 </dev/null & done
}

plug() {
	local p a
	for p in 80 7000 8080 8081 8082; do listens server tcp $p; done
	link server 2
	link client 1
	link stranger 3
	link world 0
	# 198.51.100.7 is anybody; what is from 203.0.113.9 the filter drops.
	inside world sh -c "ip addr add 198.51.100.7/32 dev lo; ip addr add 203.0.113.9/32 dev lo
		ip addr add 2001:db8:9::7/128 dev lo; ip addr add 2001:db8:bad::9/128 dev lo"
	ip route add default via 192.0.2.7
	ip route add default via 2001:db8:1::7
	# Its addresses are there now.
	for a in 10.66.2.2 fd66:0:0:2::2; do inside server setsid ./http serve $a 8088 >/dev/null 2>&1 </dev/null & done
	for p in 80 7000 8080 8081 8082; do listens server tcp $p; done
	./probe listen tcp 192.0.2.1 22 >/dev/null 2>&1 </dev/null &
}

# ---- what is said -------------------------------------------------------------------------------

say() { echo "$*" >/dev/ttyS0; }

is() { # WHAT EXPECTED SEEN
	local n
	n=$(($(cat tests 2>/dev/null) + 1))
	echo $n >tests
	if [ "$2" = "$3" ]; then
		say "ok $n - $phase: $1"
	else
		say "not ok $n - $phase: $1"
		say "# expected: ${2//$'\n'/$'\n'#   }"
		say "# seen:     ${3//$'\n'/$'\n'#   }"
	fi
}

becomes() { # WHAT EXPECTED COMMAND...: at last, or never: this machine may be slow
	local i seen
	for ((i = 0; i < 150; i++)); do
		seen=$("${@:3}" 2>&1)
		[ "$seen" != "$2" ] || break
		sleep 0.4
	done
	is "$1" "$2" "$seen"
}

works() { # WHAT COMMAND...
	local what=$1 said
	shift
	said=$("$@" 2>&1 </dev/null) && said=
	is "$what" "" "$said"
}

# ---- what is looked at ----------------------------------------------------------------------------

counted() { # NAME
	inside "$1" nft list counter inet seen c | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}
arrived() { echo "server $(counted server), stranger $(counted stranger), world $(counted world), host $(counted host)"; }
nobody="server 0, stranger 0, world 0, host 0"
reached() { arrived | grep -o '[1-9][0-9]*' | wc -l; }
status() { polload status --json | jq -c "$1"; }
sent() { [ "$(status '[.guard_drops, (.drops // [] | .[].packets)] | add')" -gt 20 ] && echo yes; }

try() { # FROM ADDRESS PORT [OPTION...]
	inside "$1" ./probe connect tcp "$2" "$3" --timeout 2000 "${@:4}"
}
both() { # FROM PORT: to the server, IPv4 and IPv6
	echo "$(try "$1" 10.66.2.2 "$2") $(try "$1" fd66:0:0:2::2 "$2")"
}
asked() { # PATH
	local a
	for a in 10.66.2.2 fd66:0:0:2::2; do
		printf 'GET %s HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n' "$1" |
			inside client timeout 8 ./http ask $a 8088 --timeout 3000 | sed -n '1s/^HTTP.1.1 \([0-9]*\).*/\1/p'
	done | xargs
}
served() { # a service, as anybody outside and as one whom the filter drops
	echo "$(try world $vip4 80 --source 198.51.100.7) $(try world $vip6 80 --source 2001:db8:9::7)" \
		"$(try world $vip4 80 --source 203.0.113.9) $(try world $vip6 80 --source 2001:db8:bad::9)"
}
docker_reaches() { # PORT
	docker exec client /probe connect tcp 10.66.2.2 "$1" --timeout 2000
}

enforced() { # one | two
	local open=8080 closed=8081
	[ "$1" = one ] || { open=8081 closed=8080; }
	becomes "policy $1: what it allows" "open open" both client $open
	is "policy $1: what it does not" "timeout timeout" "$(both client $closed)"
	is "nor what a stranger asks" "timeout timeout" "$(both stranger $open)"
	becomes "HTTP: a request that may be" "200 200" asked /hello
	is "HTTP: one that may not" "403 403" "$(asked /secret)"
	becomes "a service answers, and a filter drops" "open open timeout timeout" served
}

each_is() { # PROPERTY UNIT...
	local u
	for u in "${@:2}"; do echo "${u%.service} $(systemctl show -P "$1" "$u")"; done
}
all_active() { # UNIT...
	for u; do echo "${u%.service} active"; done
}
units_are_up() {
	becomes "every unit is active" "$(all_active $units)" each_is ActiveState $units
	becomes "and stays so" "running" systemctl is-system-running
}
proxies() { # whose they are
	local pid
	for pid in $(pgrep -x polproxy); do sed 's/^0:://' "/proc/$pid/cgroup"; done | sort -u | xargs
}
when() { # UNIT PROPERTY: microseconds since the kernel began
	systemctl show -P "$2Monotonic" "$1.service"
}
in_order() { # NUMBER...: do they grow?
	printf '%s\n' "$@" | sort -n -c 2>/dev/null && [ "$1" -gt 0 ] && echo yes
}

booted() { # one | two: what is to be seen of every boot with a good policy
	units_are_up
	is "not one denied packet has arrived, of those who have sent since before polload.service" "$nobody" "$(arrived)"
	is "they began, then the policy took force, then came their interfaces" yes "$(in_order \
		"$(when vm-attack ExecMainStartTimestamp)" "$(when vm-attack ExecMainExitTimestamp)" \
		"$(when polload ExecMainStartTimestamp)" "$(when polload ExecMainExitTimestamp)" \
		"$(when vm-plug ExecMainStartTimestamp)")"
	is "and the proxy was there before the policy, and Docker after the agent" "yes yes" \
		"$(in_order "$(when polproxy ActiveEnterTimestamp)" "$(when polload ExecMainStartTimestamp)") $(
			in_order "$(when polc-agent ActiveEnterTimestamp)" "$(when docker ExecMainStartTimestamp)")"
	becomes "they do send" yes sent
	becomes "nothing is waited for" '""' status .waiting
	works "polload status has nothing to say" polload status
	is "the last good policy is in force" "[\"$1.pol\",true,null]" "$(status '[.policy, .guard, .lockdown]')"
	is "the only proxy is that of its unit" /system.slice/polproxy.service "$(proxies)"
	enforced "$1"
	becomes "Docker has started its container again" client running
	becomes "which reaches what it may" open docker_reaches 7000
	is "and not what it may not" timeout "$(docker_reaches 8082)"
	is "and still not one denied packet" "$nobody" "$(arrived)"
}
running() { docker ps --format '{{.Names}}' | sort | xargs; }

# ---- a boot, and what it ends with -----------------------------------------------------------------

next() { # STAGE
	echo "$1" >stage
	sync
}

stage_1() {
	phase="without a policy"
	becomes "every machine gets what it should not: this test would notice" 4 reached
	phase="begun"
	works "apply" polload apply one.bpf.o -H host.yaml
	works "the units are enabled and started" systemctl --quiet enable --now $units
	units_are_up
	becomes "the only proxy is that of its unit, the one that the apply had started is gone" \
		/system.slice/polproxy.service proxies
	enforced one
	works "Docker" systemctl --quiet enable --now docker.service
	works "an image" sh -c 'docker import box.tar box:1'
	works "a network of polc" docker network create -d polc --subnet 10.90.0.0/24 --ipv6 --subnet fd90::/64 one
	works "a container that sends what is denied, restarted always" docker run -d --name client --restart always \
		--label app=client --network one box:1 /probe repeat udp 10.66.2.2 54 --timeout 1 --interval 300
	becomes "it reaches what it may" open docker_reaches 7000
	next 2
	systemctl reboot
}

pid_of() { systemctl show -P MainPID "$1"; }
other_pid() { # UNIT PID: is another one main there?
	local now
	now=$(pid_of "$1")
	[ "$now" != 0 ] && [ "$now" != "$2" ] && [ "$(systemctl show -P ActiveState "$1")" = active ] && echo yes
}
killed() {
	local u pid
	for u in $daemons; do
		pid=$(pid_of "$u")
		kill -KILL "$pid"
		becomes "kill -KILL of ${u%.service}: started again" yes other_pid "$u" "$pid"
	done
}
restarted() {
	local u pid
	for u in $daemons; do
		pid=$(pid_of "$u")
		works "systemctl restart ${u%.service}" systemctl restart "$u"
		becomes "and it is another" yes other_pid "$u" "$pid"
	done
	works "systemctl restart polload" systemctl restart polload
	works "systemctl reload polc-agent" systemctl reload polc-agent
}

stage_2() {
	local u
	phase="rebooted"
	booted one
	phase="restarted"
	restarted
	enforced one
	phase="killed"
	killed
	enforced one
	ip link del v-client
	link client 1
	becomes "an interface that comes later is taken in" "open open" both client 8080
	becomes "and so is Docker's container" open docker_reaches 7000
	phase="stopped"
	works "systemctl stop polproxy" systemctl stop polproxy
	is "HTTP goes nowhere" "" "$(asked /hello)"
	is "the rest goes on" "open open" "$(both client 8080)"
	works "systemctl start polproxy" systemctl start polproxy
	works "systemctl stop, all of them" systemctl stop $units
	is "what was in force is in force" "open open timeout timeout" "$(both client 8080) $(both client 8082)"
	works "systemctl start, all of them" systemctl start $units
	units_are_up
	enforced one
	works "polload status has nothing to say" polload status
	is "and not one denied packet in all of this" "$nobody" "$(arrived)"
	is "no unit has failed" "" "$(systemctl list-units --failed --plain --no-legend)"
	next 3
	# All that is kept of it has to be on the disk when apply says so.
	polload apply two.bpf.o >/dev/null
	echo b >/proc/sysrq-trigger
}

echoes() { # more of them than so many
	[ "$(cat echoes 2>/dev/null || echo 0)" -gt "$1" ] && echo yes
}
stage_3() {
	local before since
	phase="reset right after an apply"
	booted two
	phase="upgraded"
	inside client ./probe stream 10.66.2.2 7000 --interval 50 --timeout 20000 --count echoes >/dev/null 2>&1 </dev/null &
	becomes "a connection" yes echoes 3
	in_force() { find /sys/fs/bpf/polc -mindepth 1 ! -name '*.debug' -printf '%p %i\n' | sort; }
	before=$(in_force)
	since=$(when polload ActiveEnterTimestamp)
	pids=$(each_is MainPID $daemons)
	works "dpkg installs the next version" sh -c 'dpkg -i next/*.deb'
	is "the same programs are in force" "$before" "$(in_force)"
	is "polload.service has not run again" "$since" "$(when polload ActiveEnterTimestamp)"
	becomes "every daemon is another" "" comm -12 <(echo "$pids") <(each_is MainPID $daemons)
	units_are_up
	becomes "the connection goes on" yes echoes "$(($(cat echoes) + 3))"
	enforced two
	is "not one denied packet" "$nobody" "$(arrived)"
	next 4
	# Half a block of the object that is kept is gone.
	dd if=/dev/zero of=/var/lib/polc/good/policy.bpf.o bs=2048 seek=2 count=1 conv=notrunc 2>/dev/null
	systemctl reboot
}

stage_4() {
	phase="booted with a damaged object"
	becomes "the machine is up" degraded systemctl is-system-running
	is "polload.service has failed, and no other" polload.service \
		"$(systemctl list-units --failed --plain --no-legend | awk '{ print $1 }' | xargs)"
	is "polload status: lockdown" '[null,"pool"]' "$(status '[.policy, .lockdown]')"
	is "nothing has arrived" "$nobody" "$(arrived)"
	is "nor does what a policy would allow" 0 "$(both client 8081 | grep -c open)"
	is "this host is reached" open "$(inside world ./probe connect tcp 192.0.2.1 22 --timeout 3000)"
	works "apply lifts it" polload apply two.bpf.o -H host.yaml
	works "and its unit starts" systemctl restart polload.service
	units_are_up
	enforced two
	# Docker does not try again what it could not start.
	works "a container that was refused starts" docker start client
	becomes "and reaches what it may" open docker_reaches 7000
	is "and nothing has arrived" "$nobody" "$(arrived)"

	phase="removed"
	works "dpkg purges the packages" dpkg --purge polc-cni polc-agent polproxy polload
	is "nothing of them runs" "" "$(pgrep -a '^pol(load|proxy|c)')"
	is "no unit is left" "" "$(systemctl list-units --all --plain --no-legend 'pol*' | grep -v ' not-found ')"
	is "nothing is in force, and nothing kept" "" \
		"$(find /sys/fs/bpf/polc /var/lib/polc /run/polc 2>/dev/null; nft list tables | grep polc; tc qdisc show | grep clsact)"
	becomes "and nothing is judged" 4 reached
	next end
	say "1..$(cat tests)"
	systemctl poweroff
}

stage() {
	local now
	now=$(cat stage)
	say "== boot $now, kernel $(uname -r), $(systemctl --version | head -n 1)"
	systemctl is-system-running --wait >/dev/null
	"stage_$now"
}

case ${1:-} in
attack | plug | stage) "$1" ;;
*) exit 2 ;;
esac
