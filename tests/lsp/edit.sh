#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# polc lsp, driven through a whole edit by a client that is as an editor is: unsaved texts,
# half-written words, positions in UTF-16 behind characters of four bytes.
set -u
LC_ALL=C.UTF-8
export LC_ALL
work=$(mktemp -d) || exit 99
server=
finish() {
	[ -n "$server" ] && kill "$server" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
tests=0
id=0

# ---- the client ---------------------------------------------------------------------

start() {
	coproc lsp { exec "$POLC" lsp 2>"$work/said"; }
	# shellcheck disable=SC2154 # coproc sets it
	server=$lsp_PID
	exec {to}>&"${lsp[1]}" {from}<&"${lsp[0]}"
}

send() { # TEXT
	LC_ALL=C eval 'printf "Content-Length: %d\r\n\r\n%s" "${#1}" "$1"' >&"$to"
}

receive() { # into $work/message; 1: the end
	local header length=0
	while IFS= read -r -t 20 header <&"$from"; do
		header=${header%$'\r'}
		[ -n "$header" ] || break
		length=${header#Content-Length: }
	done
	[ "$length" -gt 0 ] || return 1
	head -c "$length" <&"$from" >"$work/message"
	if jq -e '.method == "textDocument/publishDiagnostics"' "$work/message" >/dev/null; then
		jq -c .params "$work/message" >>"$work/published"
	fi
}

notify() { # METHOD PARAMS
	send "{\"jsonrpc\":\"2.0\",\"method\":\"$1\",\"params\":$2}"
}

ask() { # METHOD PARAMS: its answer in $work/answer
	id=$((id + 1))
	send "{\"jsonrpc\":\"2.0\",\"id\":$id,\"method\":\"$1\",\"params\":$2}"
	while receive; do
		jq -e ".id == $id" "$work/message" >/dev/null || continue
		cp "$work/message" "$work/answer"
		return
	done
	echo '{}' >"$work/answer"
}

came() { # URI [CONDITION]: were there diagnostics?
	[ -n "$(jq -c "select(.uri == \"$1\" ${2:-})" "$work/published")" ]
}

published() { # URI VERSION: its diagnostics, once those of the version came
	until came "$1" " and .version == $2"; do
		receive || break
	done
	jq -c "select(.uri == \"$1\" and .version == $2) | .diagnostics" "$work/published" | tail -1
}

uri() { echo "file://$work/$1"; }
at() { echo "\"textDocument\":{\"uri\":\"$(uri "$1")\"},\"position\":{\"line\":$2,\"character\":$3}"; }

open() { # NAME TEXT
	: >"$work/published"
	notify textDocument/didOpen "{\"textDocument\":{\"uri\":\"$(uri "$1")\",\"languageId\":\"polc\",\"version\":1,\"text\":$(jq -Rs . <<<"$2")}}"
}

edit() { # NAME VERSION LINE FROM TO TEXT
	: >"$work/published"
	notify textDocument/didChange "{\"textDocument\":{\"uri\":\"$(uri "$1")\",\"version\":$2},\"contentChanges\":[{\"range\":{\"start\":{\"line\":$3,\"character\":$4},\"end\":{\"line\":$3,\"character\":$5}},\"text\":$(jq -Rrs 'rtrimstr("\n") | @json' <<<"$6")}]}"
}

is() { # NAME WANTED SEEN
	tests=$((tests + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $tests - $1"
	else
		printf '# wanted: %s\n# seen:   %s\n' "$2" "$3"
		echo "not ok $tests - $1"
	fi
}

codes() { jq -r '[.[] | "\(.code)@\(.range.start.line):\(.range.start.character)-\(.range.end.character)"] | join(" ")'; }
labels() { jq -r '[.result[].label] | join(" ")' "$work/answer"; }
place() { jq -r '.result | if . == null then "none" else "\(.uri | split("/") | last)@\(.range.start.line):\(.range.start.character)" end' "$work/answer"; }

# ---- before it begins --------------------------------------------------------------------

start
ask textDocument/hover "{$(at a.pol 0 0)}"
is "nothing is answered before initialize" -32002 "$(jq .error.code "$work/answer")"
ask initialize '{"processId":null,"rootUri":null,"capabilities":{}}'
is "positions are in UTF-16" '"utf-16"' "$(jq .result.capabilities.positionEncoding "$work/answer")"
notify initialized '{}'

# ---- opening, errors, and mending them -----------------------------------------------------

open common.pol 'endpoint web = app == "web";
endpoint api = app == "api";
cidr office = 192.0.2.0/24, 2001:db8::/32;
port dns = tcp 53, udp 53;'
is "a text that is right" "" "$(published "$(uri common.pol)" 1 | codes)"
open main.pol 'import "common.pol";
default deny;
pool 10.66.0.0/16;
# 😀 a comment
policy web { allow from wold on tcp 80; } # 😀 allow
policy api {
	allow from web on tcp 8080, dns;
	allow from world in office on tcp 443;
}'
is "an unknown name, where it stands; the import is not on disk" "P0217@4:24-28" \
	"$(published "$(uri main.pol)" 1 | codes)"
edit main.pol 2 4 24 28 world
is "mended" "" "$(published "$(uri main.pol)" 2 | codes)"
edit main.pol 3 4 47 52 'x 😀 y'
is "an edit behind characters of two units" "" "$(published "$(uri main.pol)" 3 | codes)"
edit main.pol 4 3 0 14 $'# é 😀\npolicy z'
is "a half-written definition" "P0110" "$(published "$(uri main.pol)" 4 | jq -r '.[0].code')"
edit main.pol 5 4 0 8 ''
is "taken back" "" "$(published "$(uri main.pol)" 5 | codes)"
# lines: 3 a comment, 4 nothing, 5 policy web, 6 policy api

# ---- lines that end by two characters -------------------------------------------------------

open crlf.pol $'default deny;\r\nendpoint a = b == "c";\r'
edit crlf.pol 2 0 9999 9999 ' x'
is "beyond a line is before its end" "P0110@0:14-15" "$(published "$(uri crlf.pol)" 2 | codes)"
edit crlf.pol 3 0 13 9999 ''
is "and to beyond it leaves the end" "" "$(published "$(uri crlf.pol)" 3 | codes)"
ask textDocument/documentSymbol "{\"textDocument\":{\"uri\":\"$(uri crlf.pol)\"}}"
is "where the next one begins" "default@0 a@1" \
	"$(jq -r '[.result[] | "\(.name)@\(.range.start.line)"] | join(" ")' "$work/answer")"
notify textDocument/didClose "{\"textDocument\":{\"uri\":\"$(uri crlf.pol)\"}}"

# ---- opened again -------------------------------------------------------------------------------

open again.pol 'default deny;'
: >"$work/published"
notify textDocument/didOpen "{\"textDocument\":{\"uri\":\"$(uri again.pol)\",\"languageId\":\"polc\",\"version\":7,\"text\":\"default den;\"}}"
until came "$(uri again.pol)" " and (.diagnostics | length) > 0"; do receive || break; done
is "a text that is opened again has its new version" 7 \
	"$(jq "select(.uri == \"$(uri again.pol)\") | .version" "$work/published" | tail -1)"
notify textDocument/didClose "{\"textDocument\":{\"uri\":\"$(uri again.pol)\"}}"

# ---- a text with a NUL ---------------------------------------------------------------------------

open nul.pol 'default deny;
endpoint a = b == "c";'
: >"$work/published"
notify textDocument/didChange "{\"textDocument\":{\"uri\":\"$(uri nul.pol)\",\"version\":2},\"contentChanges\":[{\"range\":{\"start\":{\"line\":0,\"character\":8},\"end\":{\"line\":0,\"character\":8}},\"text\":\"x\\u0000y\"}]}"
ask textDocument/hover "{$(at nul.pol 0 10)}"
is "a NUL is a mistake in the text" "P0103@0:9-10" "$(published "$(uri nul.pol)" 2 | codes)"
for method in definition references completion; do
	ask "textDocument/$method" "{$(at nul.pol 0 10)}"
	is "$method beside it" false "$(jq 'has("error")' "$work/answer")"
done
edit nul.pol 3 0 8 11 ''
is "and all behind it is where the editor has it" "" "$(published "$(uri nul.pol)" 3 | codes)"
notify textDocument/didClose "{\"textDocument\":{\"uri\":\"$(uri nul.pol)\"}}"
: >"$work/published"
notify textDocument/didOpen "{\"textDocument\":{\"uri\":\"$(uri main.pol)\\u0000\",\"languageId\":\"polc\",\"version\":99,\"text\":\"\"}}"
ask textDocument/documentSymbol "{\"textDocument\":{\"uri\":\"$(uri main.pol)\\u0000\"}}"
is "a name with one is no text's" -32602 "$(jq .error.code "$work/answer")"

# ---- names -----------------------------------------------------------------------------------

ask textDocument/definition "{$(at main.pol 7 14)}"
is "definition in another file" "common.pol@0:9" "$(place)"
ask textDocument/definition "{$(at main.pol 0 10)}"
is "definition of an import" "common.pol@0:0" "$(place)"
ask textDocument/definition "{$(at main.pol 1 2)}"
is "a keyword has none" none "$(place)"
ask textDocument/references "{$(at main.pol 7 13),\"context\":{\"includeDeclaration\":true}}"
is "references, the definition among them" "common.pol:0 main.pol:5 main.pol:7" \
	"$(jq -r '[.result[] | "\(.uri | split("/") | last):\(.range.start.line)"] | sort | join(" ")' "$work/answer")"
ask textDocument/hover "{$(at main.pol 7 13)}"
is "hover: the definition and the rules in force for it" 'endpoint web = app == "web"; allow from world on tcp 80 main.pol:6' \
	"$(jq -r .result.contents.value "$work/answer" | grep -e '^endpoint' -e 'allow from world on' | tr -d '`' | sed 's/^1. //' | paste -sd' ')"
ask textDocument/hover "{$(at main.pol 8 22)}"
# shellcheck disable=SC2016 # Markdown, no command
is "hover: a set's prefixes" 1 "$(jq -r .result.contents.value "$work/answer" | grep -c '2 prefixes: `192.0.2.0/24`')"
ask textDocument/hover "{$(at main.pol 8 3)}"
is "hover: a rule" 1 "$(jq -r .result.contents.value "$work/answer" | grep -c 'on: tcp 443')"
ask textDocument/documentSymbol "{\"textDocument\":{\"uri\":\"$(uri main.pol)\"}}"
is "symbols" "common.pol default pool web api" "$(jq -r '[.result[].name] | join(" ")' "$work/answer")"

# ---- what fits --------------------------------------------------------------------------------

edit main.pol 6 9 0 1 $'	allow from \n}'
ask textDocument/completion "{$(at main.pol 9 12)}"
is "peers" "web api office any host nodes world public" "$(labels)"
edit main.pol 7 9 12 12 'web on '
ask textDocument/completion "{$(at main.pol 9 19)}"
is "protocols and ports" "dns tcp udp sctp icmp icmp6 proto" "$(labels)"
ask textDocument/completion "{$(at main.pol 9 1)}"
is "a rule" "allow deny reject" "$(labels)"
ask textDocument/completion "{$(at main.pol 4 0)}"
is "a definition" "import default pool option cidr port endpoint policy service filter assert" "$(labels)"
ask textDocument/completion "{$(at main.pol 5 7)}"
is "a policy's subject" "web api any" "$(labels)"
ask textDocument/completion "{$(at main.pol 0 10)}"
is "nothing inside a string" "" "$(labels)"

# ---- layout --------------------------------------------------------------------------------------

edit main.pol 8 9 19 19 'tcp   81;'
: >"$work/published"
ask textDocument/formatting "{\"textDocument\":{\"uri\":\"$(uri main.pol)\"},\"options\":{}}"
is "formatting: the lines that change" 1 "$(jq '[.result[] | select(.newText | contains("tcp 81;"))] | length' "$work/answer")"
edit main.pol 9 0 0 3 'impor'
ask textDocument/formatting "{\"textDocument\":{\"uri\":\"$(uri main.pol)\"},\"options\":{}}"
is "formatting: not where the text does not parse" null "$(jq .result "$work/answer")"
edit main.pol 10 0 0 5 'imp'
is "and mended" "" "$(published "$(uri main.pol)" 10 | codes)"

# ---- files that import each other --------------------------------------------------------------

edit common.pol 2 1 9 12 app
until came "$(uri main.pol)"; do receive || break; done
is "a name that another text no longer has" P0217 \
	"$(jq -r "select(.uri == \"$(uri main.pol)\") | .diagnostics[0].code" "$work/published" | tail -1)"
: >"$work/published"
notify textDocument/didClose "{\"textDocument\":{\"uri\":\"$(uri common.pol)\"}}"
until came "$(uri main.pol)"; do receive || break; done
is "a text that was never saved is gone when it is closed" P0101 \
	"$(jq -r "select(.uri == \"$(uri main.pol)\") | .diagnostics[0].code" "$work/published" | tail -1)"

# ---- what is no use of it -------------------------------------------------------------------------

ask textDocument/hover "{$(at main.pol 99999 99999)}"
is "a position beyond the text" null "$(jq .result "$work/answer")"
ask textDocument/hover "{$(at none.pol 0 0)}"
is "a text that is not open" -32602 "$(jq .error.code "$work/answer")"
ask polc/none '{}'
is "an unknown method" -32601 "$(jq .error.code "$work/answer")"
send '{"jsonrpc":'
receive
is "what is not JSON" -32700 "$(jq .error.code "$work/message")"
ask shutdown null
is "shutdown" null "$(jq .result "$work/answer")"
ask textDocument/hover "{$(at main.pol 0 0)}"
is "nothing is answered behind it" -32600 "$(jq .error.code "$work/answer")"
notify exit null
wait "$server"
is "exit" 0 $?
server=
printf 'Content-Length: 99999999999\r\n\r\n' | "$POLC" lsp >/dev/null 2>&1
is "a message that is too long" 2 $?
printf 'Content-Length: 5\r\n\r\n{' | "$POLC" lsp >/dev/null 2>&1
is "an editor that went away" 1 $?
echo "1..$tests"
