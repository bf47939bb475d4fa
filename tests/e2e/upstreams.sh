#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# The requests of tests/http/requests.case and h2requests.case through the proxy to servers that people
# run: whatever each of them makes of the bytes, what the policy denies is never served.  Each is sent
# on routed links and on a bridge.  Everything that is denied says DENIED; without the proxy each
# server does serve it.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/bridge.sh"
. "$e2e_tree/tests/http/cases.sh"
H2=${H2:-$e2e_build/tests/tools/h2}
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}
# Unpacked there by `./quickstart check`: a package that is installed would start one.
PATH=$PATH:/usr/sbin:$e2e_build/servers/usr/sbin
for tool in nginx apache2 busybox; do
	command -v $tool >/dev/null || skip "no $tool"
done

host_up
container client 1 "app: client"
container server 2 "app: server"
bridge_up br0 9
bridged bclient br0 9 3 "app: client"
bridged bserver br0 9 2 "app: server"
bridged_host_file client server bclient bserver >host.yaml
chmod a+rx "$work"
declare -A client_of=([server]=client [bserver]=bclient)

# ---- what there is to be served ---------------------------------------------------------

mkdir -p root/ok/sub root/admin logs
for name in index.html secret admin/index.html admin/x ok/secret host json ws none one many x a etc b; do
	echo DENIED >"root/$name"
done
for name in ok/a ok/index.html ok/b ok/sub/a ok/1; do
	echo fine >"root/$name"
done
# These are allowed to those who ask rightly, and say so only to tell them from the others.
for name in host json ws none one many; do
	echo asked >"root/$name"
done
chmod -R a+rX root
chmod a+rwx logs

modules=/usr/lib/apache2/modules
for server in server bserver; do
	at=${v4[$server]}
	for protocol in 1 2; do
		mkdir "logs/$server.$protocol"
		chmod a+rwx "logs/$server.$protocol"
		cat >"nginx.$server.$protocol" <<-END
		daemon off; master_process off; user root;
		pid $work/logs/$server.$protocol/nginx.pid; error_log $work/logs/$server.$protocol/nginx.log;
		events { }
		http {
		    access_log off; default_type text/plain;
		    client_body_temp_path $work/logs; proxy_temp_path $work/logs; fastcgi_temp_path $work/logs;
		    uwsgi_temp_path $work/logs; scgi_temp_path $work/logs;
		    server { listen $at:80$([ $protocol = 1 ] || echo " http2"); root $work/root; }
		}
		END
		cat >"apache2.$server.$protocol" <<-END
		ServerRoot $work
		ServerName server
		Listen $at:80
		PidFile $work/logs/$server.$protocol/apache2.pid
		DefaultRuntimeDir $work/logs/$server.$protocol
		ErrorLog $work/logs/$server.$protocol/apache2.log
		User www-data
		Group www-data
		LoadModule mpm_$([ $protocol = 1 ] && echo prefork || echo event)_module $modules/mod_mpm_$([ $protocol = 1 ] && echo prefork || echo event).so
		LoadModule authz_core_module $modules/mod_authz_core.so
		LoadModule dir_module $modules/mod_dir.so
		$([ $protocol = 1 ] || echo "LoadModule http2_module $modules/mod_http2.so")
		$([ $protocol = 1 ] || echo "Protocols h2c")
		DocumentRoot $work/root
		<Directory $work/root>
		    Require all granted
		</Directory>
		END
	done
done

printf '%s\n' "$http_policy" >web.pol
"$POLC" web.pol -o web.bpf.o || bail "compile"
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# ---- one server, on both paths ------------------------------------------------------------

get() { # PROTOCOL CONTAINER SERVER PATH
	case $1 in
	1) printf 'GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' "$4" |
		inside "$2" "$HTTP" ask "${v4[$3]}" 80 --answers 1 --timeout 50 ;;
	2) printf 'request 1 GET %s end\nwait 1\n' "$4" |
		inside "$2" "$H2" ask "${v4[$3]}" 80 --bodies body --timeout 50 && cat body ;;
	esac
}

