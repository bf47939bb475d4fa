#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Others on the same host: programs that would see packets before us, routing rules that
# would take packets with our marks, bridges, interfaces without hooks.  Apply refuses and
# names them, what is in force stays; status sees what came later.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"
foreign=$e2e_build/tests/tools/foreign
[ -x "$foreign" ] || skip "$foreign is not built"

shop_containers
shop_compile

begin_foreign() { # DEVICE PLACE: false if this kernel has no such place
	rm -f said held
	mkfifo held
	"$foreign" "$1" "$2" <held >said 2>foreign.err &
	stranger=$!
	exec 9>held
	for _ in $(seq 600); do
		[ -s said ] && return 0
		kill -0 "$stranger" 2>/dev/null || break
		sleep 0.05
	done
	exec 9>&-
	wait "$stranger"
	[ $? = 77 ] || bail "cannot attach: $(cat foreign.err)"
	return 1
}

end_foreign() {
	exec 9>&-
	wait "$stranger"
}

refused() { # LABEL WORD...: by apply, with nothing left behind or changed
	local label=$1 word before
	shift
	before=$(snapshot)
	run "$POLLOAD" apply two.bpf.o -H host.yaml
	is "apply refuses $label" 3 "$code"
	for word; do
		like "and names it" "$word" "$err"
	done
	is "and changes nothing" "$before" "$(snapshot)"
}

each_place() {
	local place dev
	for place in xdp tcx-ingress tcx-egress; do
		for dev in v-server up0; do
			begin_foreign "$dev" "$place" || { echo "# no $place here"; continue; }
			refused "a foreign $place program on $dev" "'foreigner'" "interface '$dev'"
			[ -z "$in_force" ] || {
				run "$POLLOAD" status
				is "status sees it" 1 "$code"
				like "and names it" "program 'foreigner'" "$out"
			}
			end_foreign
		done
	done
}

each_rule() {
	local ip
	for ip in "ip" "ip -6"; do
		$ip rule add fwmark 0x100/0xf00 lookup 77 priority 5
		refused "a foreign \`$ip rule\` on our mark" "'$ip rule', priority 5" "0x100/0xf00 to table 77"
		[ -z "$in_force" ] || like "status sees it" "priority 5" "$("$POLLOAD" status)"
		$ip rule del priority 5
	done
	# of others, and out of our way
	ip rule add fwmark 0x1/0xff lookup 77 priority 5
	ip rule add fwmark 0xca6c lookup 77 priority 6
}

in_force=
each_place
each_rule
is "nothing is left of applies that failed" "" "$(find bpf state -mindepth 1 ! -name "*.debug")"
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "apply beside rules on other marks" 0 "$code" || echo "# $err"
ip rule del priority 5
ip rule del priority 6
in_force=yes
each_place
each_rule
shop_in_force one
run "$POLLOAD" status
is "status: all in place again" 0 "$code" || echo "# $out"

phase="interfaces without hooks"
ip link add other type veth peer name rest
ip link set other up
run "$POLLOAD" status
is "an interface without routes is nobody's business" 0 "$code" || echo "# $out"
ip addr add 203.0.113.1/24 dev other
ip link set rest up
run "$POLLOAD" status
is "one with an IPv4 route" 1 "$code"
like "is named" "interface 'other': it is up, has routes, and no hooks" "$out"
run "$POLLOAD" status --json
like "in JSON too" "interface 'other'" "$(jq -r '.missing[]' <<<"$out")"
ip addr flush dev other
ip -6 route add 2001:db8:77::/64 dev other
run "$POLLOAD" status
is "one with an IPv6 route" 1 "$code"
ip link set other down
run "$POLLOAD" status
is "one that is down" 0 "$code" || echo "# $out"
ip link del other

phase="hooks that went"
tc filter del dev v-server egress
run "$POLLOAD" status
is "a filter removed" 1 "$code"
like "is named" "endpoint 'server': its hooks are not in place" "$out"
run "$POLLOAD" apply one.bpf.o
is "apply puts it back" 0 "$code"
run "$POLLOAD" status
is "status: all in place again" 0 "$code" || echo "# $out"

