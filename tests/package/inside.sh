#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Part of check.sh: in the fresh root, in namespaces of its own, with what the packages depend on installed.
set -u
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
names="polc polload polproxy polc-agent polc-cni"
tests=0
failed=0

is() { # WHAT EXPECTED SEEN
	tests=$((tests + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $tests - $1"
	else
		printf 'not ok %d - %s\n# expected: %s\n# seen:     %s\n' $tests "$1" "${2//$'\n'/$'\n'#   }" "${3//$'\n'/$'\n'#   }"
		failed=1
	fi
}

works() { # WHAT COMMAND...: $said is what it said
	local what=$1 code
	shift
	said=$("$@" 2>&1 </dev/null)
	code=$?
	is "$what" 0 "$code"
	[ $code = 0 ] || printf '# %s\n' "${said//$'\n'/$'\n'# }"
}

# Every file with what is in it, but for the books of dpkg and caches, and the lock and the copies that adduser leaves.
files() {
	find / -xdev \( -path /packages -o -path /proc -o -path /sys -o -path /dev -o -path /var/lib/dpkg -o -path /var/log \
		-o -path /var/cache -o -path /tmp -o -path /etc/ld.so.cache -o -path /run/adduser -o -path '/etc/*-' \) -prune -o -type f -exec md5sum {} + \
		-o -printf '%y %p\n' | sort
}

# ---- installed -----------------------------------------------------------------------------

before=$(files)
works "install" dpkg -i /packages/first/*.deb
is "nothing is enabled" "" "$(find /etc/systemd -name 'pol*' 2>/dev/null)"
is "an upgrade stops nothing" "" "$(grep -ls 'deb-systemd-invoke stop' /var/lib/dpkg/info/pol*.preinst)"
is "polproxy has a user" polproxy "$(getent passwd polproxy | cut -d : -f 1)"
is "a page of each" "" "$(for page in man1/polc.1 man5/polc-policy.5 man5/polc-host.5 man8/polload.8 man8/polproxy.8 man8/polc-agent.8 man8/polc-cni.8; do
	ls /usr/share/man/$page.gz 2>&1 >/dev/null
done)"

# ---- used -------------------------------------------------------------------------------------

mkdir /tmp/use
cd /tmp/use || exit 99
works "polc --version" polc --version
works "polc check of the examples" polc check /usr/share/doc/polc/examples/*.pol
works "polc compiles" polc /usr/share/doc/polc/examples/minimal.pol -o minimal.bpf.o
is "and says nothing" "" "$said"

ip link set lo up
ip link add v-web type veth peer name c-web
ip link set v-web up
ip link set c-web up
cat >host.yaml <<'END'
host: fresh
endpoints:
  - {name: web-1, interface: v-web, addresses: [10.1.0.2, "fd00:1::2"], labels: {app: web}}
END
chmod 700 /tmp/use
works "polload check" polload check minimal.bpf.o
works "polload apply" polload apply minimal.bpf.o -H host.yaml
is "polload apply: what it says" "minimal.pol is in force: generation 1, 1 endpoint here, 0 elsewhere, 0 uplinks" "$said"
in_force() { # what is pinned, and which objects of the kernel these are
	find /sys/fs/bpf -mindepth 1 ! -name '*.debug' -printf '%p %i\n' | sort
}
is "its links are pinned" 1 "$(in_force | grep -c -m 1 link)"

# ---- upgraded, while it is in force -----------------------------------------------------------------

pinned=$(in_force)
works "upgrade" dpkg -i /packages/next/*.deb
is "it is the next version" "+next" "$(dpkg-query -W -f '${Version}' polload | grep -o '+next')"
is "the same programs are in force" "$pinned" "$(in_force)"
works "and the new polload knows them" polload status
works "and takes over" polload apply minimal.bpf.o
is "and takes over: what it says" "minimal.pol is in force: generation 2, 1 endpoint here, 0 elsewhere, 0 uplinks" "$said"

# ---- removed ----------------------------------------------------------------------------------------

# shellcheck disable=SC2086 # names
works "remove" dpkg --remove $names
is "nothing is in force" "" "$(in_force)$(tc qdisc show dev v-web | grep clsact)"
# shellcheck disable=SC2086 # names
works "purge" dpkg --purge $names
cd /
rm -rf /tmp/use
is "all files are as before" "" "$(diff <(echo "$before") <(files))"
echo "1..$tests"
exit $failed
