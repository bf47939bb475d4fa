#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# systemd understands every unit, and that of the agent, which runs as root, exposes no more than it has to.
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
build=${top_builddir:-$top/build}
command -v systemd-analyze >/dev/null || {
	echo "systemd-analyze is not installed"
	exit 77
}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
tests=0
failed=0

result() { # WHAT WRONG: nothing, if it is right
	tests=$((tests + 1))
	if [ -z "$2" ]; then
		echo "ok $tests - $1"
		return
	fi
	echo "not ok $tests - $1"
	printf '# %s\n' "${2//$'\n'/$'\n'# }"
	failed=1
}

for unit in "$build"/{container,monitoring,proxy,runtime}/*.service; do
	[ -e "$unit" ] || continue
	name=${unit##*/}
	# The programs where they are now; pages are not installed.
	sed "s|^\(Exec[A-Za-z]*=[+-]*\)[^ ]*/\(pol[a-z-]*\)|\1$build/\2|; /^Documentation=/d" "$unit" >"$work/$name"
	result "$name: verify" "$(SYSTEMD_UNIT_PATH=$work: systemd-analyze verify "$work/$name" 2>&1 | grep -F "$name")"
done
agent=$work/polc-agent.service
result "polc-agent.service: exposure of 4.0 at most" \
	"$(systemd-analyze security --offline=true --threshold=40 --no-pager "$agent" >"$work/exposure" 2>&1 || cat "$work/exposure")"
echo "# $(sed -n 's/.*\(Overall exposure level.*: [0-9.]*\).*/\1/p' "$work/exposure")"
echo "1..$tests"
exit $failed
