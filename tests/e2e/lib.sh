# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# What the end-to-end tests share.  A test begins with
#
#	. "$(dirname "$0")/lib.sh"
#
# which runs it again inside namespaces of its own: mounts, processes and the
# network of "the host".  Containers are network namespaces named after the test and
# themselves.  Whatever happens, all of it ends with the test, and several tests
# can run at once.  Results are TAP; 77 is "skipped", a failure if POLC_NO_SKIP is set.
set -u
export LC_ALL=C

e2e_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
e2e_build=${top_builddir:-$e2e_tree/build}
: "${POLC:=$e2e_build/polc}" "${POLLOAD:=$e2e_build/polload}" "${PROBE:=$e2e_build/tests/tools/probe}"
: "${POLC_TEMPLATES:=$e2e_tree/bpf-templates}" "${POLC_INCLUDE:=$e2e_tree/include}"
export POLC POLLOAD PROBE POLC_TEMPLATES POLC_INCLUDE
test_name=$(basename "$0" .sh)

skip() {
	echo "1..0 # SKIP $1"
	[ -z "${POLC_NO_SKIP:-}" ] || exit 1
	exit 77
}

# ---- into namespaces of our own --------------------------------------------------

if [ -z "${E2E_INSIDE:-}" ]; then
	[ "$(id -u)" = 0 ] || skip "needs root"
	for e2e_program in "$POLC" "$POLLOAD" "$PROBE"; do
		[ -x "$e2e_program" ] || skip "$e2e_program is not built"
	done
	unshare -mnpf --mount-proc true 2>/dev/null || skip "cannot make namespaces"
	unshare -m mount -t bpf bpf /run 2>/dev/null ||
		skip "cannot mount a BPF file system"
	E2E_INSIDE=$(mktemp -d "${TMPDIR:-/tmp}/polc-$test_name.XXXXXX") || exit 99
	export E2E_INSIDE
	trap 'rm -rf "$E2E_INSIDE"' EXIT
	unshare -mnpf --mount-proc --kill-child bash "$0" "$@" </dev/null &
	e2e_child=$!
	trap 'kill -KILL $e2e_child 2>/dev/null; exit 143' INT TERM HUP
	wait "$e2e_child"
	exit $?
fi

