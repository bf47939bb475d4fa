#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The demo: five containers, their host and its clients as network namespaces; a policy
# is compiled and put in force between them; connections are tried, and what
# happened is set beside what the policy says.  Then one of three backends of a service is drained and
# one killed while connections are open.
#
# Nothing of the machine itself is touched: every namespace belongs to a process
# of this script, the host of the demo has its own mount namespace and BPF file
# system, and all of it ends with those processes.
set -u
export LC_ALL=C

usage() {
	cat <<'END'
usage: demo.sh [--build DIR] [--policy FILE] [--no-kernel] [--keep]

  --build DIR    where polc, polload and tests/tools/probe are (build/)
  --policy FILE  another policy for the same containers (lang/examples/shop.pol)
  --no-kernel    only the table of what the policy says; needs no privilege
  --keep         wait for Enter before cleaning up, and say how to look around
END
}

tree=$(cd "$(dirname "$0")/../.." && pwd)
build=$tree/build
policy=$tree/lang/examples/shop.pol
kernel=yes
keep=no
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2; shift ;;
	--policy) policy=$2; shift ;;
	--no-kernel) kernel=no ;;
	--keep) keep=yes ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
build=$(cd "$build" && pwd) || exit 2
polc=${POLC:-$build/polc}
polload=${POLLOAD:-$build/polload}
probe=${PROBE:-$build/tests/tools/probe}
polproxy=${POLPROXY:-$build/polproxy}
http=${HTTP:-$build/tests/tools/http}
h2=${H2:-$build/tests/tools/h2}
: "${POLC_TEMPLATES:=$tree/bpf-templates}" "${POLC_INCLUDE:=$tree/include}"
export POLC_TEMPLATES POLC_INCLUDE

