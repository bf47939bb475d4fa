/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The grammar. lang/reference.md says the same for people; keep both true.
 *
 * Actions build nodes and nothing else. Recovery: after a syntax error
 * pol_yylex skips the broken statement and then delivers one `;`, so
 * `error ";"` is the only form needed, at each level where statements stand.
 */
%require "3.8"
%define api.pure full
%define api.prefix {pol_yy}
%define api.token.prefix {T_}
%define api.location.type {struct pol_span}
%define parse.error custom
%define parse.lac full
%expect 0
%locations
%param {struct pol_parse *ctx}

%code top {
#include "lang/syntax.h"
}

%code {
/* Nesting is limited anyway; a text that is only `not not not ...` ends here. */
#define YYMAXDEPTH 2000

#define YYLLOC_DEFAULT(current, rhs, n)                                        \
	do {                                                                   \
		if (n) {                                                       \
			(current) = pol_span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)); \
		} else {                                                       \
			(current) = YYRHSLOC(rhs, 0);                          \
			(current).start = (current).end;                       \
		}                                                              \
	} while (0)

#define NO_VALUES ((struct pol_label_values){ 0 })
#define ONE(number) ((struct pol_range){ (number).value, (number).value })

static void pol_yyerror(struct pol_span *at, struct pol_parse *ctx, const char *what);
}

%initial-action {
	@$ = (struct pol_span){ ctx->src->id, 0, 0 };
}

%union {
	struct pol_string string;
	struct pol_number number;
	struct pol_range range;
	struct pol_rate rate;
	struct pol_prefix prefix;
	int proto;
	enum pol_ast_action action;
	bool flag;
	struct pol_ast_sel *sel;
	struct pol_ast_peer *peer;
	struct pol_peers peers;
	struct pol_label_values values;
	struct pol_port *port;
	struct pol_port_list port_list;
	struct pol_ports *ports;
	struct pol_ast_limit *limit;
	struct pol_attrs attrs;
	struct pol_ast_rule *rule;
	struct pol_rules rules;
	struct pol_filter_rule *filter_rule;
	struct pol_filter_rules filter_rules;
	struct pol_method *method;
	struct pol_methods methods;
	struct pol_cond *cond;
	struct pol_conds conds;
	struct pol_http_line *http_line;
	struct pol_http_lines http_lines;
	struct pol_http *http;
	struct pol_cidr_item *cidr_item;
	struct pol_cidr_items cidr_items;
	struct pol_flow *flow;
	struct pol_decl *decl;
}

/* Delivered by pol_yylex, never written by anybody. */
%token START_FILE "a policy"
%token START_FLOW "a flow"
%token END "the end of the file"
%token COMMENT "a comment"

%token <string> NAME "a name"
%token <string> METHOD "an HTTP method"
%token <string> STRING "a quoted string"
%token <string> REGEX "a regular expression ~\"...\""
%token <number> NUMBER "a number"
%token <range> RANGE "a range of ports"
%token <rate> RATE "a rate such as 200/s"
%token <number> LEN "a prefix length such as /24"
%token <prefix> PREFIX "an address or prefix"

%token SEMI ";"
%token COMMA ","
%token LBRACE "{"
%token RBRACE "}"
%token LBRACKET "["
%token RBRACKET "]"
%token LPAREN "("
%token RPAREN ")"
%token ASSIGN "="
%token EQ "=="
%token NE "!="
%token STAR "*"
%token AT "@"

%token ALLOW "allow"
%token DENY "deny"
%token REJECT "reject"
%token SKIP "skip"
%token DROP "drop"
%token PASS "pass"
%token FROM "from"
%token TO "to"
%token ON "on"
%token ANY "any"
%token HOST "host"
%token NODES "nodes"
%token WORLD "world"
%token PUBLIC "public"
%token NONE "none"
%token EXCEPT "except"
%token IN "in"
%token AND "and"
%token OR "or"
%token NOT "not"
%token HAS "has"
%token TRUE "true"
%token LIMIT "limit"
%token WHERE "where"
%token TCP "tcp"
%token UDP "udp"
%token SCTP "sctp"
%token ICMP "icmp"
%token ICMP6 "icmp6"
%token PROTO "proto"

