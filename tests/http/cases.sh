# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Reading the files of cases of this folder.

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

# Calls COMMAND NAME for each case of a file of HTTP/2, with its words in $want, $server and $asked and its
# frames in the file `frames`.
# shellcheck disable=SC2034 # of COMMAND
each_h2_case() { # FILE COMMAND
	local line name=
	while IFS= read -r line || { line='case ' && [ -n "$name" ]; }; do
		case $line in
		'#'* | '') continue ;;
		'case '*)
			[ -z "$name" ] || "$2" "$name"
			name=${line#case } want='' server='' asked=GET
			: >frames
			;;
		want*) want=${line#want} want=${want# } ;;
		'server '*) server=${line#server } ;;
		'asked '*) asked=${line#asked } ;;
		*) printf '%s\n' "$line" >>frames ;;
		esac
	done <"$1"
}

codes() { # FILE: status codes in it
	LC_ALL=C grep -ao 'HTTP/1\.1 [0-9][0-9][0-9]' "$1" | cut -c10-12 | paste -sd' '
}

# Calls COMMAND NAME ANSWERS SERVER BYTES for each request.
each_request() { # FILE COMMAND
	local line name want
	while IFS= read -r line; do
		case $line in '#'* | '') continue ;; esac
		name=${line%% | *} line=${line#* | }
		want=${line%% | *} line=${line#* | }
		"$2" "$name" "$want" "${line%% | *}" "${line#* | }"
	done <"$1"
}

# The policy that the requests are about.
# shellcheck disable=SC2034 # of those who read this
http_policy='default deny;
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
        allow GET "/plain/@me";
        allow GET ~"/both/(@|%40)me";
        deny * "/ok/@me";
        deny * "/ok/v:run";
        deny * ~"/ok/[!$&\x27()*+,=]x";
        deny * "/ok/**" where query ~"(.*&)?(to=a/b|R&D)(&.*)?";
        deny * "/ok/part:a" where query ~"x=[^&]+";
        deny * "/**" where header "x-block" == "1";
        deny * "/**" where header "cookie" == "role=admin; a=1";
    }
}'