bold='' dim='' red='' green='' yellow='' off=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31;1m' green=$'\e[32m' yellow=$'\e[33m' off=$'\e[0m'
fi
title() { printf '\n%s%s%s\n\n' "$bold" "$1" "$off"; }
die() {
	printf '%sdemo: %s%s\n' "$red" "$1" "$off" >&2
	[ -z "${2:-}" ] || sed 's/^/    /' "$2" >&2
	exit "${3:-1}"
}

for program in "$polc" "$polload" "$polproxy" "$probe" "$http" "$h2"; do
	[ -x "$program" ] || die "$program is not there: run ./quickstart" "" 2
done

# ---- cleaning up ----------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/polc-demo.XXXXXX") || exit 3
pids=()
declare -A ns=()

cleanup() {
	local pid
	trap - EXIT INT TERM HUP
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	[ ${#pids[@]} = 0 ] || wait "${pids[@]}" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'printf "\ndemo: interrupted, cleaning up\n" >&2; exit 130' INT
trap 'exit 143' TERM HUP

# The example names no interface; the demo has an uplink.
if [ "$policy" = "$tree/lang/examples/shop.pol" ]; then
	cat "$policy" - >"$work/shop.pol" <<'END' || die "cannot write to $work"

# What scanners try at the api ends before the kernel has built a packet.
filter edge on uplink0 {
    drop from scanners on tcp 9090;
    pass;
}
END
	policy=$work/shop.pol
fi

# ---- who is who -------------------------------------------------------------------

# name, address 4, address 6, and how the flow language calls it
containers=(frontend api db frontend-2 frontend-3)
declare -A addr4=(
	[frontend]=10.66.1.2 [api]=10.66.1.3 [db]=10.66.1.4 [frontend-2]=10.66.1.5 [frontend-3]=10.66.1.6 [resolver]=10.66.9.53
	[office]=192.0.2.7 [visitor]=198.51.100.7 [scanner]=203.0.113.9
)
declare -A addr6=(
	[frontend]=fd66:0:0:1::2 [api]=fd66:0:0:1::3 [db]=fd66:0:0:1::4 [frontend-2]=fd66:0:0:1::5 [frontend-3]=fd66:0:0:1::6
	[resolver]=fd66:0:0:9::53
	[office]=2001:db8:1::7 [visitor]=2001:db8:2::7 [scanner]=2001:db8:bad::9
)
declare -A labels=(
	[frontend]='app=frontend,tier=web' [api]='app=api,tier=web' [db]='app=postgres,zone=a'
	[frontend-2]='app=frontend,tier=web' [frontend-3]='app=frontend,tier=web'
)
vip4=198.18.0.80 vip6=2001:db8:3::80
outside=(office visitor scanner resolver)

# from to protocol port, or from to METHOD path (of $web): everything worth trying, allowed or not
web=8080
flows=(
	"visitor frontend tcp 8080"
	"visitor frontend tcp 22"
	"visitor frontend ping"
	"visitor db tcp 5432"
	"office frontend tcp 8080"
	"office frontend ping"
	"office api tcp 9090"
	"office api tcp 8080"
	"scanner frontend tcp 8080"
	"scanner api tcp 9090"
	"frontend api tcp 8080"
	"frontend api GET /products/7"
	"frontend api DELETE /products/7"
	"frontend api GET /products/secret"
	"frontend api GET /admin"
	"frontend api tcp 9090"
	"frontend db tcp 5432"
	"frontend resolver udp 53"
	"frontend db ping"
	"api db tcp 5432"
	"api db tcp 22"
	"api resolver tcp 53"
	"api frontend tcp 8080"
	"api visitor tcp 443"
	"db resolver udp 53"
	"db resolver tcp 53"
	"db api tcp 8080"
	"db office tcp 443"
)

peer() { # NAME FAMILY: as a flow has it
	local address
	if [ "$2" = 4 ]; then address=${addr4[$1]}; else address=${addr6[$1]}; fi
	if [ -n "${labels[$1]:-}" ]; then
		echo "[${labels[$1]}]@$address"
	else
		echo "$address"
	fi
}

# ---- what the policy says ----------------------------------------------------------

field() { # NAME: the first such field of the JSON on standard input
	sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\{0,1\}\([^",}]*\).*/\1/p' | head -n 1
}

# Writes $work/said.N.FAMILY: "VERDICT RULE"
explain() { # NUMBER FAMILY FROM TO PROTO [PORT]
	local text verdict at on="$5 ${6:-}"
	case $5$2 in
	GET* | DELETE* | POST*) on="tcp $web $5 \"$6\"" ;;
	ping4) on="icmp echo-request" ;;
	ping6) on="icmp6 echo-request" ;;
	esac
	text=$(cd "$(dirname "$policy")" && "$polc" explain "$(basename "$policy")" --json \
		"from $(peer "$3" "$2") to $(peer "$4" "$2") on $on" 2>"$work/explain.$1.$2.err")
	[ $? -le 1 ] || die "polc explain failed" "$work/explain.$1.$2.err"
	verdict=$(field verdict <<<"$text")
	at=$(field rule_at <<<"$text")
	echo "$verdict ${at:--}" >"$work/said.$1.$2"
}

# ---- compile -------------------------------------------------------------------------

cd "$work" || exit 3
title "The policy"
sed -n '/^[^#]/,$p' "$policy" | sed "s/^/    ${dim}/; s/\$/${off}/"
object=$work/$(basename "${policy%.pol}").bpf.o
started=$(date +%s%N)
"$polc" "$policy" -o "$object" 2>"$work/polc.err" || die "polc does not compile it" "$work/polc.err"
took=$((($(date +%s%N) - started) / 1000000))
printf '\n    %s$ polc %s%s   %d ms, %d bytes\n' "$bold" "$(basename "$policy")" "$off" \
	"$took" "$(stat -c %s "$object")"

for i in "${!flows[@]}"; do
	# shellcheck disable=SC2086 # words
	for family in 4 6; do explain "$i" $family ${flows[$i]}; done
done

# ---- can we? ----------------------------------------------------------------------------

why_not=
if [ $kernel = no ]; then
	why_not="as told by --no-kernel"
elif [ "$(id -u)" != 0 ]; then
	why_not="this needs root"
elif ! said=$(unshare --net --mount true 2>&1); then
	why_not="no namespaces: ${said#unshare: }"
elif ! command -v ip >/dev/null; then
	why_not="the command ip (Debian: iproute2) is missing"
elif ! unshare --mount sh -c "mkdir -p '$work/bpf' && mount -t bpf bpf '$work/bpf'" 2>/dev/null; then
	why_not="the BPF file system cannot be mounted"
elif ! "$polload" check "$object" >/dev/null 2>"$work/check.err"; then
	why_not=$(head -n 1 "$work/check.err")
fi

# ---- the demo's network -------------------------------------------------------------------

# A namespace that lives as long as a process of ours.
holder() { # NAME [COMMAND FOR SETUP]
	# With us, should we be killed before we can clean up.
	setpriv --pdeathsig KILL unshare --net --mount \
		sh -e -c "${2:-:}; : >'$work/up.$1'; exec sleep 600" >"$work/$1.log" 2>&1 &
	ns[$1]=$!
	pids+=("$!")
	local n=0
	while [ ! -e "$work/up.$1" ]; do
		n=$((n + 1))
		[ $n -lt 3000 ] || die "the namespace of $1 does not come up" "$work/$1.log" 3
		sleep 0.02
	done
}
in_ns() { # NAME COMMAND...
	local pid=${ns[$1]}
	shift
	nsenter --net="/proc/$pid/ns/net" --mount="/proc/$pid/ns/mnt" \
		--root="/proc/$pid/root" --wd="/proc/$pid/root" -- "$@"
}

# The same as a process of its own, in the background: $! is the command itself.
started_in_ns() { # NAME COMMAND...
	local pid=${ns[$1]}
	shift
	exec setpriv --pdeathsig KILL \
		nsenter --net="/proc/$pid/ns/net" --mount="/proc/$pid/ns/mnt" \
		--root="/proc/$pid/root" --wd="/proc/$pid/root" -- "$@"
}

# polload on the demo's host. Waited for by `wait`, which a signal interrupts at once.
loaded() { # ARGUMENT...
	started_in_ns host timeout --foreground 60 "$polload" "$@" &
	pids+=("$!")
	wait "$!"
}

settings='echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up'

device_of() { # NAME: of at most 15 bytes
	echo "veth-${1/frontend-/front}"
}

attach_container() { # NAME
	local name=$1 dev
	dev=$(device_of "$name")
	in_ns host ip link add "$dev" type veth peer name eth0 netns "${ns[$name]}"
	in_ns host sh -e -c "
		ip address add 10.66.1.1/32 dev $dev
		ip address add fd66:0:0:1::1/128 dev $dev nodad
		ip link set $dev up
		ip route add ${addr4[$name]}/32 dev $dev
		ip -6 route add ${addr6[$name]}/128 dev $dev"
	in_ns "$name" sh -e -c "
		ip address add ${addr4[$name]}/32 dev eth0
		ip address add ${addr6[$name]}/128 dev eth0 nodad
		ip link set eth0 up
		ip route add 10.66.1.1 dev eth0
		ip route add default via 10.66.1.1
		ip -6 route add fd66:0:0:1::1 dev eth0
		ip -6 route add default via fd66:0:0:1::1"
}

attach_world() {
	in_ns host ip link add uplink0 type veth peer name eth0 netns "${ns[world]}"
	in_ns host sh -e -c "
		ip address add 100.64.0.1/30 dev uplink0
		ip address add 2001:db8:f::1/64 dev uplink0 nodad
		ip link set uplink0 up
		ip route add default via 100.64.0.2
		ip -6 route add default via 2001:db8:f::2"
	in_ns world sh -e -c "
		ip address add 100.64.0.2/30 dev eth0
		ip address add 2001:db8:f::2/64 dev eth0 nodad
		ip link set eth0 up
		ip route add 10.66.1.0/24 via 100.64.0.1
		ip route add $vip4 via 100.64.0.1
		ip -6 route add $vip6 via 2001:db8:f::1
		ip -6 route add fd66:0:0:1::/64 via 2001:db8:f::1"
	local who
	for who in "${outside[@]}"; do
		in_ns world sh -e -c "
			ip address add ${addr4[$who]}/32 dev lo
			ip address add ${addr6[$who]}/128 dev lo nodad"
	done
}

make_network() {
	local name
	holder host "$settings
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		mount -t bpf bpf '$work/bpf'"
	for name in "${containers[@]}" world; do
		holder "$name" "$settings"
	done
	for name in "${containers[@]}"; do
		attach_container "$name"
	done
	attach_world
}

endpoint_of() { # NAME
	case $1 in
	*-[0-9]) echo "$1" ;;
	*) echo "$1-1" ;;
	esac
}

write_host_file() {
	local name
	echo "host: demo"
	echo "uplinks: [uplink0]"
	echo "endpoints:"
	for name in "${containers[@]}"; do
		cat <<END
  - name: $(endpoint_of "$name")
    interface: $(device_of "$name")
    addresses: [${addr4[$name]}, "${addr6[$name]}"]
    labels: {$(sed 's/=/: /g; s/,/, /g' <<<"${labels[$name]}")}
END
	done
}

where() { # NAME: the namespace it lives in
	case $1 in
	office | visitor | scanner | resolver) echo world ;;
	*) echo "$1" ;;
	esac
}

serve() { # every destination of a flow, in both families
	local flow from to proto port family address key n
	declare -A seen=()
	for flow in "${flows[@]}"; do
		read -r from to proto port <<<"$flow"
		: "$from"
		case "$to $proto $port" in
		*" ping "*) continue ;;
		"api tcp $web" | *" "[A-Z]*) proto=http port=$web ;;
		esac
		for family in 4 6; do
			if [ $family = 4 ]; then address=${addr4[$to]}; else address=${addr6[$to]}; fi
			key=$to-$proto-$port-$family
			[ -z "${seen[$key]:-}" ] || continue
			seen[$key]=1
			if [ "$proto" = http ]; then
				started_in_ns "$(where "$to")" "$http" serve "$address" "$port" \
					--peers "$work/peers" --h2 "$h2" >"$work/listen.$key" 2>&1 &
				pids+=("$!")
				continue
			fi
			started_in_ns "$(where "$to")" "$probe" listen "$proto" "$address" "$port" \
				>"$work/listen.$key" 2>&1 &
			pids+=("$!")
		done
	done
	for key in "${!seen[@]}"; do
		n=0
		until grep -qs listening "$work/listen.$key"; do
			n=$((n + 1))
			[ $n -lt 3000 ] || die "no server: $key" "$work/listen.$key" 3
			sleep 0.02
		done
	done
}

