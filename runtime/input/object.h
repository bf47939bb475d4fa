/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A compiled object as a file, before the kernel sees it: what it says of
 * itself (polc/manifest.h) and the tables that user space searches too.
 *
 * An object is input from outside.  Whatever prt_object_open lets through has
 * every number in range: indices point inside, operands come before their
 * users, and every tree that a block names has been walked to its verdicts.
 */
#ifndef PRT_OBJECT_H
#define PRT_OBJECT_H

#include <polc/abi.h>
#include <polc/tables.h>

#include "base/base.h"
#include "base/http.h"
#include "base/sign.h"
#include "base/table.h"

#define PRT_SET_NAME 64	/* bytes of a dynamic set's name, with its NUL */
#define PRT_OBJECT_MAX (256u << 20)	/* bytes of an object */

/* ---- the manifest ---------------------------------------------------------- */

#define PRT_SEL_OPS(X)                                                             \
	X(TRUE, "true") X(IN, "in") X(HAS, "has") X(NOT, "not") X(AND, "and") X(OR, "or")
#define PRT_SEL_ENUM(e, n) PRT_SEL_##e,
enum prt_sel_op { PRT_SEL_OPS(PRT_SEL_ENUM) PRT_SEL_OP_MAX };
#undef PRT_SEL_ENUM

enum prt_stage { PRT_STAGE_ADMIN, PRT_STAGE_MAIN, PRT_STAGE_BASELINE, PRT_STAGES };

struct prt_selector {
	enum prt_sel_op op;
	struct pol_str key;	/* IN, HAS */
	uint32_t key_id;	/* the same, index into prt_manifest.key */
	uint32_t *atom;		/* IN: the values, indices into prt_manifest.atom, ascending */
	uint32_t *operand;	/* NOT (1), AND, OR (1 or more): ids of earlier selectors */
	size_t n;		/* values or operands */
};

/* A label value that some selector asks for. */
struct prt_atom { uint32_t key_id; struct pol_str value; };

struct prt_class { struct pol_str name; uint32_t selector; };

struct prt_class_range { uint32_t lo, hi; };	/* address classes, inclusive */
struct prt_class_set {		/* ascending, disjoint; id 0 is every class */
	struct prt_class_range *range;
	size_t n;
};

struct prt_term { uint32_t selector, set; };
struct prt_pred { struct prt_term *term; size_t n; };	/* no term: never */

struct prt_row { uint32_t pred, node; };	/* node: page of an L4 tree */
struct prt_block {
	uint32_t subject;		/* selector */
	enum pol_direction direction;
	enum prt_stage stage;
	bool audit;
	uint32_t root;			/* page; height column_levels + l4_levels */
	uint32_t base;			/* page; height l4_levels */
	struct prt_row *row;
	size_t nrows;
};

struct prt_filter {
	struct pol_str name;
	struct pol_str *interface;	size_t ninterfaces;
};

struct prt_service_vip {
	struct pol_ip addr;
	uint16_t port;
};
struct prt_service_backend {
	bool by_class;
	uint32_t selector;	/* by_class */
	struct pol_ip addr;	/* else */
	uint16_t port;
	uint32_t weight;	/* 1 to 65535 */
};
struct prt_service {
	struct pol_str name;	/* NUL-terminated, below POL_SVC_NAME bytes */
	uint8_t proto;		/* TCP or UDP */
	bool random, dsr;
	bool checked;		/* with: */
	struct pol_str path;	/* of an HTTP GET; n == 0: a connection is enough */
	uint32_t every, timeout, rise, fall;
	struct prt_service_vip *vip;		size_t nvips;
	struct prt_service_backend *backend;	size_t nbackends;
};

struct prt_pool_range { struct pol_ip first, last; };	/* of one family, inclusive */

struct prt_manifest {		/* all memory is the object's */
	struct pol_str polc;	/* version of the compiler */
	uint32_t abi;
	struct pol_str policy, sources;
	bool default_allow, host_open;
	uint32_t address_classes, l4_classes;
	uint32_t classes_padded;	/* address_classes rounded up to a multiple of POL_PAGE */
	uint32_t static_columns;	/* 3 * classes_padded: the first column of a peer kind */
	uint32_t columns;		/* POL_PAGE to the power column_levels */
	unsigned column_levels, l4_levels;
	uint32_t pages_used, verdicts_used;
	uint32_t nlimits;
	struct pol_str *key;		size_t nkeys;	/* that selectors ask for; ascending */
	struct prt_atom *atom;		size_t natoms;	/* ascending by key, then value */
	struct prt_selector *selector;	size_t nselectors;
	struct prt_class *class;	size_t nclasses;
	struct prt_class_set *set;	size_t nsets;
	struct prt_pred *pred;		size_t npreds;
	struct prt_block *block;	size_t nblocks;
	struct prt_filter *filter;	size_t nfilters;	/* at most 64 */
	struct pol_str *dynamic;	size_t ndynamic;	/* at most POL_SETS_MAX */
	struct prt_pool_range *pool;	size_t npool;	/* addresses of endpoints; none: not said */
	struct prt_service *service;	size_t nservices;	/* at most POL_SERVICES_MAX / 2 */
};