/* Words that may be names too. */
%token <string> ADMIN "admin"
%token <string> ASSERT "assert"
%token <string> AUDIT "audit"
%token <string> BACKEND "backend"
%token <string> BALANCE "balance"
%token <string> BASELINE "baseline"
%token <string> BURST "burst"
%token <string> CHECK "check"
%token <string> CIDR "cidr"
%token <string> DEFAULT "default"
%token <string> DSR "dsr"
%token <string> DYNAMIC "dynamic"
%token <string> ENDPOINT "endpoint"
%token <string> EVERY "every"
%token <string> FALL "fall"
%token <string> FILE "file"
%token <string> FILTER "filter"
%token <string> HEADER "header"
%token <string> HTTP "http"
%token <string> IMPORT "import"
%token <string> LOG "log"
%token <string> MAGLEV "maglev"
%token <string> MODE "mode"
%token <string> NAMED "name"
%token <string> NAT "nat"
%token <string> OPEN "open"
%token <string> OPTION "option"
%token <string> PER "per"
%token <string> POLICY "policy"
%token <string> POOL "pool"
%token <string> PORT "port"
%token <string> QUERY "query"
%token <string> RANDOM "random"
%token <string> RISE "rise"
%token <string> SERVICE "service"
%token <string> SOURCE "source"
%token <string> SPORT "sport"
%token <string> TIER "tier"
%token <string> TIMEOUT "timeout"
%token <string> VIP "vip"
%token <string> WEBSOCKET "websocket"
%token <string> WEIGHT "weight"

%type <string> soft name name_or_string key label_value check_how
%type <decl> decl policy policy_head service filter
%type <cidr_item> cidr_item
%type <cidr_items> cidr_items
%type <flag> dynamic or_none
%type <peers> prefixes peer_list
%type <peer> peers peer primary
%type <sel> sel sel_and sel_not sel_test labels label
%type <values> strings interfaces
%type <port> port sport
%type <port_list> port_list sport_list
%type <ports> ports on sports
%type <proto> proto
%type <limit> limit
%type <attrs> attrs policy_attrs
%type <action> action http_action
%type <flag> direction
%type <rule> rule rule_head
%type <rules> rules
%type <http> http
%type <http_line> http_line
%type <http_lines> http_lines
%type <methods> methods method_list
%type <cond> cond
%type <conds> where conds
%type <flag> websocket
%type <number> weight
%type <filter_rule> filter_rule filter_head
%type <filter_rules> filter_rules
%type <flow> flow flow_ends

%%

text:
  START_FILE decls END
| START_FLOW flow END	{ ctx->flow_result = $flow; }
| START_FLOW error END
;

/* ---- definitions ------------------------------------------------------------- */

decls:
  %empty
| decls decl		{ POL_APPEND(&ctx->file->decls, $decl); }
| decls error ";"	{ yyerrok; }
;

decl:
  "import" STRING ";" {
	$$ = pol_node_decl(ctx, POL_DECL_IMPORT, @$, @$);
	$$->import.path = $STRING;
  }
| "default" "allow" ";" {
	$$ = pol_node_decl(ctx, POL_DECL_DEFAULT, @$, @$);
	$$->dflt.allow = true;
  }
| "default" "deny" ";" {
	$$ = pol_node_decl(ctx, POL_DECL_DEFAULT, @$, @$);
  }
| "pool" prefixes ";" {
	$$ = pol_node_decl(ctx, POL_DECL_POOL, @$, @$);
	$$->pool.prefixes = $prefixes;
  }
| "option" "host" "open" ";" {
	$$ = pol_node_decl(ctx, POL_DECL_OPTION, @$, @$);
	$$->option.host_open = true;
  }
