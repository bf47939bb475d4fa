#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR disable=SC2317 # looks are called by name
# System calls of polc-cni and of Docker's network driver that fail, one in a run, while a runtime calls them.  What says
# that it is done has done it; what fails says so in the runtime's own form, leaves nobody judged as somebody else, and
# what the runtime calls then (DEL, DeleteEndpoint) leaves nothing.
#   FAULTS, FAULT_PART, FAULT_FROM   which (one of each): places.sh
#   FAULT_COMMANDS=...               of which of add del gc status check labels options (all)
# make check-faults-elsewhere: all of them.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/places.sh"
faultat=${FAULTAT:-$e2e_build/tests/tools/faultat} engine=$e2e_build/tests/tools/engine
agent=$e2e_build/polc-agent cni=$e2e_build/polc-cni
for program in "$faultat" "$engine" "$agent" "$cni"; do
	[ -x "$program" ] || skip "$program is not built"
done
for program in jq curl; do
	command -v $program >/dev/null || skip "no $program"
done
commands=" ${FAULT_COMMANDS:-add del gc status check labels options} "
wants() {
	case $commands in *" $1 "*) return 0 ;; esac
	return 1
}

compile net <<'END'
default deny;
pool 10.66.0.0/16, 10.90.0.0/24, fd66::/48, fd90::/64;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 7000; }
policy server { allow from client on tcp 7000; }
END
container client 1 "app: client"
container server 2 "app: server"
serve server tcp 7000
serve server tcp 7001
host_file server >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null 2>&1 || bail "apply"

there() {
	"$POLLOAD" endpoints --json | jq -r '[.[].name] | sort | join(" ")'
}
traffic() { # PATIENCE: of $who, what is allowed and what is not
	local a b
	a=$(inside $who "$PROBE" connect tcp "${v4[server]}" 7000 --timeout "$1")
	b=$(inside $who "$PROBE" connect tcp "${v4[server]}" 7001 --timeout 150)
	echo "$a $b"
}
who=client

each_fault() { # WHAT BEFORE LOOK COMMAND...: LOOK says what is odd after a run; $code, said, fault.err; also those of $always
	local what=$1 before=$2 look=$3 total i fault seen tried=0 odd=0
	shift 3
	$before
	"$faultat" fail 0 "$@" 2>fault.err <config >all.faults
	total=$(wc -l <all.faults)
	[ "$total" -gt 5 ] || bail "$what: no system calls: $(cat fault.err)"
	for i in $({ places "$total"; [ -z "$always" ] || sed -n "/$always/=" all.faults; } | sort -nu); do
		$before
		fault=$("$faultat" fail "$i" -o said "$@" 2>fault.err <config)
		code=$?
		seen=$($look)
		[ -z "$seen" ] || strange "fault $i, $fault" "$seen (exit code $code, $(head -c 300 said) $(head -n 1 fault.err))"
		tried=$((tried + 1))
	done
	is "$what: $tried of its $total faults" 0 "$odd"
}

# ---- polc-cni ---------------------------------------------------------------------------------------------

mac=$(inside client cat /sys/class/net/eth0/address)
jq -n --arg bpffs "$POLC_BPFFS" --arg state "$POLC_STATE_DIR" --arg v4 "${v4[client]}/24" --arg v6 "${v6[client]}/64" \
	--arg mac "$mac" --arg netns "/run/netns/$test_name-client" \
	'{cniVersion: "1.1.0", name: "net", type: "polc-cni", bpffs: $bpffs, stateDir: $state, labels: {app: "client"},
	prevResult: {cniVersion: "1.1.0", interfaces: [{name: "v-client"}, {name: "eth0", mac: $mac, sandbox: $netns}],
	ips: [{address: $v4, interface: 1}, {address: $v6, interface: 1}]}}' >add.conf