# One request; its status.
ask() { # FROM SOURCE TARGET METHOD PATH
	local status
	status=$(printf '%s %s HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n' "$4" "$5" |
		started_in_ns "$(where "$1")" "$http" ask "$3" "$web" --answers 1 --timeout 50 |
		sed -n '1s/^HTTP\/1.1 \([0-9]*\).*/\1/p')
	echo "${status:-none}"
}

# All at once: a flow that is dropped takes as long as its patience.  One that is to be answered has more of it.
try_all() {
	local i family from to proto port source target words said patience tries=()
	for i in "${!flows[@]}"; do
		read -r from to proto port <<<"${flows[$i]}"
		for family in 4 6; do
			if [ $family = 4 ]; then
				source=${addr4[$from]} target=${addr4[$to]}
			else
				source=${addr6[$from]} target=${addr6[$to]}
			fi
			words=(connect "$proto" "$target" "$port")
			case $proto in
			ping) words=(ping "$target") ;;
			[A-Z]*)
				ask "$from" "$source" "$target" "$proto" "$port" >"$work/seen.$i.$family" &
				tries+=("$!")
				continue
				;;
			esac
			read -r said _ <"$work/said.$i.$family"
			patience=30000
			[ "$said" != deny ] || patience=2000
			started_in_ns "$(where "$from")" "$probe" "${words[@]}" \
				--source "$source" --timeout $patience >"$work/seen.$i.$family" 2>&1 &
			tries+=("$!")
		done
	done
	pids+=("${tries[@]}")
	wait "${tries[@]}" 2>/dev/null
}