| "cidr" name dynamic "=" cidr_items ";" {
	$$ = pol_node_named(ctx, POL_DECL_CIDR, $name, @$, @$);
	$$->cidr.dynamic = $dynamic;
	$$->cidr.items = $cidr_items;
  }
| "cidr" name "dynamic" ";" {
	$$ = pol_node_named(ctx, POL_DECL_CIDR, $name, @$, @$);
	$$->cidr.dynamic = true;
  }
| "port" name "=" ports ";" {
	$$ = pol_node_named(ctx, POL_DECL_PORT, $name, @$, @$);
	$$->port.ports = $ports;
  }
| "endpoint" name "=" sel ";" {
	$$ = pol_node_named(ctx, POL_DECL_ENDPOINT, $name, @$, @$);
	$$->endpoint.selector = $sel;
  }
| policy
| service
| filter
| "assert" "allow" flow ";" {
	$$ = pol_node_decl(ctx, POL_DECL_ASSERT, @$, @$);
	$$->assertion.allow = true;
	$$->assertion.flow = $flow;
  }
| "assert" "deny" flow ";" {
	$$ = pol_node_decl(ctx, POL_DECL_ASSERT, @$, @$);
	$$->assertion.flow = $flow;
  }
;

prefixes:
  PREFIX		{ $$ = pol_node_prefixes(ctx, (struct pol_peers){ 0 }, $PREFIX, @PREFIX); }
| prefixes[list] "," PREFIX { $$ = pol_node_prefixes(ctx, $list, $PREFIX, @PREFIX); }
;

dynamic:
  %empty		{ $$ = false; }
| "dynamic"		{ $$ = true; }
;

cidr_items:
  cidr_item		{ $$ = (struct pol_cidr_items){ 0 }; POL_APPEND(&$$, $cidr_item); }
| cidr_items[list] "," cidr_item { $$ = $list; POL_APPEND(&$$, $cidr_item); }
;

cidr_item:
  PREFIX {
	$$ = POL_NEW(ctx, pol_cidr_item);
	$$->span = @$;
	$$->kind = POL_CIDR_PREFIX;
	$$->prefix = $PREFIX;
  }
| name {
	$$ = POL_NEW(ctx, pol_cidr_item);
	$$->span = @$;
	$$->kind = POL_CIDR_NAME;
	$$->name = pol_node_name($name);
  }
| "file" STRING or_none {
	$$ = POL_NEW(ctx, pol_cidr_item);
	$$->span = @$;
	$$->kind = POL_CIDR_FILE;
	$$->file.path = $STRING;
	$$->file.or_none = $or_none;
  }
;

or_none:
  %empty		{ $$ = false; }
| "or" "none"		{ $$ = true; }
;

/* ---- names ------------------------------------------------------------------- */

name:
  NAME | METHOD | soft
;

soft:
  ADMIN | ASSERT | AUDIT | BACKEND | BALANCE | BASELINE | BURST | CHECK | CIDR | DEFAULT | DSR
| DYNAMIC | ENDPOINT | EVERY | FALL | FILE | FILTER | HEADER | HTTP | IMPORT | LOG | MAGLEV | MODE
| NAMED | NAT | OPEN | OPTION | PER | POLICY | POOL | PORT | QUERY | RANDOM | RISE | SERVICE
| SOURCE | SPORT | TIER | TIMEOUT | VIP | WEBSOCKET | WEIGHT
;

name_or_string:
  name | STRING
;

/* ---- selectors --------------------------------------------------------------- */

sel:
  sel_and
| sel[left] "or" sel_and { $$ = pol_node_sel_join(ctx, POL_AST_SEL_OR, $left, $sel_and); }
;

sel_and:
  sel_not
| sel_and[left] "and" sel_not { $$ = pol_node_sel_join(ctx, POL_AST_SEL_AND, $left, $sel_not); }
;

sel_not:
  sel_test
| "not" sel_not[of]	{ $$ = pol_node_sel_not(ctx, @$, $of); }
;

sel_test:
  "(" sel ")"		{ $$ = $sel; $$->span = @$; }
