#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR disable=SC2317 # looks are called by name
# What happens to a host under a policy: its BPF file system is unmounted, interfaces are renamed, disks are full, the
# clock is set; and system calls of the compiler and of a proxy that starts fail (faultat; of polload: errno.sh).
#   FAULTS, FAULT_PART, FAULT_FROM   which (one of each command): places.sh
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/places.sh"
. "$e2e_tree/tests/e2e/shop.sh"
faultat=${FAULTAT:-$e2e_build/tests/tools/faultat} polproxy=${POLPROXY:-$e2e_build/polproxy}
nomem=${NOMEM_SO:-$e2e_build/tests/tools/nomem.so}
for program in "$faultat" "$polproxy" "$nomem"; do
	[ -x "$program" ] || skip "$program is not built"
done

shop_containers
shop_compile
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"

# ---- interfaces ---------------------------------------------------------------------------

phase="an interface that is renamed in use"
rename() { # FROM TO: up, as Linux 6.2 and later allow; else its IPv6 address goes with it
	ip link set "$1" name "$2" 2>/dev/null && return
	ip link set "$1" down
	ip link set "$1" name "$2"
	ip link set "$2" up
	ip addr add fd66:0:0:1::1/64 dev "$2" nodad
}
rename v-client v-other
shop_in_force one
run "$POLLOAD" apply two.bpf.o
is "$phase: an apply without a host file goes on" 0 "$code"
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "$phase: one with the host file that names it refuses" 2 "$code"
like "and says which" "there is no interface 'v-client'" "$err"
shop_in_force two
rename v-other v-client

# ---- pins ----------------------------------------------------------------------------------

# Without a pin the kernel empties the table of programs that the stubs jump by: no program, no passage.
phase="the BPF file system is unmounted"
umount -l bpf
for _ in {1..50}; do
	[ "$(inside client "$PROBE" connect tcp "${v4[server]}" 8081 --timeout 200)" = timeout ] && break
done
expect timeout client server tcp 7000
run "$POLLOAD" status
is "$phase: status" 1 "$code"
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "$phase: apply" 3 "$code"
like "says what to do" "mount -t bpf" "$err"
mount -t bpf bpf bpf
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "$phase: the next apply takes over what hangs there" 0 "$code"
phase="and then"
shop_in_force one

# ---- disks -----------------------------------------------------------------------------------

mkdir full
mount -t tmpfs -o size=64k tmpfs full
echo old >full/out.bpf.o
run "$POLC" one.pol -o full/out.bpf.o
is "an object for which there is no room: exit code" 3 "$code"
like "says why" "No space left on device" "$err"
is "what was there is there, and nothing else" "out.bpf.o old" "$(ls full) $(cat full/out.bpf.o)"
umount full
for command in "$POLC list one.pol" "$POLC fmt one.pol" "$POLC --help" "$POLLOAD status" "$POLLOAD endpoints --json" "$POLLOAD --help"; do
	$command >/dev/full 2>full.err
	code=$?
	[ "$code" != 0 ] && grep -q "No space left on device" full.err
	is "\`$(basename "${command%% *}") ${command#* }\` to a full disk says so" 0 $?
done

# ---- the clock ---------------------------------------------------------------------------------

# Nothing that decides reads the time of day: no program of the data path has a helper for it, and of the loader only
# what people read of it.
is "the data path knows no time of day" "" \
	"$(grep -nE 'ktime_get_(tai|real)' "$e2e_tree"/bpf-templates/*.h)"
is "nor does the proxy" "" \
	"$(grep -lE 'CLOCK_REALTIME|time\(NULL\)|gettimeofday' "$e2e_tree"/proxy/*.c | grep -v /confine.c)" # names it to seccomp

# ---- system calls --------------------------------------------------------------------------------

each_fault() { # WHAT LOOK [-f] COMMAND...: LOOK says what is odd after a run; $code, fault.err
	local what=$1 look=$2 total i fault tried=0 odd=0
	shift 2
	total=$("$faultat" fail 0 "$@" 2>/dev/null | wc -l) code=0
	$look >/dev/null # as before it
	[ "$total" -gt 5 ] || bail "$what: no system calls"
	for i in $(places "$total"); do
		fault=$("$faultat" fail "$i" "$@" 2>fault.err)
		code=$?
		seen=$($look)
		[ -z "$seen" ] || strange "fault $i, $fault" "$seen (exit code $code, $(head -n 1 fault.err))"
		tried=$((tried + 1))
	done
	is "$what: $tried of its $total faults" 0 "$odd"
}

# The same with memory that runs out, once or for good: it says so, in any of its ways, and nobody reads what is not there.
each_allocation() { # WHAT LOOK COMMAND...: LOOK says what is odd after a run; $code, fault.said, fault.err
	local what=$1 look=$2 total i and tried=0 odd=0
	shift 2
	NOMEM_FILE=$work/total LD_PRELOAD=$nomem "$@" >/dev/null 2>&1
	total=$(cat total) code=0
	$look >/dev/null
	for i in $(places "$total"); do
		for and in "" +; do
			{ NOMEM=$i$and LD_PRELOAD=$nomem "$@" >fault.said 2>fault.err; } 2>>aborted
			code=$?
			seen=$($look)
			case $code in
			13[012345678] | 139) [ "$code" = 134 ] && grep -q "out of memory" fault.err || seen+=" died" ;;
			esac
			[ -z "$seen" ] || strange "allocation $i$and" "$seen (exit code $code, $(head -n 1 fault.err))"
		done
		tried=$((tried + 1))
	done
	is "$what: memory runs out at $tried of its $total allocations" 0 "$odd"
}

