/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a compiled object says of itself, in two sections that are not loaded.
 * Written by the compiler, read by the loader.  Both are YAML 1.1, flow style
 * one item a line where there may be many; numbers are decimal.
 *
 * POL_SECTION_MANIFEST: what the loader needs to place endpoints.
 *
 *   polc: "0.1.0"                 version of the compiler
 *   abi: 7                        POL_ABI_VERSION; another one is refused
 *   policy: shop.pol              root file as given, base name only
 *   sources: HEX                  SHA-256 over all source texts in order
 *   default: deny                 or allow
 *   host_open: false              option host open
 *   address_classes: 10
 *   l4_classes: 12
 *   column_levels: 2
 *   l4_levels: 1
 *   pages_used: 37                pages that the compiler filled, page 0 included
 *   verdicts_used: 9              verdicts that the compiler filled, the fixed two included
 *   selectors:                    index is the id; operands come before users; id 0 is {op: "true"}
 *     - {op: "true"}
 *     - {op: in, key: app, values: [frontend]}     == and in
 *     - {op: has, key: zone}
 *     - {op: not, of: [1]}
 *     - {op: and, of: [1, 2]}
 *     - {op: or, of: [1, 2]}
 *   classes:                      the endpoint definitions, for people
 *     - {name: frontend, selector: 1}
 *   sets:                         address sets named by a predicate of endpoints: the address
 *     - [0, 3, 5-9]               classes inside; index is the id; id 0 is every class
 *   predicates:                   when an endpoint is the peer: any term holds; index is the id
 *     - [{selector: 1, set: 0}, {selector: 0, set: 2}]
 *   blocks:
 *     - {subject: 1, direction: ingress, stage: main, audit: false, root: 17, base: 3, rows: [[0, 4], [2, 9]]}
 *                                 subject: selector; stage: admin, main or baseline; root: page of the block's table over the
 *                                 static columns; base: L4 tree (page) of a peer that satisfies no
 *                                 predicate; rows: predicate -> L4 tree of one that does
 *   limits: 2                     length of pol_limits
 *   filters:                      only where there are any; index is the bit in pol_if.filters
 *     - {name: edge, interfaces: [eth0, eth1]}
 *   dynamic: [badguys]            sets that change at run time, likewise; index as in pol_set_slot
 *   services:                     only where there are any; index n: see polc/service.h, svc
 *     - {name: shop, protocol: 6, balance: maglev, mode: nat, vips: [{address: "198.51.100.10", port: 80}],
 *        backends: [{selector: 1, port: 8080, weight: 1}, {address: "10.7.0.9", port: 8080, weight: 2}],
 *        check: {every: 5, timeout: 2, rise: 2, fall: 3, path: "/live"}}
 *                                 one line; check: only where there is one, path: of HTTP
 *   pool:                         only where there is one: addresses of endpoints, ascending, IPv4 first
 *     - "10.1.0.0-10.1.255.255"
 *
 * POL_SECTION_RULES: for people and reports; index is the rule number.
 *
 *   - {file: shop.pol, line: 21, policy: api, direction: ingress, action: allow, text: "allow from frontend on tcp 8080"}
 *       of a line of a filter: direction: filter, action: drop, pass or limit, policy: the filter's name
 *       further keys where they apply: name, implicit: closed|default|host, tier, audit: true
 *
 * How the loader makes the table of an endpoint: for a direction, take the blocks whose subject
 * selects it; fold roots and rows of each stage by pol_table_combine; a block's row for a peer
 * endpoint is the combination of `base` and of the rows of all predicates that hold for it; then
 * stages are resolved: admin where it decides, else main, else baseline (base/table.h).  That leaves
 * out blocks with audit: true. If there are any, a second table is made of all blocks, and
 * AUDIT(first, second) puts what the audit policies would have denied into pol_verdict.audit_rule.
 */
#ifndef POLC_MANIFEST_H
#define POLC_MANIFEST_H

#define POL_SECTION_MANIFEST ".polc.manifest"
#define POL_SECTION_RULES ".polc.rules"

#endif
