/* SPDX-License-Identifier: GPL-2.0-only */
#include "base.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- slices -------------------------------------------------------------- */

struct pol_str pol_str(const char *z)
{
	return (struct pol_str){ z, strlen(z) };
}

bool pol_str_eq(struct pol_str a, struct pol_str b)
{
	return a.n == b.n && (!a.n || a.p == b.p || memcmp(a.p, b.p, a.n) == 0);
}

bool pol_str_is(struct pol_str a, const char *z)
{
	return pol_str_eq(a, pol_str(z));
}

int pol_str_cmp(struct pol_str a, struct pol_str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* ---- arena --------------------------------------------------------------- */

#define CHUNK (64u * 1024)
#define ALIGN 16u

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(ALIGN) unsigned char bytes[];
};

struct pol_arena {
	struct chunk *head;
};

int pol_no_memory_fd = STDERR_FILENO;
const char *pol_no_memory_note = "";

static void say(const char *text)
{
	ssize_t n = write(pol_no_memory_fd, text, strlen(text));

	(void)n;
}

/* What was begun is undone by the next run, as after a crash. */
_Noreturn void pol_no_memory(void)
{
	say(POL_NO_MEMORY);
	if (pol_no_memory_fd == STDERR_FILENO)
		say(pol_no_memory_note);
	abort();
}

static void *must(void *p)
{
	if (!p)
		pol_no_memory();
	return p;
}

void *pol_must_malloc(size_t n)
{
	return must(malloc(n));
}

struct pol_arena *pol_arena_new(void)
{
	return must(calloc(1, sizeof(struct pol_arena)));
}

void pol_arena_free(struct pol_arena *a)
{
	if (!a)
		return;
	while (a->head) {
		struct chunk *next = a->head->next;

		free(a->head);
		a->head = next;
	}
	free(a);
}

void *pol_arena_alloc(struct pol_arena *a, size_t size)
{
	struct chunk *c = a->head;
	void *p;

	if (size > SIZE_MAX / 2)
		abort();
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK / 4 ? size : CHUNK;

		c = must(calloc(1, sizeof(*c) + room));
		c->size = room;
		/* A big block of its own goes behind the head, so that the head's rest stays in use. */
		if (a->head && room != CHUNK) {
			c->next = a->head->next;
			a->head->next = c;
		} else {
			c->next = a->head;
			a->head = c;
		}
	}
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

struct pol_str pol_arena_str(struct pol_arena *a, struct pol_str s)
{
	char *p = pol_arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct pol_str){ p, s.n };
}

struct pol_str pol_arena_printf(struct pol_arena *a, const char *fmt, ...)
{
	struct pol_str out;
	va_list ap;
	char *z;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&z, fmt, ap);
	va_end(ap);
	if (n < 0)
		pol_no_memory();
	out = pol_arena_str(a, (struct pol_str){ z, (size_t)n });
	free(z);
	return out;
}

struct pol_intern {
	struct pol_arena *arena;
	struct pol_str *slot; /* open addressing, p == NULL is free */
	size_t n, cap;
};

struct pol_intern *pol_intern_new(struct pol_arena *a)
{
	struct pol_intern *t = pol_arena_alloc(a, sizeof(*t));

	t->arena = a;
	t->cap = 256;
	t->slot = pol_arena_alloc(a, t->cap * sizeof(*t->slot));
	return t;
}

static struct pol_str *intern_slot(struct pol_str *slot, size_t cap, struct pol_str s)
{
	size_t i = pol_hash(s.p, s.n, 0) & (cap - 1);

	while (slot[i].p && !pol_str_eq(slot[i], s))
		i = (i + 1) & (cap - 1);
	return &slot[i];
}

struct pol_str pol_intern(struct pol_intern *t, struct pol_str s)
{
	struct pol_str *at = intern_slot(t->slot, t->cap, s);

	if (at->p)
		return *at;
	if (2 * (t->n + 1) > t->cap) {
		size_t cap = t->cap * 2;
		struct pol_str *bigger = pol_arena_alloc(t->arena, cap * sizeof(*bigger));

		for (size_t i = 0; i < t->cap; i++)
			if (t->slot[i].p)
				*intern_slot(bigger, cap, t->slot[i]) = t->slot[i];
		t->slot = bigger;
		t->cap = cap;
		at = intern_slot(t->slot, t->cap, s);
	}
	t->n++;
	*at = pol_arena_str(t->arena, s);
	return *at;
}

/* ---- vectors ------------------------------------------------------------- */

void pol_vec_grow(void **v, size_t *cap, size_t want, size_t size)
{
	size_t room = *cap ? *cap : 8;

	if (want <= *cap)
		return;
	while (room < want)
		room *= 2;
	*v = must(reallocarray(*v, room, size));
	memset((char *)*v + *cap * size, 0, (room - *cap) * size);
	*cap = room;
}

/* ---- text being built ---------------------------------------------------- */

static void buf_room(struct pol_buf *b, size_t more)
{
	pol_vec_grow((void **)&b->p, &b->cap, b->n + more + 1, 1);
}

void pol_buf_add(struct pol_buf *b, struct pol_str s)
{
	buf_room(b, s.n);
	if (s.n)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	b->p[b->n] = '\0';
}

void pol_buf_addz(struct pol_buf *b, const char *z)
{
	pol_buf_add(b, pol_str(z));
}

