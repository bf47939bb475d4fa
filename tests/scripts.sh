#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Every script passes shellcheck.
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$top" || exit 99
command -v shellcheck >/dev/null || {
	echo "shellcheck is not installed"
	exit 77
}
tests=0
failed=0
while read -r file; do
	case $(head -n 1 "$file") in
	'#!'*sh*) ;;
	*) [ "$file" = ./completions/polc.bash ] || continue ;;
	esac
	tests=$((tests + 1))
	if shellcheck --severity=style --external-sources --source-path=SCRIPTDIR "$file" \
		>/tmp/shellcheck.$$ 2>&1; then
		echo "ok $tests - $file"
	else
		sed 's/^/# /' /tmp/shellcheck.$$
		echo "not ok $tests - $file"
		failed=1
	fi
	rm -f /tmp/shellcheck.$$
done < <(find . \( -path ./.git -o -path './build*' -o -path './_build' -o -path ./autom4te.cache -o -path ./build-aux \) -prune -o \
	-type f \( -perm -u+x -o -name '*.sh' -o -name '*.bash' \) ! -name configure ! -name 'configure~' ! -name '*.o' -print | sort)
echo "1..$tests"
exit $failed