/* ---- the rules, for people ---------------------------------------------------- */

struct prt_rule {
	struct pol_str file, policy, direction, action, text;
	struct pol_str name;		/* n == 0: none */
	struct pol_str implicit;	/* "closed", "default", "host"; n == 0: in the text */
	struct pol_str tier;		/* as written; n == 0: none */
	uint32_t line;
	bool audit;
};
struct prt_rules {
	struct pol_arena *arena;	/* owns the strings */
	const struct prt_rule *v;	/* by rule number */
	size_t n;
};

/* ---- the object ----------------------------------------------------------------- */

struct prt_object {
	struct pol_arena *arena;
	struct pol_str path;	/* as given; "file" in messages */
	char *data;		/* the whole file, the very bytes to give to libbpf (open_mem) */
	size_t size;
	bool has_signature;	/* of admit.h: what stood beside it, to be kept with it */
	uint8_t signature[POL_SIGN_BYTES];
	struct prt_manifest manifest;
	struct pol_str rules_text;	/* POL_SECTION_RULES, unparsed */
	uint32_t nrules;	/* every verdict's rule is below */
	uint32_t max_pages, max_verdicts; /* room in pol_pages (in pages) and pol_verdicts */
	/* Contents, copied and aligned; lengths as the names say. */
	const uint32_t *pages;		/* manifest.pages_used * POL_PAGE, from the compiler */
	const struct pol_verdict *verdicts; /* manifest.verdicts_used */
	struct pol_class_tables classes;
	const struct pol_limit *limits;	/* manifest.nlimits, NULL if none */
	const uint16_t (*l4_page)[256];	/* [POL_L4_SLOTS] */
	const uint16_t *l4_class;
	const uint16_t *proto_class;	/* [256] */
	/* Of filters, as they lie in the file; n == 0: there are none.  Only the data path reads them. */
	struct pol_str filter_head, filter_half, filter_data;
	struct pol_str http_image;	/* aligned; n == 0: no http rules */
	struct pol_http_view http;	/* into it */
};

/*
 * Opens an object: one open, one read of the whole file, checks of everything
 * said above.  A regular file of at most PRT_OBJECT_MAX bytes.  -ENOENT and
 * so on from the system; -ENOEXEC: not an object of polc, or a broken one;
 * -EPROTONOSUPPORT: of another ABI version.  *out is written on success only.
 */
int prt_object_open(const char *path, struct prt_object **out, struct pol_err *e);
/* The same of bytes in memory; takes `data` (malloc'ed) over, also on failure. */
int prt_object_parse(const char *path, char *data, size_t size, struct prt_object **out,
		     struct pol_err *e);
void prt_object_free(struct prt_object *o);	/* NULL is fine */
void prt_object_cleanup(struct prt_object **o);

/* Parses the rules section; *out may outlive o. Free with prt_rules_free. */
int prt_rules_parse(const struct prt_object *o, struct prt_rules *out, struct pol_err *e);
void prt_rules_free(struct prt_rules *r);	/* zeroed is fine; leaves it zeroed */
/* NULL for POL_NO_RULE and what is out of range. */
const struct prt_rule *prt_rules_get(const struct prt_rules *r, uint32_t rule);

/* The L4 class of a flow, as the data path finds it. value: destination port or ICMP type. */
uint32_t prt_l4_class(const struct prt_object *o, uint8_t proto, uint16_t value);
/* The address class. */
uint32_t prt_address_class(const struct prt_object *o, struct pol_ip ip);
/* The column of an address that is WORLD, HOST or NODE. */
uint32_t prt_static_column(const struct prt_object *o, enum pol_entity entity, struct pol_ip ip);

/*
 * The text of POL_SECTION_MANIFEST alone: numbers are checked against each
 * other, trees are not walked.  For object.c and the fuzzer.  *out is undefined after a failure.
 */
int prt_manifest_parse(const char *path, struct pol_str text, struct pol_arena *arena,
		       struct prt_manifest *out, struct pol_err *e);

#endif