look_compiled() {
	if [ "$code" = 0 ]; then
		cmp -s one.bpf.o out/o || echo "another object"
	else
		grep -q "^polc: error: \|out of memory\|: error\|^error\[P" fault.err || echo "no message"
		[ -z "$(find out -type f)" ] || echo "left over: $(ls out)"
	fi
	rm -rf out
	mkdir out
}
mkdir out
each_fault "a compilation" look_compiled "$POLC" one.pol -o out/o
# Clang's memory is its own: this one says again what clang said.
printf '#!/bin/sh\n%s "$@" | tee "%s"\n' "${POLC_CLANG:-clang}" "$work/elf" >clang.once
printf '#!/bin/sh\ncat >/dev/null\nexec cat "%s"\n' "$work/elf" >clang.again
chmod +x clang.once clang.again
"$POLC" --clang="$work/clang.once" one.pol -o out/o
look_written() {
	look_compiled
	[ "$code" = 0 ] || look_nothing
}
# What `polc check` has to say of policies is its answer.
look_nothing() { [ "$code" = 0 ] || grep -qi "memory" fault.err fault.said || echo "no word of memory"; }
each_allocation "a compilation" look_written "$POLC" --clang="$work/clang.again" one.pol -o out/o
for command in "check one.pol" "fmt one.pol" "list one.pol" "lint one.pol" "diff one.pol one.pol" \
	"explain one.pol from client to server on tcp 8080"; do
	# shellcheck disable=SC2086 # words
	each_allocation "polc $command" look_nothing "$POLC" $command
done
for command in "inspect one.bpf.o" status endpoints "why from client to server on tcp 8080" metrics; do
	# shellcheck disable=SC2086 # words
	each_allocation "polload $command" look_nothing "$POLLOAD" $command
done
echo '{"cniVersion": "1.1.0", "name": "net", "type": "polc-cni"}' >cni.conf
cni_version() { CNI_COMMAND=VERSION "$e2e_build/polc-cni" <cni.conf; }
each_allocation "polc-cni" look_nothing cni_version
look_in_force() {
	look_nothing
	local policy=one.pol
	[ "$code" != 0 ] && ! grep -q "^the policy is in force" fault.err || policy=two.pol
	[ "$("$POLLOAD" status --json | jq -r .policy)" = "$policy" ] || echo "another is in force"
	"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || echo "the next apply fails"
}
each_allocation "an apply" look_in_force "$POLLOAD" apply two.bpf.o -H host.yaml
# What libbpf asks the kernel before it loads types (BPF_BTF_LOAD, 18) fails by it: it loads less of them, and the programs
# are too large for the verifier.
"$faultat" fail 0 -n bpf "$POLLOAD" apply two.bpf.o 2>/dev/null >calls
silent=
for i in $(grep -n '^bpf(18): ENOMEM' calls | head -n 6 | cut -d: -f1); do
	"$faultat" fail "$i" -n bpf "$POLLOAD" apply two.bpf.o >/dev/null 2>fault.err ||
		grep -q "memory" fault.err || silent+="$i: $(head -n 1 fault.err) "
done
is "types that are not tried for lack of memory: it is said" "" "$silent"

look_started() { # it runs on until it is told to end, or ends with a word
	case $code in
	124) ;;
	137) echo "does not end" ;;
	*) grep -q "^polproxy: .\|^/usr/bin/timeout: failed to run\|loading shared libraries" fault.err || echo "ended without a word" ;;
	esac
	[ "$code" -lt 128 ] || [ "$code" = 137 ] || echo "died"
	rm -f control
}
proxy=(/usr/bin/timeout -k 20 0.5 "$polproxy" --control "$work/control" --port 17000)
each_fault "a proxy that starts" look_started -c "${proxy[@]}"
# What parent and worker say to each other is: begin, yes, end, yes. Each can fail in two ways; here the last two. The
# parent hears of a signal when the worker has begun, however early it comes.
end_proxy() { # N: under the Nth of these faults; $fault, $code
	local self limit i
	"$faultat" fail "$1" -f -n sendmsg "$polproxy" --control "$work/ending" --port 17000 >fault.out 2>fault.err &
	self=$!
	for ((i = 0; i < 400; i++)); do
		[ ! -S ending ] || break
		sleep 0.05
	done
	kill -TERM "$(pgrep -P $self -x polproxy)"
	(sleep 60; kill -KILL $self) 2>/dev/null & # and with it what it traces
	limit=$!
	wait $self
	code=$?
	kill $limit
	fault=$(sed 's/(.*)//' fault.out | paste -sd' ')
	rm -f ending
}
two="sendmsg: ENOBUFS sendmsg: EPERM"
end_proxy 0
is "what a proxy and its worker say to each other" "0 $two $two $two $two" "$code $fault"
n=4
for error in ENOBUFS EPERM ENOBUFS EPERM; do
	end_proxy $((++n))
	is "a proxy that cannot tell its worker to end, or is not answered: both end ($n)" "0 sendmsg: $error" "$code $fault"
done
finish
