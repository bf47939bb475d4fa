#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Fuzzes what reads what others wrote, each from a corpus in the tree.
#   tests/fuzz/run.sh [parse|compile|import|object|hostfile|query|http|http1|h2|lsp|container]...   all, if none is named
#   POLC_FUZZ_SECONDS=N (10 for parse, 5 for the others)   POLC_FUZZ_SEED=N (by the clock, printed)
#   POLC_FUZZ_KEEP=1      goes on where the last such run was: what it finds stays in the build's tests/fuzz/grown
#   POLC_FUZZ_COVERAGE=1  with fuzzers that count lines: a table of how many each reaches, by room
# What a fuzzer ever found is in regressions/NAME, and tried first.
# shellcheck disable=SC2317 # called by name
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${top_builddir:-$top/build}
seed=${POLC_FUZZ_SEED:-${POLC_NEW_SEED:-$(date +%s)}}
[ $# -gt 0 ] || set -- parse compile import object hostfile query http http1 h2 lsp container
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
tests=0
failed=0
fuzzers=$build/tests/fuzz
[ -z "${POLC_FUZZ_COVERAGE:-}" ] || fuzzers=$build/tests/fuzz/coverage

# ---- what to begin with: files in corpus/, and `words` ---------------------------------

compile_corpus() {
	parse_corpus
}

# Every policy of the tree; every word of the language, and some values on its edges.
parse_corpus() {
	local n=0 file
	while read -r file; do
		n=$((n + 1))
		cp "$file" "corpus/$n-$(basename "$file")"
	done < <(find "$top/lang/examples" "$top/tests" -name '*.pol' -size -64k | sort)
	printf 'import "b.pol";\ndefault deny;\n\036cidr x = file "l.txt" or none;\n\036\036192.0.2.0/24\n' >corpus/many
	sed -n 's/^%token.* "\([a-z0-9]*\)"$/"\1"/p' "$top/lang/parse.y" >words
	printf '"%s"\n' '0-65535' '200/s' '10.0.0.0/8' '::/0' '64:ff9b::/96' '\x1e' 'default deny;' \
		'policy x { allow from any; }' 'endpoint x = true;' >>words
}

yaml_words() {
	printf '"%s"\n' '\x0a' ': ' '- ' '{}' '[]' '&a ' '*a' '!!' '---' '...' '|' '>' "''" '4294967295' \
		'true' 'null' '<<' '%YAML' '\xef\xbb\xbf'
}

object_corpus() {
	local abi file
	abi=$(sed -n 's/^#define POL_ABI_VERSION[[:space:]]*\([0-9]*\).*/\1/p' "$top/include/polc/abi.h")
	for file in "$top"/tests/fuzz/object-corpus/*; do # of this version, or nothing behind it is reached
		sed "s/^abi: .*/abi: $abi/" "$file" >"corpus/${file##*/}"
	done
	printf 'selectors:\n\036\036\0\0\0\0\377\377' >corpus/over
	yaml_words >words
	printf '"%s"\n' '\x1e' 'op: in' 'op: not' 'op: and' 'selector: ' 'set: ' 'root: ' 'base: ' 'rows: ' \
		'audit: true' 'stage: admin' 'vips: ' 'backends: ' 'mode: dsr' 'check: ' >>words
}

import_corpus() {
	cp "$top"/tests/fuzz/import-corpus/* corpus/
	yaml_words >words
}

query_corpus() {
	cp "$top"/tests/fuzz/query-corpus/* corpus/
	printf '"%s"\n' 'from ' 'to ' 'peer ' 'on ' 'tcp ' 'icmp6 ' 'proto ' 'reason ' 'rule ' '0-65535' '[a=b]' \
		'@10.0.0.1' '"' ']' '::/0' >words
}

container_corpus() {
	cp "$top"/tests/fuzz/container-corpus/* corpus/
	printf '"%s"\n' '\x1e' '/NetworkDriver.' '/IpamDriver.' '"NetworkID"' '"EndpointID"' '"Interface"' '"Options"' '"PoolID"' '"SubPool"' \
		'polc.label.' 'com.docker.network.' '/32' '/128' '::' '"DriverOpts"' '"Networks"' '"Labels"' 'container:' \
		'"prevResult"' '"interface"' 'CNI_' 'polc.' '"ips"' 'docker-' '.scope' '\x5cu0000' >words
}

hostfile_corpus() {
	cp "$top"/tests/fuzz/hostfile-corpus/* "$top"/tests/golden/hostfile/*.yaml corpus/
	yaml_words >words
	printf '"%s"\n' 'uplinks' 'endpoints' 'remote' 'nodes' 'labels' 'addresses' '"::ffff:1.2.3.4"' >>words
}

# Texts to be asked about, and messages.
lsp_corpus() {
	local n=0 file
	while read -r file; do
		n=$((n + 1))
		cp "$file" "corpus/$n-$(basename "$file")"
	done < <(find "$top/lang/examples" "$top/tests/golden/list" -name '*.pol' -size -4k | sort)
	printf '{"method":"textDocument/didOpen","params":{"textDocument":{"uri":"untitled:a","version":1,"text":"import \\"untitled:b\\";\\ndefault deny;"}}}\036{"method":"textDocument/didOpen","params":{"textDocument":{"uri":"untitled:b","version":1,"text":"endpoint x = true;"}}}\036{"id":1,"method":"textDocument/hover","params":{"textDocument":{"uri":"untitled:b"},"position":{"line":0,"character":10}}}\036{"method":"textDocument/didClose","params":{"textDocument":{"uri":"untitled:b"}}}\036{"id":2,"method":"shutdown"}\036{"method":"exit"}' >corpus/messages
	sed -n 's/^%token.* "\([a-z0-9]*\)"$/"\1"/p' "$top/lang/parse.y" >words
	printf '"%s"\n' '\x1e' 'textDocument/' 'definition' 'references' 'formatting' 'didChange' 'contentChanges' 'range' 'text' 'version' >>words
}

# The cases that go through the proxy.
http1_corpus() {
	local n=0 line kind file
	for file in requests responses; do
		kind=Q
		[ "$file" = requests ] || kind=S
		while IFS= read -r line; do
			case $line in '#'* | '') continue ;; esac
			n=$((n + 1))
			printf '%s%b' "$kind" "${line##* | }" >"corpus/$n"
		done <"$top/tests/http/$file.case"
	done
	printf '"%s"\n' '\x0d\x0a' '\x0d\x0a\x0d\x0a' 'Host: h' 'Content-Length: ' 'Transfer-Encoding: chunked' \
		'Connection: ' 'Upgrade: websocket' 'HTTP/1.1' 'GET / ' '0\x0d\x0a' ' 200 ' '%2F' >words
}

# Connections of the cases that go through the proxy: both ends in turns.
h2_corpus() {
	local n=0 line ask='GET /ok/1 HTTP/1.1\r\nHost: h\r\n\r\n' answer='HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
	while IFS= read -r line; do
		case $line in '#'* | '') continue ;; esac
		n=$((n + 1))
		printf 'D%b' "${line##* | }\036\036$answer\036\036\036\036\004" >"corpus/1-$n"
	done <"$top/tests/http/requests.case"
	while IFS= read -r line; do
		case $line in '#'* | '') continue ;; esac
		n=$((n + 1))
		printf 'D%b' "$ask\036\036${line##* | }\036\036$ask\036\036\004" >"corpus/1-$n"
	done <"$top/tests/http/responses.case"
	printf 'D%b' "$ask\036\036\036\036\030" >corpus/1-late
	printf 'D%b' 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1\036\036\036\036\030' >corpus/1-body
	printf 'D%b' 'GET / HTTP/1.1\r\nHo\036\036\036\036\030' >corpus/1-head
	printf 'E%b' "$ask\036\036$answer" >corpus/1-denied
	n=0
	# shellcheck source=tests/http/cases.sh
	. "$top/tests/http/cases.sh"
	: "$http_policy"
	# shellcheck disable=SC2317 # called by name
	client() {
		! grep -q '^repeat\|^bare' frames || return 0
		n=$((n + 1))
		{ printf @; "$h2" bytes <frames; } >"corpus/$n"
	}
	# shellcheck disable=SC2317
	server() {
		! grep -q ^repeat frames || return 0
		n=$((n + 1))
		{ printf @; echo "request 1 ${asked%-open} /ok/1 end" | "$h2" bytes; printf '\036\036'
		  "$h2" bytes 1 <frames; printf '\036\036'; echo 'request 3 GET / end' | "$h2" bytes; } >"corpus/$n"
	}
	local h2=${H2:-$build/tests/tools/h2}
	each_h2_case "$top/tests/http/h2requests.case" client
	each_h2_case "$top/tests/http/h2responses.case" server
	printf '"%s"\n' '\x1e\x1e' ':method' ':path' ':status' ':authority' 'host' 'content-length' 'cookie' \
		'\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08' '\x00\x00\x00\x00\x01\x00\x00\x00\x01' >words
}

http_corpus() {
	cp "$top"/tests/fuzz/http-corpus/* corpus/
	printf '"%s"\n' 'allow ' 'deny ' 'GET' ' where ' 'host ' 'header ' '~\x22' '/**' '/*' '{2,3}' '[^a]' '(?:' '[[:alpha:]]' '\x5cd' '\x5cx2f' '\x5cw' 'and not ' \
		' websocket;' >words
}

# ---- one fuzzer ---------------------------------------------------------------------------

fuzz() { # NAME SECONDS
	local name=$1 seconds=${POLC_FUZZ_SECONDS:-$2} work=$build/tests/fuzz/run/$1
	case $build in
	*/_build/sub) seconds=${POLC_FUZZ_SECONDS:-5} ;; # distcheck
	esac
	tests=$((tests + 1))
	[ -x "$fuzzers/$name-fuzzer" ] || {
		echo "no fuzzer at $fuzzers/$name-fuzzer"
		exit 99
	}
	rm -rf "$work"
	mkdir -p "$work/corpus" && cd "$work" || exit 99
	"${name}_corpus"
	if [ -n "${POLC_FUZZ_KEEP:-}${POLC_FUZZ_COVERAGE:-}" ]; then
		mkdir -p "$build/tests/fuzz/grown/$name"
		ln -s "$build/tests/fuzz/grown/$name" grown
	else
		mkdir grown
	fi
	export LLVM_PROFILE_FILE=$work/profile
	regressions "$name" || return
	echo "# $name: seed $seed, $seconds s, $(find corpus -type f | wc -l) inputs to begin with"
	if "$fuzzers/$name-fuzzer" -max_total_time="$seconds" -seed="$seed" -max_len=16384 -timeout=60 \
		-rss_limit_mb=2048 -dict=words -print_final_stats=1 -artifact_prefix="$work/" grown corpus >out 2>&1; then
		grep -E 'number_of_executed_units|^[0-9]+ (runs|inputs)|DONE' out | sed 's/^/# /'
		echo "ok $tests - $name, $seconds seconds"
	else
		tail -n 60 out | sed 's/^/# /'
		echo "# seed $seed; the input is in $work: mend what it shows, and keep it in tests/fuzz/regressions/$name"
		echo "not ok $tests - $name, $seconds seconds"
		failed=1
	fi
	[ -z "${POLC_FUZZ_COVERAGE:-}" ] || coverage "$name"
}

regressions() { # NAME
	local found=("$top/tests/fuzz/regressions/$1"/*)
	[ -e "${found[0]}" ] || return 0
	"$fuzzers/$1-fuzzer" -timeout=60 "${found[@]}" >out 2>&1 && return
	tail -n 60 out | sed 's/^/# /'
	echo "not ok $tests - $1: what was found before"
	failed=1
	return 1
}

# Lines and branches of the sources that are in these fuzzers, and how many of them an input has reached.
summary() { # PROFILE NAME...: FILE LINES OF BRANCHES OF
	local profile=$1 name objects=()
	shift
	for name; do objects+=(-object "$fuzzers/$name-fuzzer"); done
	llvm-cov export -summary-only -instr-profile "$profile" "${objects[@]:1}" |
		jq -r --arg top "$top/" --arg build "$build/" '.data[0].files[] | .summary as $s |
			[(.filename | sub(".*/\\.\\./"; "") | ltrimstr($build) | ltrimstr($top)),
			$s.lines.covered, $s.lines.count, $s.branches.covered, $s.branches.count] | join(" ")' |
		grep -v -e '^tests/' -e '^include/'
}

rooms() { # WHAT: of such lines, by room
	awk -v what="$1" '{ split($1, room, "/"); for (i = 2; i <= 5; i++) n[room[1], i] += $i; seen[room[1]] }
		function percent(a, b) { return b ? 100 * a / b : 0 }
		END { for (r in seen) printf "# coverage: %-10s %-10s lines %5d of %5d, %3d %%   branches %5d of %5d, %3d %%\n",
			what, r, n[r, 2], n[r, 3], percent(n[r, 2], n[r, 3]), n[r, 4], n[r, 5], percent(n[r, 4], n[r, 5]) }' | sort
}

coverage() { # NAME
	llvm-profdata merge -o merged profile && summary merged "$1" | rooms "$1"
}

# What any of them reaches: by room, then each file of which that is less than 80 % of the lines, or nothing.
coverage_of_all() { # NAME...
	local name profiles=()
	for name; do profiles+=("$build/tests/fuzz/run/$name/merged"); done
	cd "$build/tests/fuzz/run" && llvm-profdata merge -o merged "${profiles[@]}" && summary merged "$@" >files || return
	rooms all <files
	awk '$2 && 100 * $2 / $3 < 80 { printf "# less: %-36s lines %4d of %4d, %3d %%\n", $1, $2, $3, 100 * $2 / $3 }
		$3 && !$2 { none = none " " $1 } END { print "# none:" none }' files
}

for name; do
	case $name in
	parse) fuzz parse 10 ;;
	compile | import | object | hostfile | query | http | http1 | h2 | lsp | container) fuzz "$name" 5 ;;
	*)
		echo "$name: there is no such fuzzer"
		exit 99
		;;
	esac
done
[ -z "${POLC_FUZZ_COVERAGE:-}" ] || coverage_of_all "$@"
echo "1..$tests"
exit $failed
