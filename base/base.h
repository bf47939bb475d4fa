/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The small things that every room uses: memory, vectors, strings, errors.
 *
 * Allocation failure says "out of memory" and aborts in the arena and in vectors (the compiler runs and
 * exits); nothing here prints or exits otherwise.
 */
#ifndef POLC_BASE_H
#define POLC_BASE_H

#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define POL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define POL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Built with sanitizers, as gcc and as clang say it: they want files, signals and terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__)
#define POL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define POL_SANITIZED 1
#endif
#endif
#ifndef POL_SANITIZED
#define POL_SANITIZED 0
#endif

/* ---- slices -------------------------------------------------------------- */

/* Bytes owned by somebody else, not NUL-terminated unless said so. */
struct pol_str {
	const char *p;
	size_t n;
};

#define POL_STR(literal) ((struct pol_str){ (literal), sizeof(literal) - 1 })
#define POL_STR_ARG(s) (int)(s).n, (s).p	/* for %.*s */

struct pol_str pol_str(const char *z);		/* of a NUL-terminated string */
bool pol_str_eq(struct pol_str a, struct pol_str b);
bool pol_str_is(struct pol_str a, const char *z);
int pol_str_cmp(struct pol_str a, struct pol_str b);	/* bytewise, as memcmp */
/* Length of the valid UTF-8 sequence at p (RFC 3629), n > 0 bytes left; 0 if there is none. */
size_t pol_utf8_len(const unsigned char *p, size_t n);

/* ---- arena --------------------------------------------------------------- */

/* Memory of one compilation: grows, is zeroed, is freed as a whole. */
struct pol_arena;

struct pol_arena *pol_arena_new(void);
void pol_arena_free(struct pol_arena *a);	/* NULL is fine */
/* What an allocation that fails ends in: POL_NO_MEMORY on standard error, and abort(). */
#define POL_NO_MEMORY "out of memory\n"
_Noreturn void pol_no_memory(void);
void *pol_must_malloc(size_t n);	/* malloc(3), or that; for libraries that call a lack of memory by other names */
extern int pol_no_memory_fd;	/* of a child that has no standard error: where it says so instead */
extern const char *pol_no_memory_note;	/* a line behind it: of what is done already, and stays */
void *pol_arena_alloc(struct pol_arena *a, size_t size);	/* aligned to 16, zeroed, never NULL */
struct pol_str pol_arena_str(struct pol_arena *a, struct pol_str s);	/* copy, NUL-terminated */
struct pol_str pol_arena_printf(struct pol_arena *a, const char *fmt, ...) POL_PRINTF(2, 3);

/* The one copy of equal strings: compare the pointers p. */
struct pol_intern;
struct pol_intern *pol_intern_new(struct pol_arena *a);
struct pol_str pol_intern(struct pol_intern *t, struct pol_str s);

/* ---- vectors ------------------------------------------------------------- */

/*
 *	POL_VEC(int) v = { 0 };
 *	*pol_vec_push(&v) = 3;
 *	pol_vec_free(&v);
 */
#define POL_VEC(type) struct { type *v; size_t n, cap; }

#define pol_vec_push(vec)                                                            \
	(pol_vec_grow((void **)&(vec)->v, &(vec)->cap, (vec)->n + 1, sizeof(*(vec)->v)), \
	 &(vec)->v[(vec)->n++])
#define pol_vec_reserve(vec, count)                                                  \
	pol_vec_grow((void **)&(vec)->v, &(vec)->cap, (count), sizeof(*(vec)->v))
#define pol_vec_free(vec)                                                            \
	do {                                                                         \
		free((vec)->v);                                                      \
		(vec)->v = NULL;                                                     \
		(vec)->n = (vec)->cap = 0;                                           \
	} while (0)

void pol_vec_grow(void **v, size_t *cap, size_t want, size_t size);	/* new room is zeroed */

/* ---- text being built ---------------------------------------------------- */

struct pol_buf {	/* zero-initialise; always NUL-terminated once written to */
	char *p;
	size_t n, cap;
};

