# SPDX-License-Identifier: GPL-2.0-only
# polc import: what a text must not allow, said by `explain`, which asks it.
cd "$TMPDIR" || exit 99
cilium() { # NAME SPEC
	printf 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: %s, namespace: a}\nspec: {endpointSelector: {matchLabels: {app: x}}, %s}\n---\n' "$1" "$2"
}
import() { # OPTION...: of what comes in, into p.pol
	cat >in.yaml
	rm -f p.pol
	$POLC import "$@" -o p.pol in.yaml
	echo "exit: $?"
	[ -e p.pol ] || return
	sed -n '/^policy/,$p; /^option/p' p.pol
	$POLC check p.pol 2>&1 | grep ^error
}
ask() { # FLOW
	$POLC explain p.pol "$1" | sed -n 1p
}

echo "== a denial of the host stands before what the host may anyway"
{
	cilium deny 'ingressDeny: [{toPorts: [{ports: [{port: "22", protocol: TCP}]}]}]'
	cilium other 'ingress: [{fromEndpoints: [{}]}]'
} | import
ask 'from host to [ns=a,app=x] on tcp 22'
ask 'from host to [ns=a,app=x] on tcp 23'
ask 'from world to [ns=a,app=x] on tcp 23'
cilium deny 'ingressDeny: [{fromEntities: [world, host]}]' | import
cilium deny 'ingressDeny: [{fromEntities: [world]}, {fromCIDR: [192.0.2.0/24]}, {fromEndpoints: [{}]}]' | import

echo "== a denial of a named port is one of its number, whoever is asked"
pod() { # NAME PORT
	printf 'kind: Pod\nmetadata: {name: %s, namespace: a}\nspec: {containers: [{ports: [{name: http, containerPort: %s}]}]}\n---\n' "$1" "$2"
}
{
	cilium named 'egress: [{toEntities: [all]}], egressDeny: [{toEntities: [world], toPorts: [{ports: [{port: http, protocol: TCP}]}]}]'
	pod m 9100
	pod n 9200
} | import
ask 'from [ns=a,app=x] to world on tcp 9100'
ask 'from [ns=a,app=x] to world on tcp 9200'
ask 'from [ns=a,app=x] to world on tcp 9300'
{
	cilium named 'egress: [{toEntities: [world], toPorts: [{ports: [{port: http, protocol: TCP}]}]}]'
	pod m 9100
} | import

echo "== toPorts without a port is none"
cilium ports 'ingress: [{fromEntities: [world], toPorts: [{ports: []}]}, {fromEntities: [world], toPorts: [{}]}]' | import
ask 'from world to [ns=a,app=x] on tcp 22'

echo "== a list without rules is no list"
cilium empty 'ingress: [], egress: [{}]' | import

echo "== services of which not all is known"
service() { # NAME [ADDRESS]
	printf 'apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: a, labels: {ext: "1"}}\nspec: {}\n---\n' "$1"
	[ $# = 1 ] || printf 'apiVersion: v1\nkind: Endpoints\nmetadata: {name: %s, namespace: a}\nsubsets: [{addresses: [{ip: %s}]}]\n---\n' "$1" "$2"
}
for lax in '' --lax; do
	{
		cilium services 'egressDeny: [{toServices: [{k8sServiceSelector: {selector: {matchLabels: {ext: "1"}}}}]}]'
		service s1 192.0.2.9
		service s2
	} | import $lax
done

echo "== peers are pods"
cat <<'END' | import
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: c}
spec:
  endpointSelector: {}
  ingress:
    - fromEndpoints: [{}, {matchExpressions: [{key: app, operator: NotIn, values: [z]}]}]
END

echo "== policies that close nothing, in both directions"
cilium open 'enableDefaultDeny: {ingress: false, egress: false}, ingressDeny: [{fromEntities: [world]}], egressDeny: [{toEntities: [world]}]' | import

echo "== names of two kinds, and long ones"
long=$(printf 'n%.0s' $(seq 199))
import --host host.yaml <<END
kind: NetworkPolicy
metadata: {name: x, namespace: admin}
spec: {podSelector: {}}
---
kind: AdminNetworkPolicy
metadata: {name: x}
spec: {priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}
---
kind: Pod
metadata: {name: $long, namespace: $(printf 'a%.0s' $(seq 63))}
---
kind: Pod
metadata: {name: of-node, namespace: admin}
spec: {hostNetwork: true}
status: {podIP: 192.0.2.7}
END
grep -v '^#' host.yaml

echo "== labels of a namespace that is not there"
import <<'END'
kind: NetworkPolicy
metadata: {name: x, namespace: a}
spec:
  podSelector: {}
  ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: env, operator: NotIn, values: [prod]}]}}]}]
---
kind: Pod
metadata: {name: p, namespace: prod}
END

echo "== hosts that no request can have"
for host in 'api.example:8080' 'API.example' '(?:api)\\.example'; do
	cilium host "ingress: [{toPorts: [{ports: [{port: \"80\"}], rules: {http: [{host: \"$host\"}]}}]}]" | import --lax
done
