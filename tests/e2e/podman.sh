#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# polc-cni called by podman, behind Debian's bridge plugin: its containers are endpoints from their first
# instruction until they go, or they are refused.  And its API, which says less than Docker's, followed by polc-agent.
. "$(dirname "$0")/lib.sh"
SNIFF=${SNIFF:-$e2e_build/tests/tools/sniff}
[ -x "$e2e_build/polc-cni" ] || skip "polc-cni is not built"
servers=$e2e_build/servers
PATH=$servers/usr/sbin:$servers/usr/bin:$PATH
plugins=/usr/lib/cni
[ -x "$plugins/bridge" ] || skip "no CNI plugin: install containernetworking-plugins"
for program in podman conmon runc jq; do
	command -v "$program" >/dev/null || skip "no $program"
done
busybox=$servers/bin/busybox
[ -x "$busybox" ] || skip "no static busybox in $servers"
LD_LIBRARY_PATH=$(echo "$servers"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

compile net <<'END'
default deny;
pool 10.79.0.0/16, fd79::/64;
endpoint client = k8s.pod == "client" and cni.network == "shop";
endpoint server = app == "server";
policy client { allow to server on tcp 80, 81; }
policy server { allow from client on tcp 80; }
END

# ---- a podman of this test's own ---------------------------------------------------------------------

mkdir -p net.d rootfs/bin rootfs/www labels /run/containers
mount -t tmpfs none /run/containers # the lock of CNI's cache, and what podman thinks is one a host
echo '{"app": "server"}' >labels/server.json
cat >net.d/shop.conflist <<END
{"cniVersion": "0.4.0", "name": "shop", "plugins": [
  {"type": "bridge", "bridge": "podbr0", "isGateway": true,
   "ipam": {"type": "host-local", "dataDir": "$work/ipam", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "10.79.0.0/24"}], [{"subnet": "fd79::/64"}]]}},
  {"type": "polc-cni", "bpffs": "$POLC_BPFFS", "stateDir": "$POLC_STATE_DIR", "labelDir": "$work/labels"}]}
END
cat >containers.conf <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["$plugins", "$e2e_build"]
network_config_dir = "$work/net.d"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
conmon_path = ["$(command -v conmon)"]
[engine.runtimes]
runc = ["$(command -v runc)"]
END
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
export CONTAINERS_CONF=$work/containers.conf
pod() {
	podman --root "$work/root" --runroot "$work/runroot" --tmpdir "$work/tmp" --storage-driver vfs "$@"
}
echo hello >rootfs/www/hello
cp "$busybox" rootfs/bin/busybox
for program in sh nc sleep; do ln -s busybox "rootfs/bin/$program"; done
tar -C rootfs -c . | pod import --signature-policy policy.json - box:1 >import.out 2>&1 || bail "podman import: $(cat import.out)"

box() { # NAME COMMAND...
	pod run -d --name "$1" --network shop box:1 "${@:2}" >"$1.out" 2>&1 || not_ok "podman run $1" "$(tail -n 3 "$1.out")"
}
how_many() {
	"$POLLOAD" endpoints --json | jq length
}
address() { # NAME KEY
	pod inspect "$1" | jq -r ".[0].NetworkSettings.Networks.shop.$2"
}
reach() { # open | closed FROM ADDRESS PORT
	local seen
	for _ in 1 2 3 4 5 6 7 8; do
		seen=closed
		! printf 'GET /hello HTTP/1.0\r\n\r\n' | pod exec -i "$2" nc -w 1 "$3" "$4" 2>/dev/null | grep -qx hello || seen=open
		# what has to be open may take a moment
		[ "$1$seen" = openclosed ] || break
	done
	is "$2 to $3 port $4" "$1" "$seen"
}

# ---- containers -----------------------------------------------------------------------------------------

run pod run --rm --network shop box:1 sleep 0
is "without a policy in force: refused" yes "$([ "$code" != 0 ] && echo yes)"
like "and podman says why" "no policy is in force" "$err"
# shellcheck disable=SC2119 # no endpoint yet
host_file >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null || bail "apply"

box server sh -c 'busybox httpd -p 81 -h /www; exec busybox httpd -f -p 80 -h /www'
box client sleep 1000
box other sleep 1000
is "three endpoints" 3 "$(how_many)"
to=$(address server IPAddress) to6=$(address server GlobalIPv6Address)
reach open client "$to" 80
reach open client "$to6" 80
reach closed client "$to" 81
reach closed other "$to" 80
out=$("$POLLOAD" endpoints --json)
like "a label of its file" '"app": "server"' "$out"
like "a fact by podman" '"k8s.pod": "client"' "$out"

# The first instruction sends: what may be comes, what may not does not.
pid=$(pod inspect server | jq .[0].State.Pid)
for port in 80 99; do
	nsenter --net="/proc/$pid/ns/net" "$SNIFF" eth0 $port sniff.$port &
	for _ in {1..600}; do [ -s sniff.$port ] && break; sleep 0.05; done
done
pod rm -f -t 0 client >/dev/null 2>&1
pod run --rm --name client --network shop box:1 sh -c "nc -w 1 $to 99 & nc -w 1 $to 80 </dev/null; wait" >/dev/null 2>&1
for _ in {1..600}; do [ "$(cat sniff.80)" = 0 ] || break; sleep 0.05; done
is "a denied first packet" 0 "$(cat sniff.99)"
is "an allowed one" yes "$([ "$(cat sniff.80)" -gt 0 ] && echo yes)"
is "who has ended is no endpoint" 2 "$(how_many)"
pod rm -f -t 0 server other >/dev/null 2>&1
is "all have gone" 0 "$(how_many)"
is "and their interfaces" "" "$(ip -o link show type veth)"

# ---- its API ----------------------------------------------------------------------------------------

# Its list of containers does not say who joins whom: one with other labels, by way of one with the right ones.
cat >net.d/plain.conflist <<END
{"cniVersion": "0.4.0", "name": "plain", "plugins": [
  {"type": "bridge", "bridge": "podbr1", "isGateway": true,
   "ipam": {"type": "host-local", "dataDir": "$work/ipam", "ranges": [[{"subnet": "10.79.1.0/24"}]]}}]}
END
pod system service -t 0 "unix://$work/podman.sock" >service.out 2>&1 &
for _ in {1..600}; do [ -S podman.sock ] && break; sleep 0.05; done
"$e2e_build/polc-agent" --docker "$work/podman.sock" --plugin '' >>agent.log 2>&1 &
agent_pid=$!
labelled() { # NAME LABEL NETWORK run -d | create
	pod "${@:4}" --name "$1" --label "$2" --network "$3" box:1 sleep 1000 >"$1.out" 2>&1 ||
		not_ok "podman $4 $1" "$(tail -n 3 "$1.out")"
}
labelled first app=client plain run -d
labelled other app=other plain run -d
endpoints_are "by its API: two" "first/plain other/plain"
labelled helper app=client container:first run -d
labelled joiner app=other container:helper create
endpoints_are "one with other labels is about to join by another: closed" "other/plain"
pod start joiner >joiner.out 2>&1
: >agent.log
for _ in {1..400}; do grep -q "container joiner with other labels" agent.log && break; sleep 0.1; done
endpoints_are "it has joined" "other/plain"
pod rm -f -t 0 joiner >/dev/null 2>&1
endpoints_are "alone again" "first/plain other/plain"
pod rm -f -t 0 helper >/dev/null 2>&1
pod rm -f -t 0 first other >/dev/null 2>&1
endpoints_are "none is left" ""
kill "$agent_pid"
wait "$agent_pid"
is "the agent ends when asked" 0 "$?"
finish