# ---- the table ----------------------------------------------------------------------------

mismatches=0

paint() { # WORD WIDTH
	case $1 in
	allow | open | ok | 200) printf '%s%-*s%s' "$green" "$2" "$1" "$off" ;;
	MISMATCH) printf '%s%-*s%s' "$red" "$2" "$1" "$off" ;;
	*) printf '%s%-*s%s' "$yellow" "$2" "$1" "$off" ;;
	esac
}

# The words of the rule at FILE:LINE, if it is in the policy itself.
rule_text() { # FILE:LINE
	[ "${1%:*}" = "$(basename "$policy")" ] || return
	sed -n "${1##*:}"'{ s/#.*//; s/[[:space:]]*[;{]*[[:space:]]*$//; s/^[[:space:]]*//; p; }' "$policy"
}

row() { # FLOW FAMILY...: those for which the policy says the same
	local from to proto port said at seen family mark=ok i=$1
	read -r from to proto port <<<"${flows[$i]}"
	shift
	read -r said at <"$work/said.$i.$1"
	printf '    %-9s> %-9s %-21s %s' "$from" "$to" "$proto $port" "$(paint "$said" 9)"
	if [ -z "$why_not" ]; then
		for family in 4 6; do
			seen=-
			case " $* " in
			*" $family "*)
				seen=$(head -n 1 "$work/seen.$i.$family" 2>/dev/null)
				case $said/$seen in
				allow/open | allow/200 | deny/403 | deny/timeout | reject/refused | reject/unreachable) ;;
				*)
					mark=MISMATCH
					mismatches=$((mismatches + 1))
					;;
				esac
				;;
			esac
			paint "${seen:--}" 12
		done
		paint "$mark" 9
	elif [ $# = 1 ]; then
		printf 'IPv%s ' "$1"
	fi
	printf ' %s%-12s %s%s\n' "$dim" "$at" "$(rule_text "$at")" "$off"
}