phase="bridges"
ip link add br7 type bridge
ip link set br7 up
ip link set v-server master br7
run "$POLLOAD" status
is "an endpoint without mac became a port of a bridge" 1 "$code"
like "is named" "became a port of a bridge" "$out"
run "$POLLOAD" apply two.bpf.o -H host.yaml
is "apply refuses an endpoint without mac on a bridge" 2 "$code"
like "with its place in the file" "host.yaml:5:12: endpoint 'server'" "$err"
sed "s/interface: v-server/&, mac: \"$(inside server ip -br link show eth0 | awk '{ print $3 }')\"/" host.yaml >mac.yaml
run "$POLLOAD" apply two.bpf.o -H mac.yaml
is "and takes it with its mac" 0 "$code" || echo "# $err"
ip addr add 10.66.77.1/24 dev br7
run "$POLLOAD" status
is "a bridge is covered where its ports are" 0 "$code" || echo "# $out"
"$POLLOAD" endpoint del client >/dev/null
ip link set v-client master br7
run "$POLLOAD" endpoint add client interface=v-client address=10.66.1.2 label=app=client
is "endpoint add on a bridge without mac" 2 "$code"
like "says what is missing" "its \`mac\` has to be said" "$err"

phase="docker-proxy"
ip link set v-client nomaster
ip link set v-server nomaster
sed 's/^default deny;/&\noption host open;/' one.pol >open.pol
"$POLC" open.pol -o open.bpf.o || bail "compile"
published() { # ADDRESS: what has docker-proxy's command line, as Docker starts it
	(exec -a /usr/bin/docker-proxy bash -c 'read -r' -proto tcp -host-ip 0.0.0.0 -host-port 8080 \
		-container-ip "$1" -container-port 80 <>held) &
	publisher=$!
	for _ in $(seq 600); do
		tr '\0' ' ' <"/proc/$publisher/cmdline" | grep -q -e "-container-ip $1" && return
		sleep 0.05
	done
	bail "no process like docker-proxy"
}
for a in "${v4[server]}" "${v6[server]}"; do
	published "$a"
	run "$POLLOAD" apply open.bpf.o -H host.yaml
	is "apply refuses \`option host open\` for what it publishes" 3 "$code"
	like "and names the port" "endpoint 'server': docker-proxy (process $publisher) publishes its port 80 as 8080" "$err"
	run "$POLLOAD" apply two.bpf.o -H host.yaml
	is "and nothing is wrong without that option" 0 "$code" || echo "# $err"
	kill "$publisher"
	wait "$publisher" 2>/dev/null
done
run "$POLLOAD" apply open.bpf.o -H host.yaml
is "nor without docker-proxy" 0 "$code" || echo "# $err"
published "${v4[server]}"
run "$POLLOAD" status
is "status sees one that came later" 1 "$code"
like "and names it" "docker-proxy (process $publisher) publishes" "$out"
run setpriv --bounding-set=-sys_ptrace "$POLLOAD" status
is "without CAP_SYS_PTRACE, as units are, too" 1 "$code"
kill "$publisher"
wait "$publisher" 2>/dev/null
# Words alone are anybody's: of who is not root, of root in a container, and of a program that makes anybody root.
chmod 711 .
cp "$(readlink -f "$(command -v bash)")" setuid && chmod 4755 setuid
"$POLLOAD" apply open.bpf.o -H host.yaml >/dev/null || not_ok "apply"
impostor() { # WHO PROGRAM COMMAND...: what it begins with
	local who=$1 program=$2 pid
	shift 2
	"$@" bash -c "exec -a docker-proxy $program -pc 'read -r' -proto tcp -host-port 80 -container-ip ${v4[server]} -container-port 80" <>held &
	pid=$!
	for ((i = 0; i < 600; i++)); do
		! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q '^docker-proxy -pc' || break
		sleep 0.05
	done
	run "$POLLOAD" apply open.bpf.o
	is "$who is no docker-proxy: apply" 0 "$code" || echo "# $err"
	"$POLLOAD" endpoint del server >/dev/null || not_ok "endpoint del"
	run "$POLLOAD" endpoint add server interface=v-server address="${v4[server]}" address="${v6[server]}" label=app=server
	is "$who is no docker-proxy: endpoint add" 0 "$code" || echo "# $err"
	kill $pid
	wait $pid
} 2>/dev/null
impostor "a user of this host" bash setpriv --reuid 65534 --regid 65534 --clear-groups
impostor "a user in a container" bash inside client setpriv --reuid 65534 --regid 65534 --clear-groups
impostor "root in a container" bash inside client
impostor "a set-user-ID program" "$work/setuid" env
finish
