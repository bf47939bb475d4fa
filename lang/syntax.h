/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the scanner, the parser and the formatter.
 *
 * Tokens go text -> pol_scan (flex) -> pol_tokens_raw (counts brackets, drops
 * comments) -> pol_yylex (what bison calls: also skips to the end of a broken
 * statement, and puts in a `;` or `}` that was forgotten).
 */
#ifndef POLC_SYNTAX_H
#define POLC_SYNTAX_H

#include "lang/ast.h"
#include "lang/diag.h"

struct pol_parse;

struct pol_range {
	uint32_t lo, hi;
};

struct pol_rate {
	uint32_t count, seconds;
};

/* Attributes of a rule while they are collected. */
struct pol_attrs {
	bool log, audit;
	struct pol_span log_span, audit_span, tier_span;
	struct pol_string name;
	struct pol_ast_limit *limit;
	enum pol_ast_stage stage;
	uint32_t tier;
};

#include "lang/parse.h"	/* bison's: POL_YYSTYPE, enum pol_yytokentype */

#define POL_MAX_BRACKETS POL_MAX_DEPTH

struct pol_token {
	int kind;
	POL_YYSTYPE value;
	struct pol_span span;
	bool at_margin;		/* first in its line, without indentation */
	bool first;		/* first in its line */
	char bracket;		/* that it opened or closed: 'b', 'u', '[', '(' or 0 */
	bool put_in;		/* not in the text */
};

struct pol_parse {
	struct pol_arena *arena;
	struct pol_intern *names;
	struct pol_diags *diags;
	struct pol_source *src;
	void *scanner;			/* flex's */
	uint32_t at;			/* offset of the next byte to scan */
	bool comments;			/* deliver T_COMMENT: the formatter */
	bool flow;			/* the text is a flow, not a policy */

	struct pol_file *file;		/* result */
	bool too_deep;			/* said once */
	struct pol_decl *service;	/* whose lines are being read */
	struct pol_flow *flow_result;

	/* What pol_yylex knows. */
	struct pol_token last;		/* delivered last: bison's lookahead */
	struct pol_token before;	/* the token before that */
	struct pol_token queue[4];	/* to be delivered first, from the end */
	unsigned n_queue, stuck;
	char open[POL_MAX_BRACKETS];	/* 'b' block, 'u' union, '[' or '(' */
	struct pol_span open_span[POL_MAX_BRACKETS];
	unsigned n_open;
	int raw_kind;			/* last token from the text: is `{` a union or a block? */
	bool at_end;		/* the scanner has no more */
	bool start_sent;	/* START_FILE or START_FLOW */
	bool stopped;		/* given up: nothing but END follows */
	bool skip;		/* a syntax error was reported, its statement is to be skipped */
	bool end_reported;	/* one "missing" at the end of the file is enough */
	uint32_t errors;		/* syntax errors */
	struct pol_span bad;		/* the last token that was malformed, and said to be so */

	/* Names that a definition, perhaps a broken one, gives: not reported as unknown. */
	POL_VEC(struct pol_str) maybe;
};

/* lang/scan.l */
int pol_scan(POL_YYSTYPE *value, struct pol_span *at, void *scanner);
int pol_scan_init(struct pol_parse *ctx);
void pol_scan_end(struct pol_parse *ctx);

/* lang/tokens.c */
int pol_yylex(POL_YYSTYPE *value, struct pol_span *at, struct pol_parse *ctx);
/* Whether `{` after this kind of token opens a union of peers and not a block. */
bool pol_brace_is_union(int before);
/* Bison found `found` and could have used `expected`. */
void pol_syntax_error(struct pol_parse *ctx, const int *expected, size_t n);
void pol_syntax_memory(struct pol_parse *ctx);

/* lang/parse.y */
const char *pol_token_name(int token);

/* lang/lexeme.c: the values of tokens, with their diagnostics. */
int pol_lex_word(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at);
void pol_lex_string(struct pol_parse *ctx, struct pol_str s, bool regex, POL_YYSTYPE *v,
		    struct pol_span at);
