#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR disable=SC2317 # count_ and fail_ are called by name
# System calls that fail, one in a run (tools/faultat has the calls and their errnos), or allocations (tools/nomem): the
# old or the new policy, whole; a run that fails says what failed and leaves all as it was, a run that succeeds has done
# everything.
#   FAULTS, FAULT_PART, FAULT_FROM   which (two of each): places.sh
#   FAULT_COMMANDS=...               of which of apply rollback shadow add del remove first boot, or probes (apply add remove
#                                    probes)
#   FAULT_KIND=call | memory         what fails (call)
# make check-faults: all of all.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"
: "${FAULTS:=2}"
. "$e2e_tree/tests/e2e/places.sh"
faultat=${FAULTAT:-$e2e_build/tests/tools/faultat}
nomem=${NOMEM_SO:-$e2e_build/tests/tools/nomem.so}
kind=${FAULT_KIND:-call}
for program in "$faultat" "$nomem"; do
	[ -x "$program" ] || skip "$program is not built"
done
commands=" ${FAULT_COMMANDS:-apply add remove probes} "

shop_containers
shop_compile
container later 3 "app: client"
later=(interface=v-later "address=${v4[later]}" "address=${v6[later]}" label=app=client)

reach() { # FROM PORT: into reach.FROM.PORT
	inside "$1" "$PROBE" connect tcp "${v4[server]}" "$2" --timeout "${patience:-200}" >"reach.$1.$2"
}
enforced() { # by traffic alone: client to 8080, to 8081, later to 8080
	local tries=()
	for who in "client 8080" "client 8081" "later 8080"; do
		# shellcheck disable=SC2086 # two words
		reach $who &
		tries+=($!)
	done
	wait "${tries[@]}"
	echo "$(cat reach.client.8080)/$(cat reach.client.8081)/$(cat reach.later.8080)"
}
# All there is, but for numbers that every run counts on.
all_there_is() {
	# libbpf loads programs without their names when it cannot find out whether the kernel knows names
	snapshot | sed -E 's/(gen[_-])[0-9]+/\1N/g; s/ (stub_[a-z_]+)?:\[[0-9]+\]| id [0-9]+//g; s/ name (stub_[a-z_]+)? / /g
		/"(generation|previous|applied|guard_drops)"/d; s/("shadow": )[1-9].*/\1N/; /"(pages|verdicts)"/,/]/d' |
		sort | awk '!/bpf.o$/ || !seen[$0]++' # one generation before, or none yet
	ip rule; ip -6 rule
	ip route show table all | sort
	nft -s list ruleset 2>/dev/null
}

among() { # WORD LIST
	case " $2 " in *" $1 "*) return 0 ;; esac
	return 1
}

count_call() { # COMMAND...: how many of its faults there are
	"$faultat" fail 0 "$@" 2>fault.err | wc -l
}
count_memory() {
	NOMEM_FILE=$work/total LD_PRELOAD=$nomem "$@" >/dev/null 2>fault.err
	cat total
}
fail_call() { # N COMMAND...: what it was
	"$faultat" fail "$@" 2>fault.err
}
fail_memory() {
	echo "an allocation"
	NOMEM=$1 LD_PRELOAD=$nomem "${@:2}" >/dev/null 2>fault.err
}

# Runs the command with its Nth fault.  Where it may end: as it was, or as it is after a run without a fault;
# "before" makes what was.  half: what takes things away does not put them back, the next run takes the rest.
fault() { # N COMMAND...
	local n=$1 as_it_was seen what
	shift
	# shellcheck disable=SC2154
	[ -n "$clean" ] || { before; clean=$(all_there_is); }
	as_it_was=$clean clean=
	what=$("fail_$kind" "$n" "$@")
	code=$?
	all_there_is >there.now & # while packets are waited for that do not come
	seen=$(enforced)
	wait $!
	local wanted=$old
	[ -z "$half" ] || wanted="$old $new"
	[ "$code" != 0 ] && ! grep -q "^the policy is in force" fault.err || wanted=$new
	among "$seen" "$wanted" || seen=$(patience=3000 enforced)
	among "$seen" "$wanted" || strange "fault $n, $what" "exit code $code, traffic $seen: $(head -3 fault.err)"
	case $code in
	0)
		# What is told may be missing.
		[ -s fault.err ] || diff -q <(echo "$done_it") there.now >/dev/null ||
			strange "fault $n, $what" "not all was done, and nothing said: $(diff <(echo "$done_it") there.now | head -5)"
		after || strange "fault $n, $what" "what is in force cannot be changed: $(tail -1 trouble)"
		kept=$((kept + 1))
		;;
	*)
		grep -q "^polload: error: ..*" fault.err || grep -q "^\(polload: \)\?out of memory" fault.err ||
			strange "fault $n, $what" "exit code $code without a message: $(head -3 fault.err)"
		if diff <(echo "$as_it_was") there.now >there.diff; then
			clean=$as_it_was
		elif [ -n "$half" ]; then
			"$@" >/dev/null 2>fault.err
			all_there_is | diff <(echo "$done_it") - >there.diff ||
				strange "fault $n, $what" "left over by the next run: $(head -5 there.diff) ($(head -3 fault.err))"
		else
			grep -q "cleaning up failed too" fault.err || [ "$code" -gt 100 ] ||
				strange "fault $n, $what" "left over: $(head -5 there.diff) ($(head -3 fault.err))"
		fi
		failed=$((failed + 1))
		;;
	esac
	echo "$n $code $what | $(head -1 fault.err)" >>"$work/faults.log"
}