# shellcheck disable=SC2317 # called by those that are called by name
# What each of both answered.
judge() { # NAME
	local server
	tried=$((tried + 1))
	for server in server bserver; do
		! LC_ALL=C grep -aq DENIED "answer.$server" || served+=("$server: $1")
		LC_ALL=C grep -aq fine "answer.$server" && fine[$server]=$((${fine[$server]} + 1))
	done
}

# shellcheck disable=SC2317 # called by name
request() { # NAME ANSWERS SERVER BYTES
	local answers server pids=()
	# What the proxy answers itself is known; of the rest a server makes what it likes, but something.
	answers=$(wc -w <<<"${2%%,*}")
	[ "$3" = none ] || answers=1
	bytes "$4" >sent
	for server in server bserver; do
		inside "${client_of[$server]}" "$HTTP" ask "${v4[$server]}" 80 --answers "$answers" --timeout 40 <sent >"answer.$server" &
		pids+=("$!")
	done
	wait "${pids[@]}"
	judge "$1"
}

# shellcheck disable=SC2317 # called by name
streams() { # NAME
	local server word awaited='' pids=()
	for word in $want; do # allowed: some answer
		case $word in *:200) awaited+="${word%:*}:* " ;; esac
	done
	for server in server bserver; do
		inside "${client_of[$server]}" "$H2" ask "${v4[$server]}" 80 --want "$awaited" --bodies "answer.$server" --timeout 40 <frames >/dev/null &
		pids+=("$!")
	done
	wait "${pids[@]}"
	judge "$1"
}

upstream() { # NAME PROTOCOL COMMAND...; {server} in it is which, {at} its address
	local name=$1 protocol=$2 server pids=()
	shift 2
	for server in server bserver; do
		set -- "${@//"{at}"/${v4[$server]}}"
		spawn "$server" "${@//"{server}"/$server}"
		set -- "${@//"${v4[$server]}"/"{at}"}"
		pids+=("$spawned")
		for _ in {1..600}; do
			get "$protocol" "$server" "$server" /secret >answer 2>/dev/null && grep -q DENIED answer && break
			sleep 0.05
		done
		like "$name, $server: serves what is denied, asked directly" '*DENIED*' "$(tr -d '\0' <answer)"
		like "$name, $server: and what is allowed, through the proxy" '*200*fine*' \
			"$(get "$protocol" "${client_of[$server]}" "$server" /ok/a | tr '\n' ' ')"
	done
	tried=0 served=()
	fine=([server]=0 [bserver]=0)
	case $protocol in
	1) each_request "$e2e_tree/tests/http/requests.case" request ;;
	2) each_h2_case "$e2e_tree/tests/http/h2requests.case" streams ;;
	esac
	is "$name: denied resources served in $tried cases, on both paths" "" "${served[*]}"
	[ "${fine[server]}" -ge 10 ] && [ "${fine[bserver]}" -ge 10 ]
	is "$name: allowed ones are (${fine[server]} and ${fine[bserver]})" 0 $?
	for server in server bserver; do
		like "$name, $server: still there" '*200*fine*' "$(get "$protocol" "${client_of[$server]}" "$server" /ok/a | tr '\n' ' ')"
	done
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null
}
declare -A fine

upstream nginx 1 nginx -p "$work" -c "$work/nginx.{server}.1"
upstream Apache 1 apache2 -X -f "$work/apache2.{server}.1"
upstream busybox 1 busybox httpd -f -p "{at}:80" -h "$work/root"
upstream "nginx over HTTP/2" 2 nginx -p "$work" -c "$work/nginx.{server}.2"
upstream "Apache over HTTP/2" 2 apache2 -X -f "$work/apache2.{server}.2"

"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