int pol_lex_number(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at);
void pol_lex_range(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at);
void pol_lex_rate(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at);
void pol_lex_prefix(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at);
int pol_lex_junk(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at);
void pol_lex_unexpected(struct pol_parse *ctx, struct pol_str s, struct pol_span at);
/* A token within this span was reported as malformed: nothing more needs to be said about it. */
bool pol_said(const struct pol_parse *ctx, struct pol_span at);
/* Says what is wrong with an address; shared with list files. */
void pol_prefix_diag(struct pol_diags *d, enum pol_ip_error e, struct pol_str s,
		     struct pol_span at);
/* The network that an address with host bits lies in. */
struct pol_prefix pol_prefix_masked(struct pol_prefix p);
/* False, and a diagnostic, for NUL bytes and what is not UTF-8. */
bool pol_text_check(struct pol_diags *d, const struct pol_source *src);

/* lang/nodes.c: constructors for the grammar's actions. */
#define POL_APPEND(list, item)                                                               \
	do {                                                                                 \
		__typeof__((list)->first) item_ = (item);                                    \
		if (!item_)                                                                  \
			break;                                                               \
		if ((list)->last)                                                            \
			(list)->last->next = item_;                                          \
		else                                                                         \
			(list)->first = item_;                                               \
		(list)->last = item_;                                                        \
		(list)->n++;                                                                 \
	} while (0)

#define POL_NEW(ctx, type) ((struct type *)pol_arena_alloc((ctx)->arena, sizeof(struct type)))

struct pol_name pol_node_name(struct pol_string s);
struct pol_ast_sel *pol_node_sel(struct pol_parse *ctx, enum pol_ast_sel_kind kind,
				 struct pol_span at,
				 struct pol_string key, struct pol_label_values values);
struct pol_ast_sel *pol_node_sel_not(struct pol_parse *ctx, struct pol_span at,
				     struct pol_ast_sel *of);
/* AND or OR: joins into left if that is one already and was not in parentheses. */
struct pol_ast_sel *pol_node_sel_join(struct pol_parse *ctx, enum pol_ast_sel_kind kind,
				      struct pol_ast_sel *left, struct pol_ast_sel *right);
struct pol_label_values pol_node_value(struct pol_parse *ctx, struct pol_label_values list,
				       struct pol_string s);

struct pol_ast_peer *pol_node_peer(struct pol_parse *ctx, enum pol_ast_peer_kind kind,
				   struct pol_span at);
struct pol_ast_peer *pol_node_peer_name(struct pol_parse *ctx, struct pol_string name);
struct pol_ast_peer *pol_node_peer_prefix(struct pol_parse *ctx, struct pol_prefix p,
					  struct pol_span at);
struct pol_ast_peer *pol_node_peer_sel(struct pol_parse *ctx, struct pol_ast_sel *s,
				       struct pol_span at);
struct pol_ast_peer *pol_node_peer_pair(struct pol_parse *ctx, enum pol_ast_peer_kind kind,
					struct pol_ast_peer *left, struct pol_ast_peer *right);
struct pol_ast_peer *pol_node_peer_union(struct pol_parse *ctx, struct pol_peers of, bool braces,
					 struct pol_span at);
struct pol_peers pol_node_prefixes(struct pol_parse *ctx, struct pol_peers list,
				   struct pol_prefix p,
				   struct pol_span at);

struct pol_port *pol_node_port_name(struct pol_parse *ctx, struct pol_string name);
/* proto -1: a bare number, repeats what stands before it. */
struct pol_port *pol_node_port(struct pol_parse *ctx, int proto, struct pol_range r,
			       struct pol_span at);
struct pol_port *pol_node_port_all(struct pol_parse *ctx, int proto, struct pol_span at);
/* A word after a protocol: an ICMP type, or TCP flags after tcp. */
struct pol_port *pol_node_port_word(struct pol_parse *ctx, struct pol_port *p,
				    struct pol_string word,
				    struct pol_span at);
struct pol_port *pol_node_port_proto(struct pol_parse *ctx, struct pol_number n,
				     struct pol_span at);
