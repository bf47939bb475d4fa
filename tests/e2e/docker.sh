#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# polc-agent beside a Docker engine of this test's own: containers on its default bridge come, go,
# are renamed, join networks and namespaces; agent and engine are restarted.
. "$(dirname "$0")/lib.sh"
agent=$e2e_build/polc-agent
[ -x "$agent" ] || skip "$agent is not built"
servers=$e2e_build/servers
PATH=$servers/usr/sbin:$servers/usr/bin:$PATH
for program in dockerd containerd runc iptables jq curl; do
	command -v "$program" >/dev/null || skip "no $program"
done
docker=$servers/usr/bin/docker
[ -x "$docker" ] || docker=$(command -v docker)
busybox=$servers/bin/busybox
[ -x "$busybox" ] || skip "no static busybox in $servers"
export DOCKER_HOST=unix://$work/dk/sock

compile net <<'END'
default deny;
pool 10.88.0.0/16, 10.89.0.0/16, fd88::/64;
endpoint client = app == "client";
endpoint server = app == "server";
endpoint back = app == "server" and docker.network == "back";
policy client { allow to server on tcp 80; allow to back on tcp 81; }
policy server { allow from client on tcp 80; }
policy back { allow from client on tcp 81; }
END

# ---- an engine and an agent ---------------------------------------------------------------------

mkdir -p dk/data dk/exec
echo '{}' >dk/config
engine_start() {
	dockerd --data-root "$work/dk/data" --exec-root "$work/dk/exec" --pidfile "$work/dk/pid" -H "$DOCKER_HOST" \
		--config-file "$work/dk/config" --storage-driver overlay2 --exec-opt native.cgroupdriver=cgroupfs \
		--live-restore --bip 10.88.0.1/16 --default-address-pool base=10.89.0.0/16,size=24 \
		--ipv6 --fixed-cidr-v6 fd88::/64 >>dk/log 2>&1 &
	engine=$!
	for _ in {1..200}; do
		[ "$(curl -s --unix-socket dk/sock http://d/_ping 2>/dev/null)" = OK ] && return
		kill -0 "$engine" 2>/dev/null || break
		sleep 0.1
	done
	bail "no engine: $(tail -n 3 dk/log)"
}

agent_start() {
	"$agent" --docker "$work/dk/sock" >>agent.log 2>&1 &
	agent_pid=$!
}

until_is() { # EXPECTED COMMAND...: at last, or after 20 s
	local expected=$1
	shift
	for _ in {1..200}; do
		seen=$("$@" 2>/dev/null)
		[ "$seen" = "$expected" ] && return
		sleep 0.1
	done
}

names() {
	"$POLLOAD" endpoints --json | jq -r '[.[].name] | sort | join(" ")'
}

endpoints_are() { # LABEL NAMES
	until_is "$2" names
	is "$1" "$2" "$seen"
}

d() {
	"$docker" "$@" >>docker.out 2>&1 || not_ok "docker $*" "$(tail -n 2 docker.out)"
}

box() { # NAME LABELS... -- COMMAND...
	local name=$1 word options=()
	shift
	while [ "$1" != -- ]; do
		options+=(--label "$1")
		shift
	done
	shift
	d run -d --name "$name" "${options[@]}" "${run_options[@]}" box:1 "$@"
}
run_options=()

address() { # NAME [NETWORK]
	"$docker" inspect "$1" | jq -r ".[0].NetworkSettings.Networks.${2:-bridge} | .${3:-IPAddress}"
}

reach() { # open | closed FROM ADDRESS PORT
	local seen wanted=$1
	for _ in 1 2 3 4 5 6 7 8; do
		seen=closed
		case $(printf 'GET /hello HTTP/1.0\r\n\r\n' | "$docker" exec -i "$2" nc -w 1 "$3" "$4" 2>/dev/null) in
		*hello) seen=open ;;
		esac
		[ "$seen" = "$wanted" ] && break
		# what has to be closed is tried twice, what has to be open may take a moment
		[ "$wanted" = open ] || break
		sleep 0.5
	done
	is "$phase: $2 to $3 port $4" "$wanted" "$seen"
}

engine_start
mkdir -p rootfs/bin rootfs/www
echo hello >rootfs/www/hello
cp "$busybox" rootfs/bin/busybox
for program in sh nc sleep; do ln -s busybox "rootfs/bin/$program"; done
printf '#!/bin/sh\nbusybox httpd -p 81 -h /www; exec busybox httpd -f -p 80 -h /www\n' >rootfs/bin/serve
# shellcheck disable=SC2016 # expanded in the container
printf '#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9 10; do nc -w 1 "$1" 99 & done; exec sleep 1000\n' >rootfs/bin/early
chmod +x rootfs/bin/serve rootfs/bin/early
tar -C rootfs -c . | "$docker" import - box:1 >/dev/null || bail "docker import"
tar -C rootfs -c . | "$docker" import -c 'LABEL app=client' - labelled:1 >/dev/null || bail "docker import"

