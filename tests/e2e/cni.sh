#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# polc-cni as a runtime calls it, behind Debian's bridge plugin: ADD, CHECK, DEL, GC, STATUS, VERSION.
. "$(dirname "$0")/lib.sh"
cni=$e2e_build/polc-cni
[ -x "$cni" ] || skip "$cni is not built"
plugins=${CNI_PLUGINS:-$e2e_build/servers/usr/lib/cni}
[ -x "$plugins/bridge" ] || plugins=/usr/lib/cni
[ -x "$plugins/bridge" ] || skip "no CNI plugin: install containernetworking-plugins"
command -v jq >/dev/null || skip "no jq"

compile net <<'END'
default deny;
pool 10.77.0.0/16, fd77::/48;
endpoint client = app == "client" and cni.network == "polcnet";
endpoint server = app == "server";
policy client { allow to server on tcp 80; }
policy server { allow from client on tcp 80; }
END

mkdir labels
cat >bridge.conf <<END
{"cniVersion": "1.0.0", "name": "polcnet", "type": "bridge", "bridge": "cnibr0", "isGateway": true,
 "ipam": {"type": "host-local", "dataDir": "$work/ipam",
          "ranges": [[{"subnet": "10.77.0.0/16"}], [{"subnet": "fd77::/64"}]]}}
END
cat >polc.conf <<END
{"cniVersion": "1.0.0", "name": "polcnet", "type": "polc-cni",
 "bpffs": "$POLC_BPFFS", "stateDir": "$POLC_STATE_DIR", "labelDir": "$work/labels"}
END

plugin() { # PROGRAM COMMAND CONTAINER <CONFIG; CNI_ARGS is $args
	local netns=/run/netns/$test_name-$3
	env -i PATH="$PATH" CNI_COMMAND="$2" CNI_CONTAINERID="id-$3" CNI_NETNS="$netns" CNI_IFNAME=eth0 \
		CNI_PATH="$plugins" CNI_ARGS="${args:-}" "$1"
}

polc() { # COMMAND CONTAINER [JQ-FILTER]: with the result of the bridge plugin
	jq -c --slurpfile prev "prev.$2" ".prevResult = \$prev[0] | ${3:-.}" polc.conf |
		plugin "$cni" "$1" "$2" >said 2>said.err
	code=$?
}

connect_container() { # NAME: a namespace and what the bridge plugin makes
	ip netns add "$test_name-$1"
	inside "$1" bash -c "$(declare -f no_dad); no_dad"
	inside "$1" ip link set lo up
	plugin "$plugins/bridge" ADD "$1" <bridge.conf >"prev.$1" || bail "bridge ADD: $(cat "prev.$1")"
	v4[$1]=$(jq -r '.ips[0].address | split("/")[0]' "prev.$1")
	v6[$1]=$(jq -r '.ips[1].address | split("/")[0]' "prev.$1")
	dev[$1]=$(jq -r '.interfaces[] | select(.sandbox == null or .sandbox == "") | select(.name != "cnibr0") | .name' "prev.$1")
}
declare -A dev=()

said() { # JQ-FILTER
	jq -r "$1" said
}

# ---- without a policy ------------------------------------------------------------------------

run env CNI_COMMAND=VERSION "$cni" <<<'{"cniVersion": "1.0.0"}'
is "VERSION" '0 ["0.4.0","1.0.0","1.1.0"]' "$code $(jq -c .supportedVersions <<<"$out")"
run env CNI_COMMAND=VERSION "$cni" </dev/null
is "VERSION, nothing on standard input" '0 ["0.4.0","1.0.0","1.1.0"]' "$code $(jq -c .supportedVersions <<<"$out")"
run env CNI_COMMAND=STATUS "$cni" </dev/null
is "STATUS, nothing on standard input" "1 6" "$code $(jq -c .code <<<"$out")"
connect_container early
polc ADD early
is "ADD without a policy: refused" "1 100" "$code $(said .code)"
like "and says so" "no policy is in force" "$(said .msg)"
polc DEL early
is "DEL without a policy" "0 " "$code $(cat said)"
jq -c '.cniVersion = "1.1.0"' polc.conf | env CNI_COMMAND=STATUS "$cni" >said
is "STATUS without a policy" 50 "$(said .code)"

# shellcheck disable=SC2119 # no endpoint yet
host_file >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null || bail "apply"
jq -c '.cniVersion = "1.1.0"' polc.conf | env CNI_COMMAND=STATUS "$cni" >said
is "STATUS" "0 " "$? $(cat said)"

# ---- ADD ---------------------------------------------------------------------------------------

connect_container server
connect_container client
serve server tcp 80
args="IgnoreUnknown=1;polc.app=server;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db-1" polc ADD server
is "ADD: labels by CNI_ARGS" 0 "$code"
is "prints the result of the plugin before it" "$(jq -S . prev.server)" "$(jq -S . said)"
mkdir -p labels/shop
echo '{"app": "client"}' >labels/id-client.json
polc ADD client
is "ADD: labels by a file" 0 "$code" || cat said
phase="both added"
expect open client server tcp 80
expect timeout server client tcp 80
expect timeout client server tcp 81
out=$("$POLLOAD" endpoints --json)
like "facts are labels" '"k8s.pod": "db-1"' "$out"
like "named after the container" '"name": "id-server/eth0"' "$out"
polc CHECK client
is "CHECK" "0 " "$code $(cat said)"
polc ADD client
is "ADD twice" "1 103" "$code $(said .code)"
expect open client server tcp 80

# ---- what is refused ----------------------------------------------------------------------------

