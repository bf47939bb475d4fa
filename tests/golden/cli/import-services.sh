# SPDX-License-Identifier: GPL-2.0-only
# toServices: resolved from the Services and Endpoints of the input, refused where it does not have them.
cd "$TMPDIR" || exit 99
cat >cluster.yaml <<'END'
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default, labels: {env: staging}}
spec: {ports: [{port: 5432}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: db, namespace: default}
subsets:
- addresses: [{ip: 192.0.2.10}, {ip: 192.0.2.11}]
  notReadyAddresses: [{ip: 192.0.2.12}]
  ports: [{port: 5432}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-6, namespace: default, labels: {kubernetes.io/service-name: db}}
addressType: IPv6
endpoints:
- {addresses: ["2001:db8::10"], conditions: {ready: true}}
- {addresses: ["2001:db8::11"], conditions: {ready: false}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: fn, namespace: default}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: by-name}
spec:
  endpointSelector: {matchLabels: {app: api}}
  egress:
  - toServices: [{k8sService: {serviceName: db, namespace: default}}]
    toPorts: [{ports: [{port: "5432", protocol: TCP}]}]
  - toServices: [{k8sServiceSelector: {selector: {matchLabels: {env: staging}, matchExpressions: [{key: env, operator: Exists}]}}}]
END
"$POLC" import cluster.yaml | sed '/^#/d'
one() { # YAML OF toServices
	{
		sed '/^kind: CiliumNetworkPolicy/,$d' cluster.yaml
		cat <<END
kind: CiliumNetworkPolicy
metadata: {name: one}
spec:
  endpointSelector: {matchLabels: {app: api}}
  egress:
  - toServices: [$1]
END
	} >one.yaml
	echo "\$ $1"
	"$POLC" import one.yaml 2>&1 | sed '/^#/d; /^$/d'
}
one '{k8sService: {serviceName: db}}'
one '{k8sService: {serviceName: web, namespace: default}}'
one '{k8sService: {serviceName: db, namespace: other}}'
one '{k8sService: {serviceName: fn, namespace: default}}'
one '{k8sServiceSelector: {namespace: default, selector: {matchExpressions: [{key: env, operator: NotIn, values: [prod]}, {key: env, operator: Exists}]}}}'
one '{k8sServiceSelector: {selector: {matchLabels: {env: prod}}}}'
one '{k8sServiceSelector: {selector: {matchExpressions: [{key: env, operator: Near}]}}}'
one '{k8sService: {}}'
one '{}'
one '{k8sService: {serviceName: none}}' >/dev/null
sed -i 's/egress:/egressDeny:/' one.yaml
"$POLC" import --lax one.yaml 2>&1 | sed '/^#/d; /^$/d'