work=$E2E_INSIDE
cd "$work" || exit 99
mkdir bpf state netns
mount -t bpf bpf bpf
mkdir -p /run/netns
mount --bind netns /run/netns
# This host's choice is not what is tested.
if [ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" = 0 ]; then
	echo 2 >unprivileged
	mount --bind unprivileged /proc/sys/kernel/unprivileged_bpf_disabled
fi
export POLC_BPFFS=$work/bpf/polc POLC_STATE_DIR=$work/state/polc

# ---- results ------------------------------------------------------------------------

tests=0
failures=0

ok() { # WHAT
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

not_ok() { # WHAT [DETAIL...]
	tests=$((tests + 1))
	failures=$((failures + 1))
	echo "not ok $tests - $1"
	shift
	[ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/# /'
}

is() { # WHAT EXPECTED SEEN
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected: $2" "seen:     $3"; fi
}

until_is() { # EXPECTED COMMAND...: at last, or after 40 s; what it said last is in $seen
	local expected=$1
	shift
	for _ in {1..400}; do
		seen=$("$@")
		[ "$seen" != "$expected" ] || return 0
		sleep 0.1
	done
}

becomes() { # WHAT EXPECTED COMMAND...
	local seen
	until_is "${@:2}"
	is "$1" "$2" "$seen"
}

like() { # WHAT PATTERN TEXT
	case $3 in
	*$2*) ok "$1" ;;
	*) not_ok "$1" "expected in it: $2" "seen: $3" ;;
	esac
}

finish() {
	echo "1..$tests"
	[ "$failures" = 0 ]
	exit
}

bail() {
	echo "Bail out! $1"
	exit 99
}

# ---- containers -----------------------------------------------------------------------

declare -A v4=() v6=() labels=()

inside() { # NAME COMMAND...
	local name=$1
	shift
	nsenter --net="/run/netns/$test_name-$name" "$@"
}

# Without this a link-local address is tentative for a second or two, in which a router
# asks for no neighbour: what is tried first would go nowhere.
no_dad() {
	local word
	for word in all default; do
		echo 0 >/proc/sys/net/ipv6/conf/$word/accept_dad
	done
}
no_dad

link_up() { # NAME DEVICE ADDR4/LEN ADDR6/LEN GATEWAY4 GATEWAY6
	ip netns add "$test_name-$1" || bail "cannot make a network namespace"
	inside "$1" bash -c "$(declare -f no_dad); no_dad"
	ip link add "$2" type veth peer name eth0 netns "$test_name-$1" || bail "cannot make a veth"
	ip link set "$2" up
	ip addr add "$5/24" dev "$2"
	ip addr add "$6/64" dev "$2" nodad
	inside "$1" sh -c "ip link set lo up; ip link set eth0 up; ip addr add $3 dev eth0;
		ip addr add $4 dev eth0 nodad; ip route add default via $5; ip route add default via $6"
}

container() { # NAME NUMBER LABELS: an endpoint-to-be behind the device v-NAME
	v4[$1]=10.66.$2.2
	v6[$1]=fd66:0:0:$2::2
	labels[$1]=$3
	link_up "$1" "v-$1" "10.66.$2.2/24" "fd66:0:0:$2::2/64" "10.66.$2.1" "fd66:0:0:$2::1"
}

outside() { # NAME: a machine behind the uplink up0
	v4[$1]=192.0.2.7
	v6[$1]=2001:db8:1::7
	link_up "$1" up0 192.0.2.7/24 2001:db8:1::7/64 192.0.2.1 2001:db8:1::1
}

host_file() { # [NAME...]: all that says of these containers
	local name
	echo "host: $test_name"
	! ip link show up0 >/dev/null 2>&1 || echo "uplinks: [up0]"
	[ $# = 0 ] || echo "endpoints:"
	for name in "$@"; do
		echo "  - {name: $name, interface: v-$name, addresses: [${v4[$name]}, \"${v6[$name]}\"], labels: {${labels[$name]}}}"
	done
}

host_up() {
	ip link set lo up
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 2>/dev/null ||
		{ mount -o remount,rw /proc/sys 2>/dev/null
		  echo 1 >/proc/sys/net/ipv4/ip_forward
		  echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; }
}

# ---- traffic ----------------------------------------------------------------------------

spawn() { # NAME COMMAND...: in the background of that container; its number is in $spawned
	local name=$1
	shift
	nsenter --net="/run/netns/$test_name-$name" "$@" >"$work/out.$name.$RANDOM" 2>&1 </dev/null &
	spawned=$!
}

listening() { # NAME PROTO PORT [SOCKETS]: that container has them (2)
	local i
	for ((i = 0; i < 400; i++)); do
		# no traffic for this: a test may want to see the first packet
		[ "$(inside "$1" ss -Hln "--$2" "sport = :$3" | wc -l)" -ge "${4:-2}" ] && return
		sleep 0.05
	done
	bail "$1 does not listen on $2 $3"
}

serve() { # NAME PROTO PORT: both families
	spawn "$1" "$PROBE" listen "$2" "${v4[$1]}" "$3"
	spawn "$1" "$PROBE" listen "$2" "${v6[$1]}" "$3"
	listening "$1" "$2" "$3"
}

echoing() { # FILE...: each `probe stream --count FILE` is under way, ten echoes long
	local file n i
	for file; do
		for ((i = 0; i < 400; i++)); do
			n=$(cat "$file" 2>/dev/null)
			[ "${n:-0}" -ge 10 ] && continue 2
			sleep 0.05
		done
		bail "the connection of $file does not get going"
	done
}

# An answer is waited for as long as it takes on a machine that has no time: `open` is only what the first SYN, the one
# datagram opened.  Who expects that none comes says how long he waits for it in $patience.
try() { # FROM TO PROTO PORT | FROM TO ping: "open open", v4 and v6, which are asked at once
	local a words=() probes=() file=$work/tried.$BASHPID
	for a in "${v4[$2]}" "${v6[$2]}"; do
		if [ "$3" = ping ]; then
			inside "$1" "$PROBE" ping "$a" --timeout "${patience:-20000}" >"$file.${#probes[@]}" &
		else
			inside "$1" "$PROBE" connect "$3" "$a" "$4" --timeout "${patience:-20000}" >"$file.${#probes[@]}" &
		fi
		probes+=($!)
	done
	wait "${probes[@]}"
	mapfile -t words < <(cat "$file".[01])
	rm "$file".[01]
	echo "${words[*]}"
}

expect() { # WORD FROM TO PROTO [PORT]
	local patience=20000
	[ "$1" != timeout ] || patience=400
	is "${phase:+$phase: }$2 to $3 on $4 ${5:-}: $1" "$1 $1" "$(try "$2" "$3" "$4" "${5:-}")"
}

begun() { # FILE: the first line of what a monitor says is there
	local i
	for ((i = 0; i < 600; i++)); do
		[ -s "$1" ] && return
		sleep 0.05
	done
	bail "the monitor does not begin"
}

# ---- policies -------------------------------------------------------------------------------

compile() { # NAME <TEXT: NAME.bpf.o
	cat >"$work/$1.pol"
	"$POLC" "$work/$1.pol" -o "$work/$1.bpf.o" 2>"$work/$1.err" ||
		bail "cannot compile $1: $(head -5 "$work/$1.err")"
}

# Everything that polload and the kernel hold for us, for "nothing changed".
snapshot() {
	find bpf -printf '%P\n' | sort
	tc qdisc show | grep clsact
	# filters hang where such a qdisc is, and nowhere else
	for dev in $(tc qdisc show | sed -n 's/^qdisc clsact .* dev \([^ ]*\) .*/\1/p'); do
		tc filter show dev "$dev" ingress
		tc filter show dev "$dev" egress
	done
	ls "$POLC_STATE_DIR" 2>/dev/null
	"$POLLOAD" endpoints 2>&1
	"$POLLOAD" status --json 2>/dev/null | jq -S 'del(.drops, .flows, .grace)' 2>/dev/null
}

names() { # of all endpoints
	"$POLLOAD" endpoints --json | jq -r '[.[].name] | sort | join(" ")'
}

endpoints_are() { # WHAT NAMES: at last
	becomes "$1" "$2" names
}

run() { # COMMAND...: $code, $out and $err
	"$@" >"$work/run.out" 2>"$work/run.err"
	code=$?
	out=$(cat "$work/run.out")
	err=$(cat "$work/run.err")
}

host_up
