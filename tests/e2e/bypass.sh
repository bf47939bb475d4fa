#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# Requests and responses that readers could understand in two ways, through the real proxy:
# tests/http/*.case say what each is answered and what the other side may receive.
. "$(dirname "$0")/lib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

host_up
container client 1 "app: client"
container server 2 "app: server"
host_file client server >host.yaml
mkdir raw
: >server.bytes
spawn server "$HTTP" serve "${v4[server]}" 80 --record "$work/server.bytes" --raw "$work/raw"
sleep 0.2
cat >web.pol <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 80; }
policy server {
    allow from client on tcp 80 http {
        allow GET, HEAD, POST "/ok/**";
        allow GET "/host" where host == "api.example";
        allow POST "/json" where header "content-type" == "application/json";
        allow GET "/ws" websocket;
        allow GET "/raw/**";
        allow GET "/none" where not query;
        allow GET "/one" where query == "id=1";
        allow GET "/many" where query ~"id=[0-9]+(&x)?";
        deny * "/ok/**" where query ~".*debug.*";
        deny * "/ok/secret";
        deny * "/**" where header "x-block" == "1";
    }
}
END
"$POLC" web.pol -o web.bpf.o || bail "compile"
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# {TEXT*N}, then the escapes.
bytes() { # TEXT
	local t=$1 whole text n many
	while [[ $t =~ \{([^{}*]+)\*([0-9]+)\} ]]; do
		whole=${BASH_REMATCH[0]} text=${BASH_REMATCH[1]} n=${BASH_REMATCH[2]}
		printf -v many "%${n}s" ''
		t=${t/"$whole"/${many// /$text}}
	done
	printf '%b' "$t"
}

codes() { # FILE: status codes in it
	LC_ALL=C grep -ao 'HTTP/1\.1 [0-9][0-9][0-9]' "$1" | cut -c10-12 | paste -sd' '
}

request() { # NAME ANSWERS SERVER BYTES
	local name=$1 want=$2 server=$3 got answers
	bytes "$4" >sent
	: >server.bytes
	answers=$(wc -w <<<"${want%%,*}")
	inside client "$HTTP" ask "${v4[server]}" 80 --answers "$answers" --timeout 60 <sent >answer
	got=$(codes answer)
	case $server in
	none) : >may ;;
	all) cp sent may ;;
	*) head -c "$server" sent >may ;;
	esac
	case ",$want," in
	*",${got:--},"*) ;;
	*)
		not_ok "request: $name" "expected: $want" "seen:     ${got:--}"
		return
		;;
	esac
	for _ in {1..100}; do
		[ "$(wc -c <server.bytes)" -lt "$(wc -c <may)" ] || break
		sleep 0.05
	done
	if cmp -s may server.bytes; then
		ok "request: $name: $got"
	else
		not_ok "request: $name" "the server got:" "$(head -c 300 server.bytes | od -c | head -8)"
	fi
}

response() { # NAME CLIENT BYTES
	local code seen until=()
	bytes "$3" >raw/answer
	case $2 in
	pass) until=(--bytes "$(wc -c <raw/answer)") ;;
	502) until=(--answers 1) ;;
	*) until=(--bytes 1000000) ;; # it ends
	esac
	printf 'GET /raw/answer HTTP/1.1\r\nHost: h\r\n\r\n' |
		inside client "$HTTP" ask "${v4[server]}" 80 "${until[@]}" --timeout 60 >answer
	code=$?
	seen="$(wc -c <answer) bytes, exit code $code"
	case $2 in
	pass) cmp -s raw/answer answer ;;
	502) [ "$(codes answer)" = 502 ] ;;
	reset) [ $code = 2 ] && cmp -s raw/answer answer ;;
	cut) [ $code = 2 ] && ! cmp -s raw/answer answer &&
		cmp -s -n "$(wc -c <answer)" answer raw/answer ;;
	esac
	is "response: $1: $2 ($seen)" 0 $?
}

while IFS= read -r line; do
	case $line in '#'* | '') continue ;; esac
	name=${line%% | *} line=${line#* | }
	want=${line%% | *} line=${line#* | }
	request "$name" "$want" "${line%% | *}" "${line#* | }"
done <"$e2e_tree/tests/http/requests.case"
while IFS= read -r line; do
	case $line in '#'* | '') continue ;; esac
	name=${line%% | *} line=${line#* | }
	response "$name" "${line%% | *}" "${line#* | }"
done <"$e2e_tree/tests/http/responses.case"

"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