void pol_buf_addc(struct pol_buf *b, char c)
{
	pol_buf_add(b, (struct pol_str){ &c, 1 });
}

void pol_buf_printf(struct pol_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	buf_room(b, 256);
	n = vsnprintf(b->p + b->n, b->cap - b->n, fmt, ap);
	if (n < 0)
		abort();
	if ((size_t)n >= b->cap - b->n) {
		buf_room(b, (size_t)n);
		vsnprintf(b->p + b->n, b->cap - b->n, fmt, again);
	}
	b->n += (size_t)n;
	va_end(again);
	va_end(ap);
}

size_t pol_utf8_len(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;

	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, past the last code point. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* What a terminal obeys or hides behind: C1 controls, and marks that turn the direction of text. */
static unsigned unseen(const unsigned char *p, size_t len)
{
	unsigned c = len == 2   ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
		     : len == 3 ? (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu)
				: 0;

	return (c >= 0x80 && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
			       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)
		       ? c
		       : 0;
}

void pol_buf_json(struct pol_buf *b, struct pol_str s)
{
	pol_buf_addc(b, '"');
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		size_t len = pol_utf8_len((const unsigned char *)s.p + i, s.n - i);

		if (!len)
			pol_buf_addz(b, "\\ufffd");
		else if (c == '"' || c == '\\')
			pol_buf_printf(b, "\\%c", c);
		else if (c == '\n')
			pol_buf_addz(b, "\\n");
		else if (c == '\t')
			pol_buf_addz(b, "\\t");
		else if (c < 0x20 || c == 0x7f)
			pol_buf_printf(b, "\\u%04x", c);
		else if (unseen((const unsigned char *)s.p + i, len))
			pol_buf_printf(b, "\\u%04x", unseen((const unsigned char *)s.p + i, len));
		else
			pol_buf_add(b, (struct pol_str){ s.p + i, len });
		i += len ? len : 1;
	}
	pol_buf_addc(b, '"');
}

void pol_buf_free(struct pol_buf *b)
{
	free(b->p);
	*b = (struct pol_buf){ 0 };
}

struct pol_str pol_buf_str(const struct pol_buf *b)
{
	return (struct pol_str){ b->p ? b->p : "", b->n };
}

/* ---- hashing ------------------------------------------------------------- */

/* Multiply and fold, 8 bytes a step; for tables of our own process only, not keyed against anybody. */
static uint64_t fold(uint64_t h, uint64_t w)
{
	unsigned __int128 m =
		(unsigned __int128)(h ^ w ^ 0xa0761d6478bd642fu) * 0xe7037ed1a0b428dbu;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t pol_hash(const void *data, size_t n, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15u), w;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		h = fold(h, w);
	}
	w = 0;
	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	if (n)
		h = fold(h, w);
	return h ^ (h >> 29);
}

/* ---- errors -------------------------------------------------------------- */

int pol_err(struct pol_err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e && !e->text[0]) {
		e->code = code;
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof(e->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

void pol_err_help(struct pol_err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	vsnprintf(e->help, sizeof(e->help), fmt, ap);
	va_end(ap);
}

/* ---- files ----------------------------------------------------------------- */

struct dirent *pol_readdir(DIR *d, const char *path, int *r, struct pol_err *e)
{
	struct dirent *f;

	errno = 0;
	f = readdir(d);
	if (!f && errno && !*r)
		*r = pol_err(e, -errno, "%s: cannot read: %s", path, strerror(errno));
	return f;
}

int pol_read_file(const char *path, size_t max, char **out, size_t *n, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = open(path, O_RDONLY | O_CLOEXEC);
	struct pol_buf b = { 0 };
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0)
		return pol_err(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return pol_err(e, -EISDIR, "%s: is a directory", path);
	do {
		buf_room(&b, 65536);
		got = read(fd, b.p + b.n, b.cap - b.n - 1);
		if (got < 0) {
			int code = -errno;

			pol_buf_free(&b);
			return pol_err(e, code, "%s: cannot read: %s", path, strerror(-code));
		}
		b.n += (size_t)got;
		if (b.n > max) {
			pol_buf_free(&b);
			return pol_err(e, -EFBIG, "%s: larger than %zu bytes", path, max);
		}
	} while (got > 0);
	b.p[b.n] = '\0';
	*out = b.p;
	*n = b.n;
	return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0)
			return -errno;
		p += put;
		n -= (size_t)put;
	}
	return fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;
}

int pol_write_file(const char *path, const void *data, size_t n, struct pol_err *e)
{
	char *tmp POL_CLEANUP(pol_cleanup_free) = NULL;
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	struct stat st;
	int r;

	/* A device or a pipe (-o /dev/stdout) is written to, not replaced. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : write_all(fd, data, n);
		return r ? pol_err(e, r, "%s: cannot write: %s", path, strerror(-r)) : 0;
	}
	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		pol_no_memory();
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return pol_err(e, -errno, "%s: cannot create: %s", path, strerror(errno));
	r = write_all(fd, data, n);
	if (!r && fchmod(fd, 0644) < 0)
		r = -errno;
	if (!r && rename(tmp, path) < 0)
		r = -errno;
	if (r) {
		unlink(tmp);
		return pol_err(e, r, "%s: cannot write: %s", path, strerror(-r));
	}
	return 0;
}

/* ---- leaving a scope --------------------------------------------------------- */

void pol_cleanup_free(void *p)
{
	free(*(void **)p);
}

void pol_cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