| "true"		{ $$ = pol_node_sel(ctx, POL_AST_SEL_TRUE, @$, (struct pol_string){ 0 },
					    NO_VALUES); }
| "has" "(" key ")"	{ $$ = pol_node_sel(ctx, POL_AST_SEL_HAS, @$, $key,
					    NO_VALUES); }
| key "==" STRING	{ $$ = pol_node_sel(ctx, POL_AST_SEL_EQ, @$, $key,
					    pol_node_value(ctx, NO_VALUES, $STRING)); }
| key "!=" STRING	{ $$ = pol_node_sel(ctx, POL_AST_SEL_NE, @$, $key,
					    pol_node_value(ctx, NO_VALUES, $STRING)); }
| key "in" "(" strings ")" { $$ = pol_node_sel(ctx, POL_AST_SEL_IN, @$, $key, $strings); }
| key "not" "in" "(" strings ")" { $$ = pol_node_sel(ctx, POL_AST_SEL_NOT_IN, @$, $key, $strings); }
;

key:
  name_or_string
| "host"		{ $$ = (struct pol_string){ pol_intern(ctx->names, POL_STR("host")), @$ }; }
;

strings:
  STRING		{ $$ = pol_node_value(ctx, NO_VALUES, $STRING); }
| strings[list] "," STRING { $$ = pol_node_value(ctx, $list, $STRING); }
;

/* The short form of the commands: [app=frontend,tier=canary] */
labels:
  label
| labels[left] "," label { $$ = pol_node_sel_join(ctx, POL_AST_SEL_AND, $left, $label); }
;

label:
  key "=" label_value	{ $$ = pol_node_sel(ctx, POL_AST_SEL_EQ, @$, $key,
					    pol_node_value(ctx, NO_VALUES,
							   $label_value)); }
;

label_value:
  name_or_string
| NUMBER {
	$$ = (struct pol_string){ pol_intern(ctx->names, pol_arena_printf(ctx->arena, "%u",
					     $NUMBER.value)), @$ };
  }
;

/* ---- peers ------------------------------------------------------------------- */

/* One or more; more than one make a union, with or without braces. */
peers:
  peer_list {
	$$ = $peer_list.n == 1 ? $peer_list.first : pol_node_peer_union(ctx, $peer_list, false, @$);
  }
;

peer_list:
  peer			{ $$ = (struct pol_peers){ 0 }; POL_APPEND(&$$, $peer); }
| peer_list[list] "," peer { $$ = $list; POL_APPEND(&$$, $peer); }
;

peer:
  primary
| peer[left] "except" primary {
	$$ = pol_node_peer_pair(ctx, POL_AST_PEER_EXCEPT, $left, $primary);
  }
| peer[left] "in" primary { $$ = pol_node_peer_pair(ctx, POL_AST_PEER_IN, $left, $primary); }
;

primary:
  name			{ $$ = pol_node_peer_name(ctx, $name); }
| PREFIX		{ $$ = pol_node_peer_prefix(ctx, $PREFIX, @$); }
| "any"			{ $$ = pol_node_peer(ctx, POL_AST_PEER_ANY, @$); }
| "host"		{ $$ = pol_node_peer(ctx, POL_AST_PEER_HOST, @$); }
| "nodes"		{ $$ = pol_node_peer(ctx, POL_AST_PEER_NODES, @$); }
| "world"		{ $$ = pol_node_peer(ctx, POL_AST_PEER_WORLD, @$); }
| "public"		{ $$ = pol_node_peer(ctx, POL_AST_PEER_PUBLIC, @$); }
| "none"		{ $$ = pol_node_peer(ctx, POL_AST_PEER_NONE, @$); }
| "[" "]"		{ $$ = pol_node_peer_sel(ctx, NULL, @$); }
| "[" sel "]"		{ $$ = pol_node_peer_sel(ctx, $sel, @$); }
| "[" labels "]"	{ $$ = pol_node_peer_sel(ctx, $labels, @$); }
| "{" peer_list "}"	{ $$ = pol_node_peer_union(ctx, $peer_list, true, @$); }
| primary[left] "@" PREFIX {
	struct pol_ast_peer *address = pol_node_peer_prefix(ctx, $PREFIX, @PREFIX);

	$$ = pol_node_peer_pair(ctx, POL_AST_PEER_AT, $left, address);
  }