struct pol_port *pol_node_sport(struct pol_parse *ctx, struct pol_range r, struct pol_span at);
struct pol_port_list pol_node_port_add(struct pol_parse *ctx, struct pol_port_list list,
				       struct pol_port *p);
struct pol_ports *pol_node_ports(struct pol_parse *ctx, struct pol_port_list list,
				 struct pol_span at);

struct pol_ast_limit *pol_node_limit(struct pol_parse *ctx, struct pol_rate rate,
				     struct pol_number burst,
				     struct pol_span at);
struct pol_ast_limit *pol_node_limit_source(struct pol_parse *ctx, struct pol_ast_limit *l,
					    struct pol_span at, const struct pol_number *a,
					    const struct pol_number *b);

struct pol_attrs pol_attr_log(struct pol_parse *ctx, struct pol_attrs a, struct pol_span at);
struct pol_attrs pol_attr_name(struct pol_parse *ctx, struct pol_attrs a, struct pol_string s);
struct pol_attrs pol_attr_limit(struct pol_parse *ctx, struct pol_attrs a, struct pol_ast_limit *l);
struct pol_attrs pol_attr_audit(struct pol_parse *ctx, struct pol_attrs a, struct pol_span at);
struct pol_attrs pol_attr_tier(struct pol_parse *ctx, struct pol_attrs a, enum pol_ast_stage stage,
			       struct pol_number n, struct pol_span at);
struct pol_ast_rule *pol_node_rule(struct pol_parse *ctx, enum pol_ast_action action,
				   struct pol_span action_span, bool egress,
				   struct pol_ast_peer *peer,
				   struct pol_ports *on, struct pol_attrs a, struct pol_span at);
struct pol_cond *pol_node_query(struct pol_parse *ctx, enum pol_cond_test test,
				struct pol_string value, struct pol_span at);
/* header NULL: of the host */
struct pol_cond *pol_node_cond(struct pol_parse *ctx, const struct pol_string *header,
			       enum pol_cond_test test, struct pol_string value,
			       struct pol_span at);
/* Puts one more match into a line of a filter. */
struct pol_filter_rule *pol_filter_from(struct pol_parse *ctx, struct pol_filter_rule *r,
					struct pol_ast_peer *p);
struct pol_filter_rule *pol_filter_to(struct pol_parse *ctx, struct pol_filter_rule *r,
				      struct pol_ast_peer *p);
struct pol_filter_rule *pol_filter_on(struct pol_parse *ctx, struct pol_filter_rule *r,
				      struct pol_ports *p);
struct pol_filter_rule *pol_filter_sport(struct pol_parse *ctx, struct pol_filter_rule *r,
					 struct pol_ports *p);
struct pol_filter_rule *pol_filter_log(struct pol_parse *ctx, struct pol_filter_rule *r,
				       struct pol_span at);
struct pol_filter_rule *pol_filter_name(struct pol_parse *ctx, struct pol_filter_rule *r,
					struct pol_string s);

struct pol_decl *pol_node_service(struct pol_parse *ctx);
void pol_service_vip(struct pol_parse *ctx, struct pol_peers addresses, struct pol_ports *on,
		     struct pol_span at);
void pol_service_backend(struct pol_parse *ctx, struct pol_ast_peer *peer, struct pol_ports *on,
			 struct pol_number weight, struct pol_span at);
void pol_service_balance(struct pol_parse *ctx, bool random, struct pol_span at);
void pol_service_mode(struct pol_parse *ctx, bool dsr, struct pol_span at);
/* A check begins, then come its marks, then it is there. */
void pol_service_check_begin(struct pol_parse *ctx);
void pol_service_check(struct pol_parse *ctx, struct pol_string path, struct pol_span at);
void pol_service_check_mark(struct pol_parse *ctx, enum pol_check_mark mark, struct pol_number n);

struct pol_decl *pol_node_decl(struct pol_parse *ctx, enum pol_decl_kind kind, struct pol_span at,
			       struct pol_span head);
struct pol_decl *pol_node_named(struct pol_parse *ctx, enum pol_decl_kind kind,
				struct pol_string name,
				struct pol_span at, struct pol_span head);

#endif