jq -c '. + {"cni.dev/valid-attachments": []}' add.conf >gc.conf
jq -c '. + {"cni.dev/valid-attachments": [{containerID: "c1", ifname: "eth0"}]}' add.conf >keep.conf
export CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/$test_name-client CNI_IFNAME=eth0 CNI_PATH=/nowhere
plugin() { # COMMAND CONFIG, without a fault
	CNI_COMMAND=$1 "$cni" <"$2" >plugin.said 2>plugin.err || echo "$1 does not do it: $(cat plugin.said)"
}
absent() {
	cp "$1" config
	[ "$(there)" = server ] || plugin DEL add.conf
}
present() {
	cp "$1" config
	[ "$(there)" = "c1/eth0 server" ] || plugin ADD add.conf
}
before_add() { absent add.conf; }
before_del() { present add.conf; }
before_gc() { present gc.conf; }
before_keep() { present keep.conf; }
# What every answer is: nothing or what was asked for, or what the runtime can read.
looks() {
	[ "$code" -lt 2 ] || grep -q "out of memory\|loading shared libraries" fault.err || echo "died without a word"
	[ "$code" != 1 ] || jq -e '.code > 0 and (.msg | length > 0)' said >/dev/null || echo "no message"
}
look_added() {
	looks
	if [ "$code" = 0 ]; then
		[ "$(jq -cS . said)" = "$(jq -cS .prevResult add.conf)" ] || echo "another result"
		[ "$(traffic 3000)" = "open timeout" ] || echo "added, and traffic is $(traffic 3000)"
		return
	fi
	# not this one, or wholly: half of an endpoint is none
	case "$(there)" in
	server) ;;
	"c1/eth0 server") [ "$(traffic 3000)" = "open timeout" ] || echo "half added: traffic is $(traffic 3000)" ;;
	*) echo "there is $(there)" ;;
	esac
	plugin DEL add.conf
	[ "$(there)" = server ] || echo "after DEL there is $(there)"
	plugin ADD add.conf
	[ "$(traffic 3000)" = "open timeout" ] || echo "after the next ADD traffic is $(traffic 3000)"
}
look_gone() {
	looks
	[ "$code" != 0 ] || [ "$(there)" = server ] || echo "it is still there"
	plugin "$CNI_COMMAND" config
	[ "$(there)" = server ] || echo "after the next one there is $(there)"
	case $(traffic 150) in
	*open*) echo "traffic is open" ;;
	esac
}
look_kept() {
	looks
	[ "$(there)" = "c1/eth0 server" ] || echo "there is $(there)"
}
look_checked() { # it differs in nothing
	look_kept
	[ "$code" = 0 ] || [ "$(jq .code said)" != 104 ] || echo "it differs, says CHECK"
}
look_unhooked() {
	looks
	[ "$code" != 0 ] || echo "all is well, says CHECK"
}
unhooked() {
	cp add.conf config
	tc qdisc del dev v-client clsact 2>/dev/null
}
export CNI_COMMAND
CNI_COMMAND=ADD
always=
! wants add || each_fault "CNI ADD" before_add look_added "$cni"
# A map that cannot be written leaves it half removed: the next one does not take it for gone.
CNI_COMMAND=DEL
always='^bpf(2): ENOMEM'
! wants del || each_fault "CNI DEL" before_del look_gone "$cni"
CNI_COMMAND=GC
always=
! wants gc || each_fault "CNI GC of who has gone" before_gc look_gone "$cni"
! wants gc || each_fault "CNI GC of nobody" before_keep look_kept "$cni"
CNI_COMMAND=STATUS
! wants status || each_fault "CNI STATUS" before_del look_kept "$cni"
CNI_COMMAND=CHECK
always='^bpf(15)' # what it compares hooks with
! wants check || each_fault "CNI CHECK" before_del look_checked "$cni"
always=
! wants check || each_fault "CNI CHECK of who lost his hooks" unhooked look_unhooked "$cni"
plugin DEL add.conf
unset CNI_COMMAND

# ---- the driver ---------------------------------------------------------------------------------------------