agent_start
sleep 0.3
kill -0 "$agent_pid" || bail "the agent ended: $(cat agent.log)"
# shellcheck disable=SC2119 # no endpoint yet
host_file >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null || bail "apply"

# ---- containers come ----------------------------------------------------------------------------

box server app=server -- serve
box client app=client -- sleep 1000
box other app=other -- sleep 1000
endpoints_are "three containers" "client/bridge other/bridge server/bridge"
to=$(address server) to6=$(address server bridge GlobalIPv6Address)
phase="started"
reach open client "$to" 80
reach open client "$to6" 80
reach closed client "$to" 81
reach closed other "$to" 80
reach closed other "$to6" 80
out=$("$POLLOAD" endpoints --json)
like "facts are labels" '"docker.network": "bridge"' "$out"

# What an image says of itself decides nothing.
d run -d --name boaster labelled:1 sleep 1000
endpoints_are "one of an image with labels" "boaster/bridge client/bridge other/bridge server/bridge"
phase="labels of an image"
reach closed boaster "$to" 80

# The first instruction sends what is denied: nothing arrives.
received() { # IPv4 packets that a container has got
	nsenter --net="/proc/$("$docker" inspect -f '{{.State.Pid}}' "$1")/ns/net" \
		sed -n 's/^Ip: [0-9]* [0-9]* \([0-9]*\) .*/\1/p' /proc/net/snmp
}
before=$(received server)
box hasty app=other -- early "$to"
endpoints_are "a hasty one" "boaster/bridge client/bridge hasty/bridge other/bridge server/bridge"
sleep 1
is "no packet of its first instruction has arrived" "$before" "$(received server)"
d rm -f hasty boaster other
endpoints_are "three have gone" "client/bridge server/bridge"

# ---- they change ----------------------------------------------------------------------------------

# Its connection outlives the new name.
"$docker" exec client sh -c "(echo 'GET /hello HTTP/1.0'; sleep 4; echo; sleep 1) | nc $to 80" >stream 2>&1 &
stream=$!
until_is 1 sh -c "\"$POLLOAD\" flows | grep -c established"
d rename client renamed
endpoints_are "renamed" "renamed/bridge server/bridge"
phase="renamed"
reach open renamed "$to" 80
wait "$stream"
like "an open connection goes on" hello "$(cat stream)"
d network create back
d network connect back server
d network connect back renamed
endpoints_are "on two networks" "renamed/back renamed/bridge server/back server/bridge"
back=$(address server back)
phase="a second network"
reach open renamed "$back" 81
reach closed renamed "$to" 81
d network disconnect back renamed
endpoints_are "left one" "renamed/bridge server/back server/bridge"

# A second container in the same namespace, with other labels: whose packet is it?  Nobody's.
run_options=(--network container:renamed)
box joiner app=other -- sleep 1000
endpoints_are "joined by one with other labels: closed" "server/back server/bridge"
phase="joined"
reach closed renamed "$to" 80
d rm -f joiner
endpoints_are "alone again" "renamed/bridge server/back server/bridge"
phase="alone again"
reach open renamed "$to" 80
box twin app=client -- sleep 1000
sleep 1
phase="joined by one of the same labels"
reach open twin "$to" 80
d rm -f twin
run_options=()

# ---- agent and engine restart ----------------------------------------------------------------------

kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
phase="no agent"
reach open renamed "$to" 80
reach closed renamed "$to" 81
d rm -f renamed
box late app=client -- sleep 1000
agent_start
endpoints_are "an agent that has missed something" "late/bridge server/back server/bridge"
phase="an agent again"
reach open late "$to" 80
reach closed late "$to" 81

kill "$engine"
wait "$engine"
phase="no engine"
is "containers run on, endpoints stay" "late/bridge server/back server/bridge" "$(names)"
engine_start
phase="an engine again"
reach open late "$to" 80
reach closed late "$to" 81
box fresh app=client -- sleep 1000
endpoints_are "and what comes then" "fresh/bridge late/bridge server/back server/bridge"
reach open fresh "$to" 80

# ---- many, and nothing is left --------------------------------------------------------------------

starting=()
for i in {1..8}; do
	box "m$i" app=client -- sleep 1000 &
	starting+=($!)
done
wait "${starting[@]}"
until_is 12 sh -c "\"$POLLOAD\" endpoints --json | jq length"
is "eight at once" 12 "$seen"
phase="of eight at once"
reach open m8 "$to" 80
d rm -f m1 m2 m3 m4 m5 m6 m7 m8 late fresh server
endpoints_are "all have gone" ""
kill "$agent_pid"
wait "$agent_pid"
is "the agent ends when asked" 0 "$?"
"$POLLOAD" remove >/dev/null || not_ok "remove"
kill "$engine"
wait "$engine"
finish