;

/* ---- protocols and ports ----------------------------------------------------- */

on:
  %empty		{ $$ = NULL; }
| "on" ports		{ $$ = $ports; }
;

ports:
  port_list		{ $$ = pol_node_ports(ctx, $port_list, @$); }
;

port_list:
  port			{ $$ = pol_node_port_add(ctx, (struct pol_port_list){ 0 }, $port); }
| port_list[list] "," port { $$ = pol_node_port_add(ctx, $list, $port); }
;

port:
  name			{ $$ = pol_node_port_name(ctx, $name); }
| NUMBER		{ $$ = pol_node_port(ctx, -1, ONE($NUMBER), @$); }
| RANGE			{ $$ = pol_node_port(ctx, -1, $RANGE, @$); }
| proto			{ $$ = pol_node_port_all(ctx, $proto, @$); }
| proto NUMBER		{ $$ = pol_node_port(ctx, $proto, ONE($NUMBER), @$); }
| proto RANGE		{ $$ = pol_node_port(ctx, $proto, $RANGE, @$); }
| proto NAME {
	$$ = pol_node_port_word(ctx, pol_node_port_all(ctx, $proto, @$), $NAME, @$);
  }
| proto NUMBER NAME {
	$$ = pol_node_port_word(ctx, pol_node_port(ctx, $proto, ONE($NUMBER), @$), $NAME, @$);
  }
| proto RANGE NAME {
	$$ = pol_node_port_word(ctx, pol_node_port(ctx, $proto, $RANGE, @$), $NAME, @$);
  }
| "proto" NUMBER	{ $$ = pol_node_port_proto(ctx, $NUMBER, @$); }
;

proto:
  "tcp"			{ $$ = POL_PROTO_TCP; }
| "udp"			{ $$ = POL_PROTO_UDP; }
| "sctp"		{ $$ = POL_PROTO_SCTP; }
| "icmp"		{ $$ = POL_PROTO_ICMP; }
| "icmp6"		{ $$ = POL_PROTO_ICMP6; }
;

/* ---- policies ---------------------------------------------------------------- */

policy:
  policy_head "{" rules "}" {
	$$ = $policy_head;
	$$->span = @$;
	$$->policy.rules = $rules;
  }
;

policy_head:
  "policy" name policy_attrs[a] {
	$$ = pol_node_named(ctx, POL_DECL_POLICY, $name, @$, @$);
	$$->policy.subject = pol_node_peer_name(ctx, $name);
	$$->policy.stage = $a.stage;
	$$->policy.tier = $a.tier;
	$$->policy.tier_span = $a.tier_span;
	$$->policy.audit = $a.audit;
  }
| "policy" name_or_string[name] "on" peers policy_attrs[a] {
	$$ = pol_node_named(ctx, POL_DECL_POLICY, $name, @$, @$);
	$$->policy.subject = $peers;
	$$->policy.subject_written = true;
	$$->policy.stage = $a.stage;
	$$->policy.tier = $a.tier;
	$$->policy.tier_span = $a.tier_span;
	$$->policy.audit = $a.audit;
  }
;

policy_attrs:
  %empty		{ $$ = (struct pol_attrs){ .stage = POL_AST_STAGE_MAIN }; }
| policy_attrs[a] "audit" { $$ = pol_attr_audit(ctx, $a, @2); }
| policy_attrs[a] "tier" "admin" NUMBER {
	$$ = pol_attr_tier(ctx, $a, POL_AST_STAGE_ADMIN, $NUMBER, pol_span_join(@2, @4));
  }
| policy_attrs[a] "tier" "baseline" {
	$$ = pol_attr_tier(ctx, $a, POL_AST_STAGE_BASELINE, (struct pol_number){ 0, @3 },
			   pol_span_join(@2, @3));
  }
