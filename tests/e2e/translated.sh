#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# A host that sends what was judged for one container to another: what is delivered is what
# counts. The mark of a judged packet names whom it was judged for.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/bridge.sh"

bridge_up br1 1
bridge_up br2 2
bridged alice br1 1 2 "app: alice"
bridged bob br2 2 2 "app: bob"
bridged carol br2 2 3 "app: carol"
outside world
bridged_host_file alice bob carol >host.yaml
for name in bob carol; do
	serve $name tcp 7000
	serve $name udp 7000
done

policy() { # NAME FROM-WHOM: what carol lets in
	compile "$1" <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint alice = app == "alice";
endpoint bob = app == "bob";
endpoint carol = app == "carol";
policy alice { allow to bob on tcp 7000, udp 7000; }
policy bob { allow from alice, world on tcp 7000, udp 7000; }
policy carol { $2 }
END
}
policy closed ""
policy open "allow from alice, world on tcp 7000, udp 7000;"
sed 's/allow to bob/allow to bob, carol/' open.pol | compile both

"$POLLOAD" apply closed.bpf.o -H host.yaml >/dev/null || bail "apply"
for proto in tcp udp; do
	for who in alice world; do
		expect open $who bob $proto 7000
		expect timeout $who carol $proto 7000
	done
done

nft -f - <<END || bail "nft"
table inet elsewhere {
	chain prerouting {
		type nat hook prerouting priority dstnat;
		ip daddr ${v4[bob]} meta l4proto { tcp, udp } th dport 7000 dnat ip to ${v4[carol]}
		ip6 daddr ${v6[bob]} meta l4proto { tcp, udp } th dport 7000 dnat ip6 to ${v6[carol]}
	}
}
END
# Her answers would be dropped as those to nobody's question: what counts is what she gets.
got() {
	inside carol cat /proc/net/snmp /proc/net/snmp6 | awk '
		/^Tcp: [0-9]/ { n += $11 } /^Udp: [0-9]/ { n += $2 + $3 } /^Tcp6|^Udp6(InDatagrams|NoPorts) / { n += $2 }
		END { print n }'
}
before=$(got)
for proto in tcp udp; do
	for who in alice world; do
		expect timeout $who bob $proto 7000
	done
done
is "of what was judged for bob and went to carol nothing arrives" "$before" "$(got)"

# It reaches her if she may be reached; from alice only if alice may, too.
"$POLLOAD" apply open.bpf.o >/dev/null || bail "apply"
for proto in tcp udp; do
	expect open world bob $proto 7000
	expect timeout alice bob $proto 7000
done
"$POLLOAD" apply both.bpf.o >/dev/null || bail "apply"
for proto in tcp udp; do
	expect open world bob $proto 7000
	expect open alice bob $proto 7000
done
finish