print_table() {
	local i
	printf '    %s%-9s  %-9s %-21s %-9s' "$bold" from to on expected
	[ -n "$why_not" ] || printf '%-12s%-12s%-9s' "IPv4 seen" "IPv6 seen" ""
	printf ' %s%s\n' "by the rule" "$off"
	for i in "${!flows[@]}"; do
		if cmp -s "$work/said.$i.4" "$work/said.$i.6"; then
			row "$i" 4 6
		else
			row "$i" 4
			row "$i" 6
		fi
	done
}

count=$((${#flows[@]} * 2))

if [ -n "$why_not" ]; then
	title "What the policy says of $count flows, by the reference evaluator"
	print_table
	printf '\n%sBPF cannot be loaded here, so nothing was enforced: %s%s\n' "$yellow" "$why_not" "$off"
	exit 0
fi

make_network
write_host_file >host.yaml
title "The host"
sed "s/^/    ${dim}/; s/\$/${off}/" host.yaml
serve
export POLC_BPFFS=$work/bpf/polc POLC_STATE_DIR=$work/state
permit=()
[ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" != 0 ] || permit=(--allow-unprivileged-bpf)
# The demo's own, so that it ends with the demo; else polload would start it.
export POLC_PROXY_SOCKET=$work/proxy.sock
started_in_ns host "$polproxy" --control "$POLC_PROXY_SOCKET" --log "$work/access.log" >"$work/polproxy.out" 2>&1 &
pids+=("$!")
n=0
until [ -S "$POLC_PROXY_SOCKET" ]; do
	n=$((n + 1))
	[ $n -lt 3000 ] || die "polproxy does not start" "$work/polproxy.out" 3
	sleep 0.02
done
started=$(date +%s%N)
loaded apply "$object" -H "$work/host.yaml" "${permit[@]}" >"$work/apply.out" 2>&1 ||
	die "polload apply failed" "$work/apply.out"
took=$((($(date +%s%N) - started) / 1000000))
printf '\n    %s$ polload apply %s -H host.yaml%s   %d ms\n' "$bold" "$(basename "$object")" "$off" "$took"
sed "s/^/    /" "$work/apply.out"
try_all
title "$count real connections"
print_table

# ---- requests ---------------------------------------------------------------------------------

tried=("GET /products/7" "POST /products/7" "GET /admin" "GET /products/8")
wanted=(200 403 403 200)

# On one connection that stays: the status of each request, in order.
ask_http1() { # ADDRESS
	printf '%s HTTP/1.1\r\nHost: api\r\n\r\n' "${tried[@]}" |
		started_in_ns frontend "$http" ask "$1" "$web" --answers ${#tried[@]} --timeout 50 |
		sed -n 's/^HTTP\/1.1 \([0-9]*\).*/\1/p'
}
ask_http2() { # ADDRESS
	local i id=1
	for i in "${tried[@]}"; do
		printf 'request %d %s end\nwait %d\n' $id "$i" $id
		id=$((id + 2))
	done | started_in_ns frontend "$h2" ask "$1" "$web" | tr ' ' '\n' | sed -n 's/^[0-9]*:\([0-9]*\)$/\1/p'
}
ask_grpc() { # ADDRESS: the status of a call that is allowed, and of one that is not (7: permission denied)
	printf '%s\n' 'request 1 POST /shop.Orders/Get' '+ content-type: application/grpc' '+ te: trailers' \
		'data 1 end \0\0\0\0\x02hi' 'wait 1' 'request 3 POST /shop.Orders/Cancel' \
		'+ content-type: application/grpc' '+ te: trailers' 'data 3 end \0\0\0\0\0' |
		started_in_ns frontend "$h2" ask "$1" "$web" --want '1:grpc=0 3:grpc=7' |
		tr ' ' '\n' | sed -n 's/^[0-9]*:grpc=//p'
}
ask_websocket() { # ADDRESS: 101, and what was said comes back; 403 where no line says websocket
	printf 'GET /live HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n' |
		started_in_ns frontend "$http" ask "$1" "$web" --bytes 85 --timeout 50 |
		sed -n 's/^HTTP\/1.1 \([0-9]*\).*/\1/p; s/.*\(hello\)$/\1/p'
	printf 'GET /products/7 HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n' |
		started_in_ns frontend "$http" ask "$1" "$web" --answers 1 --timeout 50 |
		sed -n 's/^HTTP\/1.1 \([0-9]*\).*/\1/p'
}

one_connection() { # HOW WHAT WANTED...: by IPv4 and IPv6
	local how=$1 what=$2 family address mark line
	shift 2
	for family in 4 6; do
		if [ $family = 4 ]; then address=${addr4[api]}; else address=${addr6[api]}; fi
		ask_"$how" "$address" >"$work/asked"
		line=$(paste -sd' ' "$work/asked")
		mark=ok
		if [ "$line" != "$*" ]; then
			mark=MISMATCH
			mismatches=$((mismatches + 1))
		fi
		printf '    %-10s IPv%s  ' "$what" $family
		for line in $line; do paint "$line" 6; done
		paint $mark 0
		echo
	done
}

title "Requests, one connection a line"
printf '    %s\n' "$(printf '%s, ' "${tried[@]}" | sed 's/, $//')"
: >"$work/peers"
one_connection http1 HTTP/1.1 "${wanted[@]}"
one_connection http2 HTTP/2 "${wanted[@]}"
printf '\n    %s\n' 'gRPC calls of /shop.Orders/Get, /shop.Orders/Cancel: grpc-status'
one_connection grpc gRPC 0 7
printf '\n    %s\n' 'a websocket to /live, and what comes back; to /products/7'
one_connection websocket websocket 101 hello 403
printf '\n    the api saw connections from %s\n' "$(sort -u "$work/peers" | paste -sd' ')"
[ "$(sort -u "$work/peers" | paste -sd' ')" = "${addr4[frontend]} ${addr6[frontend]}" ] ||
	mismatches=$((mismatches + 1))

# ---- a service ----------------------------------------------------------------------------------

backends() { # the lines of `polload services` about backends: STATE WEIGHT CONNECTIONS HALF-OPEN PLACE NAME
	loaded services >"$work/services" 2>"$work/services.err" || die "polload services failed" "$work/services.err"
	awk '$6 ~ /^frontend-/' "$work/services"
}
becomes() { # AWK-CONDITION: of a backend's line, summed over both families; within a minute
	local n
	for ((n = 0; n < 1200; n++)); do
		[ "$(backends | awk "$1")" != yes ] || return 0
		sleep 0.05
	done
	die "this does not become so: $1" "$work/services"
}
checked() { # WORD... as it should be? then what was looked at
	local mark=ok
	[ "$1" = "$2" ] || { mark=MISMATCH mismatches=$((mismatches + 1)); }
	printf '    %s  %s\n' "$(paint $mark 0)" "$3"
}

# shellcheck disable=SC2016 # awk's
balance() {
	local n address streams=() server2=() had drained new left=0
	title "A service: one address, three backends; one drained and one killed while connections are open"
	for n in 2 3; do
		for address in "${addr4[frontend-$n]}" "${addr6[frontend-$n]}"; do
			started_in_ns "frontend-$n" "$probe" listen tcp "$address" 8080 >"$work/listen.f$n.$address" 2>&1 &
			pids+=("$!")
			[ $n != 2 ] || server2+=("$!")
		done
	done
	started_in_ns host "$polload" health >"$work/health" 2>&1 &
	pids+=("$!")
	becomes '$1 == "up" { n++ } END { if (n == 6) print "yes" }'
	for n in 1 2 3 4 5 6 7 8; do
		for address in "$vip4" "$vip6"; do
			started_in_ns world "$probe" stream "$address" 80 --interval 20 --timeout 30000 \
				--source "$([ "$address" = "$vip4" ] && echo "${addr4[visitor]}" || echo "${addr6[visitor]}")" \
				>"$work/stream.${#streams[@]}" 2>&1 &
			streams+=("$!")
		done
	done
	pids+=("${streams[@]}")
	becomes '{ n += $3 } END { if (n == 16) print "yes" }'
	printf '    %s$ polload services%s\n' "$bold" "$off"
	sed 's/^/    /' "$work/services"
	had=$(backends | awk '$6 == "frontend-2" { n += $3 } END { print n }')
	drained=$(backends | awk '$6 == "frontend-1" { n += $3 } END { print n }')

	printf '\n    %s$ polload service drain shop frontend-1%s\n' "$bold" "$off"
	loaded service drain shop frontend-1 >"$work/drain" 2>&1 || die "polload service drain failed" "$work/drain"
	printf '    %s$ kill ...%s   the server in frontend-2\n' "$bold" "$off"
	{ kill -KILL "${server2[@]}"; wait "${server2[@]}"; } 2>/dev/null
	becomes '$6 == "frontend-2" && $1 == "down" { n++ } END { if (n == 2) print "yes" }'
	sed 's/^/    /' "$work/health"
	for address in "$vip4" "$vip6"; do
		: >"$work/new.$address"
		for n in {1..20}; do # once, where the machine has time
			started_in_ns world "$probe" repeat tcp "$address" 80 --interval 2 --for 200 --timeout 30000 >>"$work/new.$address" &
			pids+=("$!")
			wait "$!"
			[ "$(awk '{ n += $1 } END { print n }' "$work/new.$address")" -le 20 ] || break
		done
	done
	backends >"$work/after"
	kill -TERM "${streams[@]}" 2>/dev/null
	wait "${streams[@]}" 2>/dev/null
	for n in "${!streams[@]}"; do
		grep -q ' open$' "$work/stream.$n" && left=$((left + 1))
	done
	read -r new _ <<<"$(cat "$work/new.$vip4" "$work/new.$vip6" | awk '{ n += $1; bad += $3 + $5 + $7 } END { print (bad ? "bad" : n) }')"
	echo
	checked $((16 - left)) "$had" "of 16 open connections $left went on: all but the $had that the killed server had itself"
	checked "$([ "$new" -gt 20 ] 2>/dev/null && echo yes)" yes "$new new ones opened meanwhile, none was refused"
	checked "$(awk -v had="$drained" '$6 == "frontend-1" { n += $3 } END { print (n <= had) }' "$work/after")" 1 \
		"none of them at frontend-1, which keeps its $drained, nor at frontend-2: all at frontend-3"
}
grep -q '^service shop' "$policy" && balance

title "Rules with hits"
loaded rules >"$work/rules" 2>"$work/rules.err" || die "polload rules failed" "$work/rules.err"
awk '$1 != 0 { print "    " $0 }' "$work/rules"
title "In force"
loaded status >"$work/status" 2>"$work/status.err" || die "polload status failed" "$work/status.err"
sed 's/^/    /' "$work/status"

if [ $keep = yes ]; then
	echo
	echo "Look around, then press Enter:"
	echo "    nsenter --net=/proc/${ns[host]}/ns/net --mount=/proc/${ns[host]}/ns/mnt --root=/proc/${ns[host]}/root \\"
	echo "        env POLC_BPFFS=$POLC_BPFFS POLC_STATE_DIR=$POLC_STATE_DIR $polload monitor"
	read -r _
fi

echo
if [ $mismatches = 0 ]; then
	printf '%sAll %d as the policy says.%s\n' "$green" "$count" "$off"
else
	printf '%s%d of %d are not as the policy says.%s\n' "$red" "$mismatches" "$count" "$off"
	exit 1
fi