| policy_attrs[a] "tier" "baseline" NUMBER {
	$$ = pol_attr_tier(ctx, $a, POL_AST_STAGE_BASELINE, $NUMBER, pol_span_join(@2, @4));
  }
;

rules:
  %empty		{ $$ = (struct pol_rules){ 0 }; }
| rules[list] rule	{ $$ = $list; POL_APPEND(&$$, $rule); }
| rules[list] error ";"	{ $$ = $list; yyerrok; }
;

rule:
  rule_head ";"
| rule_head http	{ $$ = $rule_head; $$->span = @$; $$->http = $http; }
;

rule_head:
  action direction peers on attrs {
	$$ = pol_node_rule(ctx, $action, @action, $direction, $peers, $on, $attrs, @$);
  }
;

action:
  "allow"		{ $$ = POL_AST_ALLOW; }
| "deny"		{ $$ = POL_AST_DENY; }
| "reject"		{ $$ = POL_AST_REJECT; }
| "skip"		{ $$ = POL_AST_SKIP; }
;

direction:
  "from"		{ $$ = false; }
| "to"			{ $$ = true; }
;

attrs:
  %empty		{ $$ = (struct pol_attrs){ .stage = POL_AST_STAGE_MAIN }; }
| attrs[a] "log"	{ $$ = pol_attr_log(ctx, $a, @2); }
| attrs[a] "name" STRING { $$ = pol_attr_name(ctx, $a, $STRING); }
| attrs[a] limit	{ $$ = pol_attr_limit(ctx, $a, $limit); }
;

limit:
  "limit" RATE "burst" NUMBER {
	$$ = pol_node_limit(ctx, $RATE, $NUMBER, @$);
  }
| "limit" RATE "burst" NUMBER "per" "source" {
	$$ = pol_node_limit_source(ctx, pol_node_limit(ctx, $RATE, $NUMBER, @$), @$, NULL, NULL);
  }
| "limit" RATE "burst" NUMBER "per" "source" LEN {
	$$ = pol_node_limit_source(ctx, pol_node_limit(ctx, $RATE, $NUMBER, @$), @$, &$LEN, NULL);
  }
| "limit" RATE "burst" NUMBER "per" "source" LEN[a] LEN[b] {
	$$ = pol_node_limit_source(ctx, pol_node_limit(ctx, $RATE, $NUMBER, @$), @$, &$a, &$b);
  }
;

/* ---- HTTP -------------------------------------------------------------------- */

http:
  "http" "{" http_lines "}" {
	$$ = POL_NEW(ctx, pol_http);
	$$->span = @$;
	$$->lines = $http_lines;
  }
;

http_lines:
  %empty		{ $$ = (struct pol_http_lines){ 0 }; }
| http_lines[list] http_line ";" { $$ = $list; POL_APPEND(&$$, $http_line); }
| http_lines[list] error ";" { $$ = $list; yyerrok; }
;

http_line:
  http_action methods STRING where websocket {
	$$ = POL_NEW(ctx, pol_http_line);
	$$->span = @$;
	$$->action = $http_action;
	$$->methods = $methods;
	$$->path = $STRING;
	$$->where = $where;
	$$->websocket = $websocket;
  }
| http_action methods REGEX where websocket {
	$$ = POL_NEW(ctx, pol_http_line);
	$$->span = @$;
	$$->action = $http_action;
	$$->methods = $methods;
	$$->regex = true;
	$$->path = $REGEX;
	$$->where = $where;
	$$->websocket = $websocket;
  }
;

http_action:
  "allow"		{ $$ = POL_AST_ALLOW; }
| "deny"		{ $$ = POL_AST_DENY; }
;

methods:
  "*"			{ $$ = (struct pol_methods){ 0 }; }
| method_list
;

method_list:
  METHOD {
	struct pol_method *m = POL_NEW(ctx, pol_method);

	m->name = $METHOD;
	$$ = (struct pol_methods){ 0 };
	POL_APPEND(&$$, m);
  }
