# SPDX-License-Identifier: GPL-2.0-only
# polc import: the dialect of Cilium.
cd "$TMPDIR" || exit 99
cat >policies.yaml <<'END'
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: empties, namespace: a}
specs:
  - {endpointSelector: {}, ingress: [{}], egress: []}
  - {endpointSelector: {matchLabels: {k8s:app: one}}, ingress: [{fromEndpoints: []}]}
  - {endpointSelector: {matchLabels: {any:app: two}}, ingress: [{fromEndpoints: [{}]}]}
  - {endpointSelector: {matchLabels: {app: three}}, egress: [{toPorts: [{ports: [{port: "0", protocol: TCP}]}]}]}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: peers, namespace: a}
spec:
  description: every kind of peer
  endpointSelector: {matchExpressions: [{key: app, operator: In, values: [x, z]}]}
  ingress:
    - fromEndpoints:
        - matchLabels: {k8s:io.kubernetes.pod.namespace: b, app: y}
        - matchLabels: {io.cilium.k8s.namespace.labels.team: red}
        - matchExpressions: [{key: app, operator: NotIn, values: [y]}]
      toPorts:
        - ports: [{port: "80", protocol: TCP}, {port: "5000", endPort: 5009, protocol: UDP}]
        - ports: [{port: "7"}]
    - fromEntities: [world-ipv4, remote-node, cluster]
    - fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]
      icmps: [{fields: [{type: 8}, {type: EchoRequest, family: IPv6}]}]
  ingressDeny:
    - fromCIDR: [192.0.2.1, "2001:db8::/32"]
    - toPorts: [{ports: [{port: "22", protocol: ANY}]}]
  egress:
    - toEntities: [all]
---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: open}
spec:
  endpointSelector: {matchLabels: {app: x}}
  enableDefaultDeny: {ingress: false}
  ingress: [{fromEntities: [host, world], toPorts: [{ports: [{port: "443", protocol: TCP}]}]}]
  ingressDeny: [{fromEndpoints: [{matchLabels: {bad: "1"}}]}]
  egress: [{toEndpoints: [{}], toPorts: [{ports: [{port: metrics, protocol: TCP}]}]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: http, namespace: a}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress:
    - toPorts:
        - ports: [{port: "80"}]
          rules:
            http:
              - {method: GET|HEAD, path: '^/v[0-9]+/"a"\.b$', host: 'api[.]example'}
              - {path: /any.*, headers: ["X-A: b \" c", X-Present]}
              - {}
---
kind: Pod
metadata: {name: m, namespace: b}
spec: {containers: [{ports: [{name: metrics, containerPort: 9100}]}]}
END
$POLC import -o all.pol policies.yaml
echo "exit: $?"
cat all.pol
$POLC fmt --check all.pol
echo "exit: $?"
# Requests are what this version does not enforce; there is nothing else to say.
$POLC check all.pol | grep ^error

try() { # SPEC...: strictly, then with --lax
	printf 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\nspec: {endpointSelector: {app}, %s}\n' "$1" |
		sed 's/{app}/{matchLabels: {app: a}}/' >one.yaml
	for lax in '' --lax; do
		# shellcheck disable=SC2086 # nothing, or the option
		$POLC import $lax one.yaml >out 2>&1
		echo "exit: $?"
		sed -n '/one.yaml/p; /^policy/,$p' out
	done
}
try 'egress: [{toFQDNs: [{matchName: a.example}]}, {toEntities: [kube-apiserver, host]}]'
try 'egressDeny: [{toServices: [{k8sService: {serviceName: x}}]}], egress: [{toCIDRSet: [{cidrGroupRef: g}]}]'
try 'ingress: [{fromEndpoints: [{matchLabels: {reserved:init: ""}}], authentication: {mode: required}}]'
try 'ingress: [{fromEndpoints: [{}], authentication: {mode: disabled}, toPorts: [{serverNames: [a], ports: [{port: "1"}]}]}]'
try 'egress: [{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]}]'
try 'ingress: [{toPorts: [{ports: [{port: "80"}], rules: {http: [{headerMatches: [{name: a}]}]}}]}]'
try 'ingress: [{fromRequires: [{}]}]'
try 'ingress: [{fromCIDR: [10.0.0.0/8], fromEntities: [all]}]'
try 'ingress: [{toPorts: [{ports: [{port: "70000"}]}]}]'
try 'ingress: [{toPorts: [{ports: [{port: "80", protocol: UDP}], rules: {http: [{}]}}]}]'
try 'ingress: [{toPorts: [{ports: [{port: "80"}], rules: {http: [{path: "/[a"}]}}]}]'
try 'nodeSelector: {}'
try 'enableDefaultDeny: {ingress: false}, ingress: [{toPorts: [{ports: [{port: "80"}], rules: {http: [{}]}}]}]'
