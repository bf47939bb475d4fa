#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# The requests of tests/http/requests.case through the proxy to servers that people run: whatever
# each of them makes of the bytes, what the policy denies is never served.  Everything that is
# denied says DENIED; without the proxy each server does serve it.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/http/cases.sh"
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
host_file client server >host.yaml
chmod a+rx "$work"

# ---- what there is to be served ---------------------------------------------------------

mkdir -p root/ok/sub root/admin logs
for name in index.html secret admin/index.html admin/x ok/secret host json ws none one many x a etc b; do
	echo DENIED >"root/$name"
done
for name in ok/a ok/index.html ok/b ok/sub/a; do
	echo fine >"root/$name"
done
# These are allowed to those who ask rightly, and say so only to tell them from the others.
for name in host json ws none one many; do
	echo asked >"root/$name"
done
chmod -R a+rX root
chmod a+rwx logs

at=${v4[server]}
cat >nginx.conf <<END
daemon off; master_process off; user root; pid $work/nginx.pid; error_log $work/logs/nginx.log;
events { }
http {
    access_log off; default_type text/plain;
    client_body_temp_path $work/logs; proxy_temp_path $work/logs; fastcgi_temp_path $work/logs;
    uwsgi_temp_path $work/logs; scgi_temp_path $work/logs;
    server { listen $at:80; root $work/root; }
}
END
modules=/usr/lib/apache2/modules
cat >apache2.conf <<END
ServerRoot $work
ServerName server
Listen $at:80
PidFile $work/apache2.pid
DefaultRuntimeDir $work/logs
ErrorLog $work/logs/apache2.log
User www-data
Group www-data
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dir_module $modules/mod_dir.so
DocumentRoot $work/root
<Directory $work/root>
    Require all granted
</Directory>
END
cat >lighttpd.conf <<END
server.document-root = "$work/root"
server.bind = "$at"
server.port = 80
server.errorlog = "$work/logs/lighttpd.log"
index-file.names = ("index.html")
mimetype.assign = ("" => "text/plain")
END

printf '%s\n' "$http_policy" >web.pol
"$POLC" web.pol -o web.bpf.o || bail "compile"
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# ---- one server ---------------------------------------------------------------------------

get() { # CONTAINER PATH
	printf 'GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' "$2" |
		inside "$1" "$HTTP" ask "$at" 80 --answers 1 --timeout 50
}

# shellcheck disable=SC2317 # called by name
request() { # NAME ANSWERS SERVER BYTES
	local answers
	# What the proxy answers itself is answered at once; what a server makes of the rest is its own affair.
	answers=$(wc -w <<<"${2%%,*}")
	[ "$3" = none ] || answers=0
	bytes "$4" | inside client "$HTTP" ask "$at" 80 --answers "$answers" --timeout 40 >answer
	asked=$((asked + 1))
	! LC_ALL=C grep -aq DENIED answer || served+=("$1")
}

upstream() { # NAME COMMAND...
	local name=$1 pid
	shift
	spawn server "$@"
	pid=$spawned
	for _ in {1..100}; do
		get server /secret >answer 2>/dev/null && grep -q DENIED answer && break
		sleep 0.05
	done
	like "$name serves what is denied, asked directly" '*DENIED*' "$(tr -d '\0' <answer)"
	like "$name: and what is allowed, through the proxy" '*200*fine*' "$(get client /ok/a)"
	asked=0 served=()
	each_request "$e2e_tree/tests/http/requests.case" request
	is "$name: denied resources served in $asked requests" "" "${served[*]}"
	like "$name is still there" '*200*fine*' "$(get client /ok/a)"
	kill "$pid"
	wait "$pid" 2>/dev/null
}

upstream nginx nginx -p "$work" -c "$work/nginx.conf"
upstream Apache apache2 -X -f "$work/apache2.conf"
upstream busybox busybox httpd -f -p "$at:80" -h "$work/root"
command -v lighttpd >/dev/null && upstream lighttpd lighttpd -D -f "$work/lighttpd.conf"

"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