| method_list[list] "," METHOD {
	struct pol_method *m = POL_NEW(ctx, pol_method);

	m->name = $METHOD;
	$$ = $list;
	POL_APPEND(&$$, m);
  }
;

where:
  %empty		{ $$ = (struct pol_conds){ 0 }; }
| "where" conds		{ $$ = $conds; }
;

conds:
  cond			{ $$ = (struct pol_conds){ 0 }; POL_APPEND(&$$, $cond); }
| conds[list] "and" cond { $$ = $list; POL_APPEND(&$$, $cond); }
;

cond:
  "not" "query"		{ $$ = pol_node_query(ctx, POL_COND_ABSENT, (struct pol_string){ 0 }, @$); }
| "query" "==" STRING	{ $$ = pol_node_query(ctx, POL_COND_EQ, $STRING, @$); }
| "query" REGEX		{ $$ = pol_node_query(ctx, POL_COND_MATCH, $REGEX, @$); }
| "host" "==" STRING	{ $$ = pol_node_cond(ctx, NULL, POL_COND_EQ, $STRING, @$); }
| "host" REGEX		{ $$ = pol_node_cond(ctx, NULL, POL_COND_MATCH, $REGEX, @$); }
| "header" STRING {
	$$ = pol_node_cond(ctx, &$STRING, POL_COND_PRESENT, (struct pol_string){ 0 }, @$);
  }
| "header" STRING[name] "==" STRING[value] {
	$$ = pol_node_cond(ctx, &$name, POL_COND_EQ, $value, @$);
  }
| "header" STRING REGEX	{ $$ = pol_node_cond(ctx, &$STRING, POL_COND_MATCH, $REGEX, @$); }
;

websocket:
  %empty		{ $$ = false; }
| "websocket"		{ $$ = true; }
;

/* ---- services ---------------------------------------------------------------- */

service:
  "service" name "{" service_lines "}" {
	$$ = ctx->service;
	ctx->service = NULL;
	$$->name = pol_node_name($name);
	$$->span = @$;
	$$->head = pol_span_join(@1, @2);
  }
;

/* The lines write into ctx->service: blocks of services do not nest. */
service_lines:
  %empty		{ ctx->service = pol_node_service(ctx); }
| service_lines service_line ";"
| service_lines error ";" { yyerrok; }
;

service_line:
  "vip" prefixes "on" ports { pol_service_vip(ctx, $prefixes, $ports, @$); }
| "backend" peers "on" ports weight { pol_service_backend(ctx, $peers, $ports, $weight, @$); }
| "balance" "maglev"	{ pol_service_balance(ctx, false, @$); }
| "balance" "random"	{ pol_service_balance(ctx, true, @$); }
| "mode" "nat"		{ pol_service_mode(ctx, false, @$); }
| "mode" "dsr"		{ pol_service_mode(ctx, true, @$); }
| "check" check_how check_marks { pol_service_check(ctx, $check_how, @$); }
;

/* Without a path: by connecting. */
check_how:
  "tcp"			{ $$ = (struct pol_string){ 0 }; pol_service_check_begin(ctx); }
| "http" STRING		{ $$ = $STRING; pol_service_check_begin(ctx); }
;

check_marks:
  %empty
| check_marks "every" NUMBER	{ pol_service_check_mark(ctx, POL_CHECK_EVERY, $NUMBER); }
| check_marks "timeout" NUMBER	{ pol_service_check_mark(ctx, POL_CHECK_TIMEOUT, $NUMBER); }
| check_marks "rise" NUMBER	{ pol_service_check_mark(ctx, POL_CHECK_RISE, $NUMBER); }
| check_marks "fall" NUMBER	{ pol_service_check_mark(ctx, POL_CHECK_FALL, $NUMBER); }
;

weight:
  %empty		{ $$ = (struct pol_number){ 1, @$ }; }
| "weight" NUMBER	{ $$ = $NUMBER; }
;