void pol_buf_add(struct pol_buf *b, struct pol_str s);
void pol_buf_addz(struct pol_buf *b, const char *z);
void pol_buf_addc(struct pol_buf *b, char c);
void pol_buf_printf(struct pol_buf *b, const char *fmt, ...) POL_PRINTF(2, 3);
void pol_buf_json(struct pol_buf *b, struct pol_str s);	/* quoted, escaped; bad UTF-8 as U+FFFD */
void pol_buf_free(struct pol_buf *b);
struct pol_str pol_buf_str(const struct pol_buf *b);

/* ---- hashing ------------------------------------------------------------- */

uint64_t pol_hash(const void *data, size_t n, uint64_t seed);

/* ---- errors of the system (mistakes in a policy are diagnostics) ----------- */

/*
 * Functions that can fail return 0 or -errno and, in the innermost frame that
 * knows the object, fill the error: "map 'ct': cannot pin at PATH: permission denied".
 */
struct pol_err {
	int code;		/* -errno */
	char text[512];
	char help[256];		/* what to do next, or empty */
};

/* Sets text unless something is set already; returns code, for `return pol_err(...)`. */
int pol_err(struct pol_err *e, int code, const char *fmt, ...) POL_PRINTF(3, 4);
void pol_err_help(struct pol_err *e, const char *fmt, ...) POL_PRINTF(2, 3);

/* ---- files ----------------------------------------------------------------- */

/* Whole file; *out is malloc'ed and NUL-terminated. max: refuse larger with -EFBIG. */
int pol_read_file(const char *path, size_t max, char **out, size_t *n, struct pol_err *e);
/* By a temporary beside it and rename; nothing half-written is ever seen. */
int pol_write_file(const char *path, const void *data, size_t n, struct pol_err *e);
/*
 * The next name in a folder (`path`, for messages); NULL at its end, or if it cannot be read: then *r
 * is -errno, unless it was an error already.
 */
struct dirent *pol_readdir(DIR *d, const char *path, int *r, struct pol_err *e);

/* ---- leaving a scope --------------------------------------------------------- */

#define POL_CLEANUP(f) __attribute__((cleanup(f)))
void pol_cleanup_free(void *p);		/* char *p POL_CLEANUP(pol_cleanup_free) = NULL; */
void pol_cleanup_fd(int *fd);	/* leaves -1 */		/* int fd POL_CLEANUP(pol_cleanup_fd) = -1; */
#define POL_TAKE_PTR(p) ({ __typeof__(p) take_ = (p); (p) = NULL; take_; })
#define POL_TAKE_FD(fd) ({ int take_ = (fd); (fd) = -1; take_; })

/* ---- addresses ----------------------------------------------------------------- */

/* 128-bit address in host order; IPv4 is kept apart by `family`. */
struct pol_ip {
	uint64_t hi, lo;	/* IPv4: hi 0, lo the 32 bits */
	uint8_t family;		/* 4 or 6 */
};

struct pol_prefix {
	struct pol_ip addr;
	uint8_t len;
};

enum pol_ip_error {
	POL_IP_OK, POL_IP_SYNTAX, POL_IP_LEADING_ZERO, POL_IP_RANGE, POL_IP_LENGTH, POL_IP_HOST_BITS,
	POL_IP_MAPPED,
};
/* Strict: no leading zeros, no IPv4-mapped IPv6, no host bits in a prefix. No "/": the full length. */
enum pol_ip_error pol_prefix_parse(struct pol_str s, struct pol_prefix *out);
const char *pol_ip_error_text(enum pol_ip_error e);
bool pol_ip_eq(struct pol_ip a, struct pol_ip b);	/* family and bits */
#define POL_IP_TEXT 48
const char *pol_ip_format(struct pol_ip ip, char out[POL_IP_TEXT]);	/* RFC 5952 */
const char *pol_prefix_format(struct pol_prefix p, char out[POL_IP_TEXT]); /* no length for a host */

/* ---- ICMP ------------------------------------------------------------------------ */

/* Type by name, proto 1 or 58 (ICMPv6); -1 if unknown.  The inverse gives NULL for one without a name. */
int pol_icmp_type(uint8_t proto, struct pol_str name);
const char *pol_icmp_type_name(uint8_t proto, uint8_t type);

#endif
