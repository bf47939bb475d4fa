#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# doc/tutorial.md from its first command to its last, beside a Docker engine of this test's own.  Before a
# fenced block stands what it is:
#
#	<!-- RUN [outside] [eventually | fails] -->	commands, on the host or on a machine behind its uplink
#	<!-- SAYS -->		lines of what the block before said, in this order; "..." is anything
#	<!-- FILE name -->	a file; ADD name: more of it; INSTEAD name LINE: in place of that line
#
# Variables that a block sets are there in the next.
. "$(dirname "$0")/lib.sh"
bip=172.17.0.1/16
# shellcheck source=engine.sh
. "$e2e_tree/tests/e2e/engine.sh"

outside world
ip link set up0 down
ip link set up0 name eth0
ip address add 192.0.2.1/24 dev eth0 2>/dev/null
ip link set eth0 up
nsenter --net="/run/netns/$test_name-world" ip route replace default via 192.0.2.1
engine_start
images
rm rootfs/bin/wget
# A static busybox of glibc's cannot look up names, and its wget falls over that; this one says what that says.
cat >rootfs/bin/wget <<'END'
#!/bin/sh
while [ $# -gt 1 ]; do
	[ "$1" != -T ] || { seconds=$2; shift; }
	shift
done
[ "$seconds" -lt 3 ] || seconds=60 # what is to come has three seconds in the text, what is not two
rest=${1#http://} host=${1#http://} host=${host%%[:/]*}
path=/${rest#*/} port=${rest%%/*} port=${port#"$host"} port=${port#:}
printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$path" "$host" |
	nc -w "$seconds" "$host" "${port:-80}" 2>/dev/null >/answer || {
	echo "wget: download timed out" >&2
	exit 1
}
read -r status </answer
status=${status%?}
case $status in
*" 200 "*) busybox sed '1,/^.$/d' /answer ;;
*) echo "wget: server returned error: $status" >&2; exit 1 ;;
esac
END
chmod +x rootfs/bin/wget
tar -C rootfs -c . | "$docker" import - busybox >/dev/null || bail "docker import"

# ---- what a host has that this test does not: installed programs, and a service manager ------------

mkdir bin tutorial
ln -s "$docker" bin/docker
# Where `make install` puts things, below a folder of ours; what it puts there is what is used.
export DESTDIR=$work/installed
installed=$DESTDIR$(sed -n 's/^prefix = //p' "$e2e_build/Makefile")
ln -s "$e2e_build" tutorial/build
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
export POLC_TEMPLATES=$installed/share/polc/templates POLC_INCLUDE=$installed/share/polc/include
# Starts what the unit starts, and knows nothing else of it.
cat >bin/systemctl <<END
#!/bin/bash
verb=\$1 now=
[ "\$2" = --now ] && now=yes && shift
shift
for unit; do
	file=\$(find "$DESTDIR" -name "\$unit.service" | grep .) || exit 1
	grep -q '^WantedBy=' "\$file" || exit 1
	case \$verb\$now in
	enableyes)
		options=
		[ \$unit != polc-agent ] || options="--docker $work/dk/sock --plugin $plugin"
		eval "\$(sed -n 's|^ExecStart=.*/sbin/|$installed/sbin/|p' "\$file") \$options" >"$work/\$unit.log" 2>&1 </dev/null &
		echo \$! >"$work/\$unit.pid" ;;
	disableyes)
		[ ! -e "$work/\$unit.pid" ] || kill "\$(cat "$work/\$unit.pid")" ;;
	enable) ;;
	*) exit 1 ;;
	esac
done
END
chmod +x bin/systemctl
PATH=$work/bin:$installed/bin:$installed/sbin:$PATH
export PATH

# ---- the text -----------------------------------------------------------------------------------------

# Each block as a file N, and before it what it is in a file N.is.
mkdir blocks
awk '/^<!-- (RUN|SAYS|FILE|ADD|INSTEAD) ?.*-->$/ { sub(/^<!-- /, ""); sub(/ *-->$/, ""); is = $0; next }
	/^```/ && inside { inside = 0; is = ""; next }
	/^```/ && is != "" { inside = 1; n++; name = sprintf("blocks/%03d", n); print is >(name ".is"); printf "" >name; next }
	/^```/ { print "a block of which nothing is said, line " NR >"blocks/stray"; exit }
	inside { print >name }' "$e2e_tree/doc/tutorial.md"
[ ! -e blocks/stray ] || bail "$(cat blocks/stray)"

# shellcheck disable=SC2016 # expanded by the shell that it makes
run_block() { # FILE NAMESPACE: in one shell after the other, with their variables
	(cd tutorial && $2 timeout 120 bash -ec 'set -a; [ ! -e ../vars ] || . ../vars; . "$1"; set +a
		declare -p API WEB DB 2>/dev/null >../vars.new || true' - "../$1") >said 2>&1 </dev/null
	code=$?
	[ ! -s vars.new ] || mv vars.new vars
	return $code
}

# The lines of the block $1 in `said`, in this order.  The first that is not there, or nothing.
missing() {
	awk 'NR == FNR { want[++n] = $0; next } { gsub(/[ \t]+/, " "); seen[++m] = $0 }
	END {
		at = 1
		for (i = 1; i <= n; i++) {
			line = want[i]
			gsub(/[ \t]+/, " ", line)
			pattern = line
			gsub(/[][\\^$*+?(){}|\/]/, "\\\\&", pattern)
			gsub(/\.\.\./, "\001", pattern)
			gsub(/\./, "\\.", pattern)
			gsub(/\001/, ".*", pattern)
			for (k = at; k <= m && seen[k] !~ pattern; k++)
				;
			if (k > m) { print line; exit }
			at = k + 1
		}
	}' "$1" said
}

says() { # the block behind $1, if it is one of SAYS
	local next
	next=$(printf 'blocks/%03d' $((10#${1#blocks/} + 1)))
	case $(cat "$next.is" 2>/dev/null) in SAYS*) echo "$next" ;; esac
}

run_is() { # BLOCK WORDS...
	local block=$1 word tries=1 fails=0 where='' expected
	shift
	for word; do
		case $word in
		outside) where="nsenter --net=/run/netns/$test_name-world" ;;
		eventually) tries=60 ;;
		fails) fails=1 ;;
		esac
	done
	expected=$(says "$block")
	while :; do
		run_block "$block" "$where"
		tries=$((tries - 1))
		if [ "$((code != 0))" = "$fails" ]; then
			lacks=${expected:+$(missing "$expected")}
			if [ -z "$lacks" ]; then
				ok "$(head -n 1 "$block")"
				return
			fi
		else
			lacks="another exit code than $code"
		fi
		[ $tries -gt 0 ] || break
		sleep 0.3
	done
	not_ok "$(head -n 1 "$block")" "missing: $lacks" "said:" "$(cat said)"
}

for block in blocks/???; do
	read -r what name line <"$block.is"
	case $what in
	RUN) run_is "$block" ${name:+"$name"} ${line:+"$line"} ;;
	FILE) cp "$block" "tutorial/$name" ;;
	ADD) { echo; cat "$block"; } >>"tutorial/$name" ;;
	INSTEAD)
		is "one line to replace: $line" 1 "$(grep -cF "$line" "tutorial/$name")"
		awk -v line="$line" -v block="$block" 'index($0, line) { while ((getline < block) > 0) print; next } { print }' \
			"tutorial/$name" >changed
		mv changed "tutorial/$name" ;;
	esac
done
finish