# The engine knows a container, whose first process is in a namespace of its own, and says so when it is told to.
id_of() { printf "$1%.0s" {1..64}; }
network=$(id_of a) endpoint=$(id_of b) container=$(id_of c)
far=polcp${endpoint:0:10} # see cn_device_name()
ip netns add "$test_name-box"
inside box ip link set lo up
spawn box sleep 100000
echo "0::/docker/$container" >cgroup
mount --bind cgroup "/proc/$spawned/cgroup" || bail "cannot put it into a container"
mkdir answers
echo '{"Config": {"Labels": {}}}' >answers/_images_sha256:1_json
echo '{"Name": "net"}' >"answers/_networks_$network"
jq -n --arg id "$container" '[{Id: $id, Names: ["/box"], Labels: {app: "client"}, ImageID: "sha256:1"}]' >listed
engine_has() { # FILE, or nothing
	echo '[]' >answers/list
	[ "$1" = nothing ] || cp "$1" answers/list
	mv answers/list answers/_containers_json
}
described() { # OPTIONS: as the engine inspects it
	jq -n --arg id "$container" --arg endpoint "$endpoint" --arg mac "$box_mac" --argjson pid "$spawned" --argjson options "$1" \
		'{Id: $id, Name: "/box", Image: "sha256:1", State: {Running: true, Pid: $pid}, HostConfig: {NetworkMode: "net"},
		Config: {Labels: {app: "client"}}, NetworkSettings: {Networks: {net: {EndpointID: $endpoint, MacAddress: $mac,
		IPAddress: "10.90.0.2", GlobalIPv6Address: "fd90::2", DriverOpts: $options}}}}'
}
engine_has nothing
"$engine" "$work/engine.sock" "$work/answers" >engine.out &
begun engine.out
box_mac=02:00:00:00:00:07
driver=$work/plugin.sock
command=("$agent" --docker "$work/engine.sock" --plugin "$driver" --hold 'v-*')

# As systemd does: whatever has ended is started again.
agent_start() { # COMMAND...
	rm -f "$driver"
	"$@" >fault.out 2>fault.err </dev/null &
	agent_is=$!
}
agent_lives() { kill -0 $agent_is 2>/dev/null; }
agent_main() { pgrep -P $agent_is -x polc-agent || echo $agent_is; }
agent_restart() {
	wait $agent_is
	code=$?
	[ "$code" = 0 ] && [ ! -s fault.err ] && echo "it ended and said nothing"
	[ "$code" != 139 ] && [ "$code" != 134 ] || grep -q "out of memory" fault.err || echo "died ($code)"
	agent_start "${command[@]}"
}
agent_end() {
	local i
	kill -TERM "$(agent_main)" 2>/dev/null
	for ((i = 0; i < 400; i++)); do
		agent_lives || break
		sleep 0.02
	done
	! agent_lives || { echo "it does not end"; kill -KILL "$(agent_main)"; }
	wait $agent_is
}
# The engine's call: 0 done, 1 refused with a reason; who does not answer is called again, once it is there again.
call() { # METHOD BODY: $answer
	local i
	for ((i = 0; i < 100; i++)); do
		if answer=$(curl -s --max-time 30 --unix-socket "$driver" "http://p/$1" -d "$2" 2>/dev/null) && [ -n "$answer" ]; then
			[ -n "$(jq -r '.Err // ""' <<<"$answer")" ] || return 0
			return 1
		fi
		agent_lives || agent_restart
		sleep 0.05
	done
	answer="no answer"
	return 1
}
at_last() { # METHOD BODY: one fault is over when it has been met
	call "$@" || call "$@" || echo "$1: $answer"
}
body() { # JQ-FILTER
	jq -nc --arg n "$network" --arg e "$endpoint" "{NetworkID: \$n, EndpointID: \$e} + $1"
}
devices() { ip -o link | grep -o ' polc[0-9a-f][^:@]*' | wc -l; }

