#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# How long changes take on a host that knows so many endpoints: the first apply, an apply over another policy
# (`apply`), and a container that comes and goes (`endpoint`), process start included. Beside them nftables: a table with
# a map from addresses to chains, a line for each endpoint, put in force, put in force again, and one element added and
# deleted. What that takes is `host`: bytes of our maps (bpftool), and the peak of polload's memory in an apply.
#
#	apply.sh
#
# Environment: MEASURE, the program of measure.c; and as lib.sh says.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
measure=${MEASURE:-$e2e_build/tests/bench/measure}
[ -x "$measure" ] || skip "$measure is not built"

container alice 1 "app: alice"
container bob 2 "app: bob"
compile one <<'END'
default deny;
pool 10.0.0.0/8, fd66::/48;
endpoint alice = app == "alice";
endpoint bob = app == "bob";
endpoint other = app == "other";
policy alice { allow to bob; }
policy bob { allow from alice, other on tcp 80; }
policy other { allow to bob; }
END
sed 's/tcp 80/tcp 81/' one.pol | compile two

write() { # ENDPOINTS: bob here, the others elsewhere
	{
		host_file bob
		[ "$1" -le 1 ] || echo "remote:"
		awk -v n="$1" 'BEGIN {
			for (i = 1; i < n; i++)
				printf "  - {addresses: [10.%d.%d.%d], labels: {app: other}}\n", 100 + int(i / 65536), int(i / 256) % 256, i % 256
		}'
	} >host.yaml
	awk -v n="$1" 'BEGIN {
		print "table inet bench {\nchain bob { tcp dport 80 accept; drop\n}\nchain other { drop\n}"
		print "map of { type ipv4_addr : verdict; elements = { 10.66.2.2 : jump bob,"
		for (i = 1; i < n; i++)
			printf "10.%d.%d.%d : jump other,\n", 100 + int(i / 65536), int(i / 256) % 256, i % 256
		print "} }\nchain forward { type filter hook forward priority 0; ct state established,related accept; ip daddr vmap @of\n}\n}"
	}' >first.nft
	{ echo "table inet bench"; echo "delete table inet bench"; cat first.nft; } >again.nft
}

timed() { # EXPERIMENT CASE PEER METRIC ROUND COMMAND...
	local began
	began=$(date +%s%N)
	"${@:6}" >out 2>&1 || bail "${*:6}: $(head -n 3 out)"
	sample "$1" "$2" "$3" "$4" ms "$5" "$(awk -v ns=$(($(date +%s%N) - began)) 'BEGIN { printf "%.2f", ns / 1e6 }')"
}

map_bytes() {
	find "$POLC_BPFFS" -type f | while read -r file; do
		bpftool -j map show pinned "$file" 2>/dev/null | jq -r 'select(.id) | "\(.id) \(.bytes_memlock)"'
	done | sort -u | awk '{ s += $2 } END { if (s) print s }'
}

for n in $(quick "1 10 100 1000 10000 60000" "1 1000"); do
	write "$n"
	often=$(rounds 7 2)
	[ "$n" -lt 10000 ] || often=$(((often + 1) / 2))
	for ((round = 1; round <= often; round++)); do
		case="endpoints=$n"
		timed apply "$case" polc first "$round" "$POLLOAD" apply one.bpf.o -H host.yaml
		[ "$round" -gt 1 ] || sample host "$case" polc maps bytes 1 "$(map_bytes)"
		timed apply "$case" polc again "$round" "$POLLOAD" apply two.bpf.o -H host.yaml
		timed endpoint "$case" polc add "$round" "$POLLOAD" endpoint add alice interface=v-alice "address=${v4[alice]}" "address=${v6[alice]}" label=app=alice
		timed endpoint "$case" polc del "$round" "$POLLOAD" endpoint del alice
		[ "$round" -gt 1 ] || sample host "$case" polc peak MiB 1 "$("$measure" "$POLLOAD" apply one.bpf.o -H host.yaml | awk 'END { print $4 }')"
		"$POLLOAD" remove >/dev/null || bail "remove"
		timed apply "$case" nft-sets first "$round" nft -f first.nft
		timed apply "$case" nft-sets again "$round" nft -f again.nft
		timed endpoint "$case" nft-sets add "$round" nft add element inet bench of "{ ${v4[alice]} : jump other }"
		timed endpoint "$case" nft-sets del "$round" nft delete element inet bench of "{ ${v4[alice]} }"
		nft delete table inet bench
	done
done
bench_done
