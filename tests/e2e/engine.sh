# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-only
#
# What tests with a Docker engine of their own share; they read lib.sh first.  The engine is
# Debian's, unpacked and not installed; its images are made from a static busybox.
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


# Where the engine looks for plugins is one place on a host; here it is this test's.
mkdir -p dk/data dk/exec dk/run /run/docker
mount --bind dk/run /run/docker
plugin=/run/docker/plugins/polc.sock
echo '{}' >dk/config
live_restore=--live-restore
engine_start() {
	dockerd --data-root "$work/dk/data" --exec-root "$work/dk/exec" --pidfile "$work/dk/pid" -H "$DOCKER_HOST" \
		--config-file "$work/dk/config" --shutdown-timeout 120 --storage-driver overlay2 --exec-opt native.cgroupdriver=cgroupfs \
		${live_restore:+"$live_restore"} --bip "${bip:-10.88.0.1/16}" --default-address-pool base=10.89.0.0/16,size=24 \
		--ipv6 --fixed-cidr-v6 fd88::/64 >>dk/log 2>&1 &
	engine=$!
	for _ in {1..900}; do
		[ "$(curl -s --unix-socket dk/sock http://d/_ping 2>/dev/null)" = OK ] && return
		kill -0 "$engine" 2>/dev/null || break
		sleep 0.1
	done
	bail "no engine: $(tail -n 3 dk/log)"
}

# As its unit has it: with the capabilities that it names and no others.
capabilities=-all$(sed -n 's/^CapabilityBoundingSet=/ /; T; s/ CAP_/,+/g; p' "$e2e_tree/container/polc-agent.service.in" |
	tr '[:upper:]' '[:lower:]')
agent_start() { # answers; the one before may have been killed
	for _ in {1..600}; do
		pgrep -x polc-agent >/dev/null || break
		sleep 0.05
	done
	setpriv --bounding-set "$capabilities" --no-new-privs "$agent" --docker "$work/dk/sock" --plugin "$plugin" >>agent.log 2>&1 &
	agent_pid=$!
	for _ in {1..600}; do
		curl -s -m 5 --unix-socket "$plugin" -d '' http://p/Plugin.Activate >/dev/null && return
		kill -0 "$agent_pid" 2>/dev/null || break
		sleep 0.05
	done
	bail "no agent: $(tail -n 5 agent.log)"
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

# Denied, or nobody is there: each try takes a second, so all go on until closed_so_far looks.
closed() { # FROM ADDRESS PORT...
	local from=$1 address=$2 port tries=""
	shift 2
	for port; do tries+="printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | nc -w 1 $address $port & "; done
	"$docker" exec "$from" sh -c "$tries wait" >"closed.${#closing[@]}" 2>/dev/null &
	closing+=("$! $phase: $from to $address ports $*: closed")
}
closing=()

closed_so_far() {
	local i
	for i in "${!closing[@]}"; do
		wait "${closing[i]%% *}"
		is "${closing[i]#* }" "" "$(cat "closed.$i")"
	done
	closing=()
}

images() {
	mkdir -p rootfs/bin rootfs/www
	echo hello >rootfs/www/hello
	cp "$busybox" rootfs/bin/busybox
	for program in sh nc sleep httpd wget mkdir; do ln -s busybox "rootfs/bin/$program"; done
	printf '#!/bin/sh\nbusybox httpd -p 81 -h /www; exec busybox httpd -f -p 80 -h /www\n' >rootfs/bin/serve
	# shellcheck disable=SC2016 # expanded in the container
	printf '#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9 10; do nc -w 1 "$1" 99 & done; exec sleep 1000\n' >rootfs/bin/early
	chmod +x rootfs/bin/serve rootfs/bin/early
	tar -C rootfs -c . | "$docker" import - box:1 >/dev/null || bail "docker import"
	tar -C rootfs -c . | "$docker" import -c 'LABEL app=client' - labelled:1 >/dev/null || bail "docker import"
}

entries=${ENTRIES:-$e2e_build/tests/tools/entries}
# What there is on the host: pins, entries of maps, interfaces, routes, namespaces.  Flows that
# have ended are no endpoint's and stay until somebody needs their place.
all_there_is() {
	find bpf -printf '%P\n' | sort
	"$entries" "$POLC_BPFFS" | grep -Ev '/(ct|events|drops|rule_hits|limits|frag|rings?|watch)[^/]* |^(ct|events|drops|frag|watch)[^/]* '
	ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort
	ip route
	ip -6 route | grep -v "dev docker0" # the engine adds one more when it comes again
	ip neigh show nud permanent | sort
}