# Those of what libbpf asks the kernel before it makes the first map; if it gets no answer, it does with less.
probes() { # TOTAL COMMAND...
	before
	"$faultat" fail 0 "${@:2}" 2>>trouble | awk '/^bpf\(5\)/ { print NR; seen = 1 } /^bpf\(0\)/ && seen { exit }'
}
which=places
after() { :; }

# Faults of a command; before() makes what was, $old and $new say what is enforced then and afterwards.
faults_of() { # WHAT COMMAND...
	local what=$1 total i clean='' done_it odd=0 kept=0 failed=0
	shift
	before
	total=$("count_$kind" "$@")
	done_it=$(all_there_is)
	[ "$total" -gt 5 ] || bail "$what: nothing that can fail: $(cat fault.err)"
	for i in $("$which" "$total" "$@"); do
		fault "$i" "$@"
	done
	[ "$which" != probes ] || [ $kept -gt 0 ] || not_ok "$what: it asks nothing that can fail and be done without"
	is "$what: $((kept + failed)) of its $total faults" 0 "$odd"
	echo "# went on: $kept, failed and said so: $failed"
}
wants() { among "$1" "$commands"; }
apply() { "$POLLOAD" apply "$@" >/dev/null 2>>trouble; }

one=open/timeout/timeout two=timeout/open/timeout with_later=open/timeout/open none=open/open/open

old=$one new=$two half=
before() { apply one.bpf.o -H host.yaml; }
! wants apply || faults_of "an apply" "$POLLOAD" apply two.bpf.o -H host.yaml
before() { apply two.bpf.o -H host.yaml && apply one.bpf.o -H host.yaml; }
! wants rollback || faults_of "a rollback" "$POLLOAD" rollback
before() { apply one.bpf.o -H host.yaml; }
old=$one new=$one
! wants shadow || faults_of "a shadow" "$POLLOAD" apply --shadow two.bpf.o
before() {
	"$POLLOAD" endpoint del later >/dev/null 2>&1
	apply one.bpf.o -H host.yaml
}
new=$with_later
! wants add || faults_of "an endpoint that comes" "$POLLOAD" endpoint add later "${later[@]}"
before() {
	apply one.bpf.o -H host.yaml
	"$POLLOAD" endpoints | grep -q "^later .* run time" || "$POLLOAD" endpoint add later "${later[@]}" 2>>trouble
}
old=$with_later new=$one half=yes
! wants del || faults_of "an endpoint that goes" "$POLLOAD" endpoint del later
before() {
	"$POLLOAD" endpoint del later >/dev/null 2>&1
	apply one.bpf.o -H host.yaml
}
old=$one new=$none
! wants remove || faults_of "a removal" "$POLLOAD" remove
before() { "$POLLOAD" remove >/dev/null 2>>trouble; }
old=$none new=$one half=
after() { apply two.bpf.o -H host.yaml; }
! wants first || faults_of "a first apply" "$POLLOAD" apply one.bpf.o -H host.yaml
which=probes
! wants probes || faults_of "what a first apply asks" "$POLLOAD" apply one.bpf.o -H host.yaml
which=places
after() { :; }
# A boot that fails is a lockdown; if not even that can be had, it says so.
before() {
	apply one.bpf.o -H host.yaml
	nft flush ruleset
	for dev in v-client v-server up0; do tc qdisc del dev $dev clsact; done
	umount bpf
	mount -t bpf bpf bpf
}
old="timeout/timeout/timeout $none" half=yes
! wants boot || faults_of "a boot" "$POLLOAD" boot

# whatever happened: the next runs clean it up
"$POLLOAD" endpoint del later >/dev/null 2>&1
apply one.bpf.o -H host.yaml || not_ok "apply afterwards" "$(tail -3 trouble)"
is "and one policy is in force at last" "$one" "$(enforced)"
"$POLLOAD" remove || not_ok "remove afterwards"
is "and removal leaves nothing" "" \
	"$(find bpf state -mindepth 1 ! -name '*.debug' ! -name 'good*' ! -path state/polc; tc qdisc show | grep clsact)"
[ -z "${FAULT_LOG:-}" ] || cp faults.log "$FAULT_LOG"
finish