plugged() { # the container's end, as the engine does it
	ip link set "$far" netns "$test_name-box" && inside box sh -c "ip link set $far name eth0; ip addr add 10.90.0.2/24 dev eth0
		ip addr add fd90::2/64 dev eth0 nodad; ip link set eth0 up; ip route add 10.90.0.0/25 via 10.90.0.1
		ip route add default via 10.90.0.1"
}
network_body=$(body '{IPv4Data: [{Pool: "10.90.0.0/24"}], IPv6Data: [{Pool: "fd90::/64"}]}')
# A container that comes and goes; says what is odd.
a_life() { # OPTIONS of its endpoint
	local i open=no
	if ! call NetworkDriver.CreateNetwork "$network_body"; then
		! ip -o link | grep -q ' polcn' || echo "CreateNetwork is refused, and left a network"
		at_last NetworkDriver.CreateNetwork "$network_body"
	fi
	at_last IpamDriver.RequestPool '{"Pool": "10.91.0.0/24"}'
	at_last IpamDriver.RequestAddress '{"PoolID": "10.91.0.0/24"}'
	if ! call NetworkDriver.CreateEndpoint "$(body "{Options: $1, Interface: {Address: \"10.90.0.2/24\",
		AddressIPv6: \"fd90::2/64\", MacAddress: \"$box_mac\"}}")"; then
		[ "$(devices) $(there)" = "0 server" ] || echo "CreateEndpoint is refused, and left $(devices) $(there)"
		at_last NetworkDriver.CreateEndpoint "$(body "{Options: $1, Interface: {Address: \"10.90.0.2/24\",
			AddressIPv6: \"fd90::2/64\", MacAddress: \"$box_mac\"}}")"
	fi
	at_last NetworkDriver.Join "$(body "{SandboxKey: \"/x\"}")"
	engine_has listed
	plugged 2>/dev/null || echo "no device for the container"
	case $(traffic 40) in
	*open) echo "open before it is anybody" ;;
	esac
	described "$1" >"answers/_containers_${container}_json"
	for ((i = 0; i < 100; i++)); do
		agent_lives || agent_restart
		[ $((i % 20)) != 10 ] || kill -HUP "$(agent_main)" 2>/dev/null # it has started, says the engine
		[[ $(there) == *server ]] && [ "$(inside box "$PROBE" connect tcp "${v4[server]}" 7000 --timeout 200)" = open ] && open=yes && break
	done
	[ "$open $(traffic 1000)" = "yes open timeout" ] || echo "its traffic is $(traffic 1000), there is $(there)"
	at_last NetworkDriver.EndpointOperInfo "$(body '{}')"
	engine_has nothing
	rm "answers/_containers_${container}_json"
	at_last NetworkDriver.Leave "$(body '{}')"
	at_last NetworkDriver.DeleteEndpoint "$(body '{}')"
	[ "$(devices) $(there)" = "0 server" ] || echo "after DeleteEndpoint there is $(devices) $(there)"
	at_last NetworkDriver.DeleteNetwork "$(body '{}')"
	! ip -o link | grep -q ' polcn' || echo "the network's device is there"
	for i in $(ip -o link | sed -n 's/^[0-9]*: \(polc[^:@]*\).*/\1/p'); do
		ip link del "$i"
	done
}
who=box
each_life() { # WHAT OPTIONS
	local total i fault tried=0 odd=0
	agent_start "$faultat" fail 0 -c "${command[@]}"
	a_life "$2" >life
	agent_end >>life
	is "$1: without a fault" "" "$(cat life)"
	total=$(wc -l <fault.out)
	[ "$total" -gt 100 ] || bail "$1: no system calls: $(cat fault.err)"
	for i in $(places "$total"); do
		agent_start "$faultat" fail "$i" -c "${command[@]}"
		{ a_life "$2"; agent_end; } >life
		fault=$(head -n 1 fault.out)
		[ ! -s life ] || strange "fault $i, $fault" "$(tr '\n' ';' <life) $(tail -n 2 fault.err)"
		tried=$((tried + 1))
	done
	is "$1: $tried of its $total faults" 0 "$odd"
}
! wants labels || each_life "the driver, a container with labels" '{}'
! wants options || each_life "the driver, labels by options" '{"polc.label.app": "client"}'
finish
