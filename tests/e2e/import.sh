#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# A CiliumNetworkPolicy with HTTP rules, imported, compiled and in force between containers.
. "$(dirname "$0")/lib.sh"
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}
HTTP=${HTTP:-$e2e_build/tests/tools/http}

host_up
container client 1 "app: client, ns: default"
container server 2 "app: server, ns: default"
container other 3 "app: other, ns: default"
host_file client server other >host.yaml
for a in "${v4[server]}" "${v6[server]}"; do spawn server "$HTTP" serve "$a" 80; done
listening server tcp 80
serve server tcp 81
cat >cnp.yaml <<'END'
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: server
spec:
  endpointSelector:
    matchLabels: {app: server}
  ingress:
    - fromEndpoints:
        - matchLabels: {app: client}
      toPorts:
        - ports: [{port: "80", protocol: TCP}]
          rules:
            http:
              - method: GET
                path: "/public/.*"
              - method: POST
                path: "/items"
                headers: ["X-Token: abc"]
END
"$POLC" import cnp.yaml -o cnp.pol 2>/dev/null || bail "import"
"$POLC" cnp.pol -o cnp.bpf.o || bail "compile"
"$POLLOAD" apply cnp.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

status() { # FROM PATH [HOW...]
	local from=$1 path=$2 a got=()
	shift 2
	for a in "${v4[server]}" "[${v6[server]}]"; do
		got+=("$(inside "$from" curl -s -o /dev/null -w '%{http_code}' -m 30 "$@" "http://$a$path")")
	done
	echo "${got[*]}"
}

is "a path that the policy names" "200 200" "$(status client /public/1)"
is "another path" "403 403" "$(status client /private)"
is "another method" "403 403" "$(status client /public/1 -X DELETE)"
is "a header that the policy asks for" "200 200" "$(status client /items -d x -H 'X-Token: abc')"
is "without it" "403 403" "$(status client /items -d x)"
is "with another value" "403 403" "$(status client /items -d x -H 'X-Token: abd')"
is "another pod" "000 000" "$(status other /public/1 -m 1)"
expect timeout client server tcp 81
"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