/* ---- filters ----------------------------------------------------------------- */

filter:
  "filter" name "on" interfaces "{" filter_rules "}" {
	$$ = pol_node_named(ctx, POL_DECL_FILTER, $name, @$, pol_span_join(@1, @4));
	$$->filter.interfaces = $interfaces;
	$$->filter.rules = $filter_rules;
  }
;

interfaces:
  name_or_string	{ $$ = pol_node_value(ctx, NO_VALUES, $name_or_string); }
| interfaces[list] "," name_or_string { $$ = pol_node_value(ctx, $list, $name_or_string); }
;

filter_rules:
  %empty		{ $$ = (struct pol_filter_rules){ 0 }; }
| filter_rules[list] filter_rule ";" {
	$$ = $list;
	$filter_rule->span = @2;
	POL_APPEND(&$$, $filter_rule);
  }
| filter_rules[list] error ";" { $$ = $list; yyerrok; }
;

filter_rule:
  filter_head
| filter_rule[r] "from" peers	{ $$ = pol_filter_from(ctx, $r, $peers); }
| filter_rule[r] "to" peers	{ $$ = pol_filter_to(ctx, $r, $peers); }
| filter_rule[r] "on" ports	{ $$ = pol_filter_on(ctx, $r, $ports); }
| filter_rule[r] "sport" sports	{ $$ = pol_filter_sport(ctx, $r, $sports); }
| filter_rule[r] "log"		{ $$ = pol_filter_log(ctx, $r, @2); }
| filter_rule[r] "name" STRING	{ $$ = pol_filter_name(ctx, $r, $STRING); }
;

filter_head:
  "drop"		{ $$ = POL_NEW(ctx, pol_filter_rule); $$->action = POL_AST_DROP; }
| "pass"		{ $$ = POL_NEW(ctx, pol_filter_rule); $$->action = POL_AST_PASS; }
| limit {
	$$ = POL_NEW(ctx, pol_filter_rule);
	$$->action = POL_AST_LIMIT;
	$$->limit = $limit;
  }
;

sports:
  sport_list		{ $$ = pol_node_ports(ctx, $sport_list, @$); }
;

sport_list:
  sport			{ $$ = (struct pol_port_list){ 0 }; POL_APPEND(&$$, $sport); }
| sport_list[list] "," sport { $$ = $list; POL_APPEND(&$$, $sport); }
;

sport:
  NUMBER		{ $$ = pol_node_sport(ctx, ONE($NUMBER), @$); }
| RANGE			{ $$ = pol_node_sport(ctx, $RANGE, @$); }
;

/* ---- flows ------------------------------------------------------------------- */

flow:
  flow_ends
| flow_ends METHOD STRING {
	$$ = $flow_ends;
	$$->span = @$;
	$$->method = $METHOD;
	$$->path = $STRING;
  }
;

flow_ends:
  "from" peers[from] "to" peers[to] on {
	$$ = POL_NEW(ctx, pol_flow);
	$$->span = @$;
	$$->from = $from;
	$$->to = $to;
	$$->on = $on;
  }
;

%%

const char *pol_token_name(int token)
{
	return yysymbol_name(YYTRANSLATE(token));
}

static int yyreport_syntax_error(const yypcontext_t *at, struct pol_parse *ctx)
{
	yysymbol_kind_t kinds[YYNTOKENS];
	int tokens[YYNTOKENS];
	size_t n = 0;
	int r = yypcontext_expected_tokens(at, kinds, YYNTOKENS);

	if (r < 0)
		return r;
	for (int t = T_START_FILE; t <= T_WEIGHT; t++)
		for (int i = 0; i < r; i++)
			if (kinds[i] == YYTRANSLATE(t))
				tokens[n++] = t;
	pol_syntax_error(ctx, tokens, n);
	return 0;
}

static void pol_yyerror(struct pol_span *at, struct pol_parse *ctx, const char *what)
{
	(void)at;
	(void)what;
	pol_syntax_memory(ctx);	/* the only thing that bison itself still reports */
}