connect_container third
refused() { # WHAT CODE JQ-FILTER TEXT
	polc ADD third "$3"
	is "ADD, $1" "1 $2" "$code $(said .code)"
	like "$1: says it" "$4" "$(said .msg)"
}
refused "two values for a label" 102 \
	'.labels = {app: "client"} | .runtimeConfig.labels = {app: "server"}' "another value"
refused "a reserved label" 102 '.labels = {"cni.network": "other"}' "reserved"
refused "a label that is no text" 102 '.args.cni.labels = [{key: "app", value: 1}]' "texts"
refused "no result before" 7 'del(.prevResult)' "prevResult"
refused "no address" 7 '.prevResult.ips = []' "no address"
refused "a bad address" 7 '.prevResult.ips[0].address = "10.77.0.256/16"' "10.77.0.256"
refused "another's address" 103 ".prevResult.ips[0].address = \"${v4[server]}/16\"" "belongs to"
refused "an old version" 1 '.cniVersion = "0.2.0"' "not supported"
refused "no network" 7 'del(.name)' "name"
refused "a number for a path" 7 '.bpffs = 7' "bpffs"
echo '{"app": "client", "app": "server"}' >labels/id-third.json
refused "a label file with a key twice" 102 . "duplicate"
chmod 666 labels/id-third.json
refused "a label file that all may write" 102 . "others than root can write"
rm labels/id-third.json
twice='.prevResult.ips += .prevResult.ips'
polc ADD third "$twice"
is "ADD without labels, each address twice" 0 "$code"
polc CHECK third "$twice"
is "CHECK, each address twice" "0 " "$code $(cat said)"
phase="an endpoint without labels"
expect timeout third server tcp 80
for id in ../third "" "a b" .x; do
	jq -c --slurpfile prev prev.third '.prevResult = $prev[0]' polc.conf |
		CNI_COMMAND=ADD CNI_CONTAINERID=$id CNI_IFNAME=eth0 CNI_NETNS=/run/netns/$test_name-third "$cni" >said
	is "ADD, '$id' for a container's id" 4 "$(said .code)"
done
inside third ip link add mv0 link eth0 type macvlan
jq -c --slurpfile prev prev.third '.prevResult = $prev[0] | .prevResult.interfaces[-1].name = "mv0"' polc.conf |
	CNI_COMMAND=ADD CNI_CONTAINERID=mv CNI_IFNAME=mv0 CNI_NETNS=/run/netns/$test_name-third "$cni" >said
is "ADD, a macvlan" 101 "$(said .code)"

# ---- CHECK, DEL, GC ---------------------------------------------------------------------------------

tc filter del dev "${dev[third]}" ingress
polc CHECK third
is "CHECK: hooks are missing" "1 104" "$code $(said .code)"
like "CHECK: says it" "lost its hooks" "$(said .msg)"
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null || bail "apply again"
polc CHECK third
is "CHECK: an apply mends it" 0 "$code"
phase="after an apply"
expect open client server tcp 80

# Still connected, no endpoint any more: closed both ways, also for what a flow would let through.
spawn client "$PROBE" stream "${v4[server]}" 80 --timeout 20000 --interval 10 --count n.client
stream=$spawned
echoing n.client
polc DEL client
is "DEL" "0 " "$code $(cat said)"
polc DEL client
is "DEL twice" "0 " "$code $(cat said)"
kill -USR1 "$stream"
wait "$stream"
is "its live flow stops" 3 $?
phase="after DEL"
expect timeout client server tcp 80
like "its hooks stay" "stub_ep_out" "$(tc filter show dev "${dev[client]}" ingress)"
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null || bail "apply again"
phase="after DEL and an apply"
expect timeout client server tcp 80
plugin "$plugins/bridge" DEL client <bridge.conf || bail "bridge DEL"

jq -c '.cniVersion = "1.1.0" | .["cni.dev/valid-attachments"] = [{containerID: "id-server", ifname: "eth0"}]' polc.conf |
	env CNI_COMMAND=GC "$cni" >said
is "GC" "0 " "$? $(cat said)"
is "GC: the valid one is left" '["id-server/eth0"]' "$("$POLLOAD" endpoints --json | jq -c '[.[] | .name]')"
jq -c '.cniVersion = "1.1.0"' polc.conf | env CNI_COMMAND=GC "$cni" >said
is "GC without a list: refused" 7 "$(said .code)"

# ---- many at once ------------------------------------------------------------------------------------

for i in $(seq 10); do connect_container "m$i"; done
for i in $(seq 10); do
	{
		jq -c --slurpfile prev "prev.m$i" '.prevResult = $prev[0] | .labels = {app: "client"}' polc.conf |
			plugin "$cni" ADD "m$i" >"many.$i" || echo "$i" >>many.failed
	} &
	pids[i]=$!
done
wait "${pids[@]}"
is "ten at once" "" "$(cat many.failed 2>/dev/null)"
phase="the last of ten"
expect open m10 server tcp 80
for i in $(seq 10); do
	polc DEL "m$i"
	plugin "$plugins/bridge" DEL "m$i" <bridge.conf
done
plugin "$plugins/bridge" DEL third <bridge.conf
polc DEL third
is "no endpoint is left over" '["id-server/eth0"]' "$("$POLLOAD" endpoints --json | jq -c '[.[] | .name]')"
"$POLLOAD" remove >/dev/null || not_ok "remove"
is "nothing hangs at an interface" "" \
	"$(for d in $(ip -o link | sed "s/^[0-9]*: //; s/[@:].*//"); do tc filter show dev "$d" ingress; done)"
finish
