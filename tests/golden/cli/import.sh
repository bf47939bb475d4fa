# SPDX-License-Identifier: GPL-2.0-only
# polc import: what empty, missing and `{}` mean in a NetworkPolicy; named ports; tiers.
cd "$TMPDIR" || exit 99
cat >objects.yaml <<'END'
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: red, kubernetes.io/metadata.name: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web, k8s/tier: "1"}}
    spec: {containers: [{name: a, ports: [{name: http, containerPort: 8080}, {containerPort: 9}]}]}
---
apiVersion: v1
kind: PodList
items:
  - metadata:
      name: db-0
      namespace: shop
      labels: &db {app: db}
      ownerReferences: [{kind: StatefulSet, name: db, controller: true}]
    spec: {containers: [{name: a, ports: [{name: http, containerPort: 80}]}]}
    status: {podIP: 10.1.0.4}
  - metadata: {name: alone, labels: *db}
END
cat >policies.yaml <<'END'
# everything in, nothing out
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all-in, namespace: shop}
spec: {podSelector: {}, ingress: [{}], policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nothing-in, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [], egress: []}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: peers, namespace: shop}
spec:
  podSelector:
    matchExpressions:
      - {key: app, operator: In, values: [web, api]}
      - {key: k8s/tier, operator: Exists}
      - {key: old, operator: DoesNotExist}
      - {key: zone, operator: NotIn, values: [x]}
  ingress:
    - from:
        - podSelector: {}
        - namespaceSelector: {}
        - namespaceSelector: {matchLabels: {team: red}}
          podSelector: {matchLabels: {host: "yes"}}
        - ipBlock: {cidr: 10.1.2.3/8, except: [10.2.0.0/16, 10.3.0.0/16]}
      ports:
        - {port: 80}
        - {port: 8000, endPort: 8010, protocol: UDP}
        - {protocol: SCTP}
        - {port: http}
  egress:
    - to: [{podSelector: {}}, {ipBlock: {cidr: "2001:db8::/32"}}]
      ports: [{port: http}]
END
cat >tiers.yaml <<'END'
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: first}
spec:
  priority: 7
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}
  ingress:
    - {name: a, action: Allow, from: [{namespaces: {}}], ports: [{namedPort: http}]}
    - {action: Pass, from: [{namespaces: {matchLabels: {team: red}}}]}
  egress:
    - action: Deny
      to: [{networks: [0.0.0.0/0, "2001:db8::1/16"]}, {nodes: {}}]
      ports: [{portRange: {protocol: UDP, start: 1, end: 53}}, {portNumber: {protocol: TCP, port: 22}}]
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec:
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}]}]
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: second}
spec:
  tier: Admin
  priority: 9
  subject: {namespaces: {}}
  egress:
    - action: Accept
      to: [{pods: {namespaceSelector: {}, podSelector: {}}}]
      protocols:
        - {tcp: {destinationPort: {number: 443}}}
        - {udp: {destinationPort: {range: {start: 5, end: 6}}}}
        - {sctp: {}}
        - {destinationNamedPort: http}
END
$POLC import --host host.yaml -o all.pol .
echo "exit: $?"
cat all.pol host.yaml
$POLC check all.pol
echo "exit: $?"
$POLC list --workloads=host.yaml all.pol
echo "exit: $?"

# What would widen the policy, or is not to be trusted, is refused.
refuse() { # TEXT
	printf '%b' "$1" >bad.yaml
	$POLC import "${@:2}" bad.yaml >out 2>&1
	echo "exit: $?"
	cat out
}
np='apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:'
refuse "$np {podselector: {}}\n"
refuse "$np {ingress: {}}\n"
refuse "$np {ingress: [{from: [{}]}]}\n"
refuse "$np {ingress: [{ports: [{port: 0}]}]}\n"
refuse "$np {ingress: [{ports: [{port: '80'}]}]}\n"
refuse "$np {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}\n"
refuse "$np {podSelector: {matchLabels: {ns: kube-system}}}\n"
refuse "$np {podSelector: {matchLabels: {a: 'x\"] { }'}}}\n"
refuse "$np {policyTypes: [ingress]}\n"
refuse 'kind: Pod\nmetadata: {name: a, labels: {ns/team: red}}\n'
refuse 'kind: Pod\nmetadata: {name: a, labels: {port/tcp/http: "1"}}\n'
refuse 'apiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n'
refuse 'kind: GlobalNetworkPolicy\nmetadata: {name: a}\n'
refuse "$np {}\n---\n$np {}\n"
refuse 'a: b\na: c\n'
refuse 'a: &x [*x]\n'
refuse 'kind: Pod\nmetadata: !!map {name: a}\n'
admin='kind: AdminNetworkPolicy\nmetadata: {name: a}\nspec: {priority: 1, subject: {namespaces: {}}, '
refuse "$admin egress: [{action: Deny, to: [{nodes: {matchLabels: {a: b}}}]}]}\n"
refuse "$admin egress: [{action: Pass, to: [{nodes: {matchLabels: {a: b}}}]}]}\n" --lax
refuse "$admin egress: [{action: Allow, to: [{domainNames: [a.example]}]}]}\n" --lax
refuse "$admin egress: [{action: Deny, to: [{}]}]}\n"

# Bombs are cheap.
{
	echo 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'
	for i in 1 2 3 4 5 6 7 8 9; do
		p=a$((i - 1))
		echo "a$i: &a$i [*$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p]"
	done
} >bomb.yaml
$POLC import bomb.yaml
echo "exit: $?"
printf '[%.0s' {1..100000} >deep.yaml
$POLC import deep.yaml
echo "exit: $?"
{
	printf 'a: "'
	head -c 2000000 /dev/zero | tr '\0' x
	echo '"'
} >huge.yaml
$POLC import huge.yaml
echo "exit: $?"
$POLC import missing.yaml
echo "exit: $?"
