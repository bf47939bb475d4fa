/* SPDX-License-Identifier: GPL-2.0-only */
#include "sets.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "live.h"

typedef unsigned __int128 u128;

struct prefix6 {
	uint64_t hi, lo, len;
};

/* The prefixes of a set: sorted, each once. */
struct set {
	POL_VEC(uint64_t) v4; /* address << 8 | length */
	POL_VEC(struct prefix6) v6;
};

static void set_free(struct set *s)
{
	pol_vec_free(&s->v4);
	pol_vec_free(&s->v6);
}

/* ---- names -------------------------------------------------------------------------- */

static int name_at(const struct prt_shared *s, uint32_t place, char out[PRT_SET_NAME],
		   struct pol_err *e)
{
	if (bpf_map_lookup_elem(s->set_names, &place, out))
		return pol_err(e, -errno, "map 'set_names': cannot read: %s", strerror(errno));
	out[PRT_SET_NAME - 1] = '\0';
	return 0;
}

/* The place of a name, or the first free one: POL_SETS_MAX if there is none. */
static int find(const struct prt_shared *s, struct pol_str name, uint32_t *place, uint32_t *vacant,
		struct pol_err *e)
{
	int r = 0;

	*place = *vacant = POL_SETS_MAX;
	for (uint32_t i = 0; i < POL_SETS_MAX && !r; i++) {
		char text[PRT_SET_NAME];

		r = name_at(s, i, text, e);
		if (!r && pol_str_is(name, text))
			*place = i;
		if (!r && !text[0] && *vacant == POL_SETS_MAX)
			*vacant = i;
	}
	return r;
}

/* Nothing is named before there is known to be room for all. */
static int check_room(const struct prt_shared *s, const struct prt_manifest *m, struct pol_err *e)
{
	uint32_t free = 0, place, vacant;
	size_t fresh = 0;
	int r = 0;

	for (uint32_t i = 0; i < POL_SETS_MAX && !r; i++) {
		char text[PRT_SET_NAME];

		r = name_at(s, i, text, e);
		free += !r && !text[0];
	}
	for (size_t i = 0; i < m->ndynamic && !r; i++) {
		r = find(s, m->dynamic[i], &place, &vacant, e);
		fresh += !r && place == POL_SETS_MAX;
	}
	if (r || fresh <= free)
		return r;
	pol_err_help(e, "`polload filter list` shows them; `polload remove` forgets all");
	return pol_err(e, -ENOSPC, "this host has %u dynamic sets already", POL_SETS_MAX - free);
}

int prt_sets_places(const struct prt_shared *s, const struct prt_manifest *m,
		    uint32_t slot[POL_SETS_MAX], struct pol_err *e)
{
	int r = m->ndynamic ? check_room(s, m, e) : 0;

	for (size_t i = 0; i < m->ndynamic && !r; i++) {
		char text[PRT_SET_NAME] = "";
		uint32_t vacant;

		r = find(s, m->dynamic[i], &slot[i], &vacant, e);
		if (r || slot[i] < POL_SETS_MAX)
			continue;
		snprintf(text, sizeof(text), "%.*s", POL_STR_ARG(m->dynamic[i]));
		if (bpf_map_update_elem(s->set_names, &vacant, text, BPF_ANY))
			return pol_err(e, -errno, "map 'set_names': cannot write: %s",
				       strerror(errno));
		slot[i] = vacant;
	}
	return r;
}

/* ---- images ------------------------------------------------------------------------------- */

struct image {
	POL_VEC(uint64_t) d;
};

static uint32_t room(struct image *m, size_t n)
{
	size_t at = m->d.n;

	pol_vec_reserve(&m->d, at + n);
	memset(m->d.v + at, 0, n * sizeof(*m->d.v));
	m->d.n = at + n;
	return (uint32_t)at;
}

typedef POL_VEC(uint64_t) bounds4;
typedef POL_VEC(u128) bounds6;

/* Sorted prefixes nest or are disjoint: where ranges begin and end. */
static void ranges4(const struct set *s, bounds4 *out)
{
	uint64_t end = 0; /* of the range in hand, exclusive */

	for (size_t i = 0; i < s->v4.n; i++) {
		uint64_t first = s->v4.v[i] >> 8, size = 1ull << (32 - (s->v4.v[i] & 255));

		if (out->n && first <= end) {
			end = first + size > end ? first + size : end;
			continue;
		}
		if (out->n)
			*pol_vec_push(out) = end;
		*pol_vec_push(out) = first;
		end = first + size;
	}
	if (out->n && end <= 0xffffffff)
		*pol_vec_push(out) = end;
}

static void ranges6(const struct set *s, bounds6 *out)
{
	u128 last = 0; /* of the range in hand, inclusive: its end may be behind all numbers */

	for (size_t i = 0; i < s->v6.n; i++) {
		const struct prefix6 *p = &s->v6.v[i];
		u128 first = (u128)p->hi << 64 | p->lo;
		u128 mine = p->len ? first | (((u128)1 << (128 - p->len)) - 1) : ~(u128)0;

		if (out->n && (first <= last || first - 1 == last)) {
			last = mine > last ? mine : last;
			continue;
		}
		if (out->n)
			*pol_vec_push(out) = last + 1;
		*pol_vec_push(out) = first;
		last = mine;
	}
	if (out->n && ~last)
		*pol_vec_push(out) = last + 1;
}

/* key: what buckets go by, sorted. */
static void make_buckets(struct image *m, const uint64_t *key, size_t n, struct pol_set_half *h)
{
	/* two at least: bounds may be 2^63 apart, and a shift of 64 bits would be none */
	uint64_t want = n / 2 < 2 ? 2 : n / 2 > 1u << 20 ? 1u << 20 : n / 2;
	uint32_t at;
	size_t k = 0;

	h->n = n;
	if (!n)
		return;
	h->base = key[0];
	while ((key[n - 1] - h->base) >> h->shift >= want)
		h->shift++;
	h->buckets = (uint32_t)((key[n - 1] - h->base) >> h->shift) + 1;
	at = h->bucket = room(m, h->buckets);
	for (uint32_t b = 0; b < h->buckets; b++) {
		size_t first = k;

		while (k < n && (key[k] - h->base) >> h->shift == b)
			k++;
		m->d.v[at + b] = (uint64_t)first << 32 | (k - first);
	}
}

static void put_v4(struct image *m, const struct set *s, struct pol_set_half *h)
{
	bounds4 b = { 0 };

	ranges4(s, &b);
	make_buckets(m, b.v, b.n, h);
	h->bound = room(m, (b.n + 1) / 2);
	for (size_t i = 0; i < b.n; i++)
		m->d.v[h->bound + i / 2] |= b.v[i] << (i & 1 ? 32 : 0);
	pol_vec_free(&b);
}

static void put_v6(struct image *m, const struct set *s, struct pol_set_half *h)
{
	bounds6 b = { 0 };
	POL_VEC(uint64_t) high = { 0 };

	ranges6(s, &b);
	for (size_t i = 0; i < b.n; i++)
		*pol_vec_push(&high) = (uint64_t)(b.v[i] >> 64);
	make_buckets(m, high.v, high.n, h);
	h->bound = room(m, 2 * b.n);
	for (size_t i = 0; i < b.n; i++) {
		m->d.v[h->bound + 2 * i] = high.v[i];
		m->d.v[h->bound + 2 * i + 1] = (uint64_t)b.v[i];
	}
	pol_vec_free(&high);
	pol_vec_free(&b);
}

static void make_image(const struct set *s, struct image *m)
{
	struct pol_set_half half[2] = { { 0 }, { 0 } };
	struct pol_set_raw raw = { .n4 = s->v4.n, .n6 = s->v6.n };

	room(m, 16);
	put_v4(m, s, &half[0]);
	put_v6(m, s, &half[1]);
	raw.v4 = room(m, s->v4.n);
	if (s->v4.n)
		memcpy(m->d.v + raw.v4, s->v4.v, s->v4.n * sizeof(*s->v4.v));
	raw.v6 = room(m, 3 * s->v6.n);
	if (s->v6.n)
		memcpy(m->d.v + raw.v6, s->v6.v, s->v6.n * sizeof(*s->v6.v));
	room(m, (8 - m->d.n % 8) % 8);
	memcpy(m->d.v, half, sizeof(half));
	memcpy(m->d.v + 8, &raw, sizeof(raw));
}

/* ---- maps ---------------------------------------------------------------------------------- */

static int put_image(int sets, uint32_t place, const struct image *m, struct pol_err *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	size_t bytes = m->d.n * sizeof(*m->d.v), page = (size_t)sysconf(_SC_PAGESIZE);
	size_t whole = (bytes + page - 1) / page * page;
	int fd POL_CLEANUP(pol_cleanup_fd) =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "set", 4, sizeof(struct pol_set_line),
			       (uint32_t)(m->d.n / 8), &opts);
	void *to;

	if (fd < 0)
		return pol_err(e, -errno, "cannot make a map of %zu bytes for the set: %s", bytes,
			       strerror(errno));
	to = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		return pol_err(e, -errno, "cannot map the set into memory: %s", strerror(errno));
	memcpy(to, m->d.v, bytes);
	munmap(to, whole);
	/* The change: what packets meet from now on. */
	if (bpf_map_update_elem(sets, &place, &fd, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SETS,
			       strerror(errno));
	return 0;
}

/* What is there: a map that root can write, so what it says of itself is checked. */
static int take_image(const uint64_t *d, size_t n, struct set *out, struct pol_err *e)
{
	struct pol_set_raw raw;

	memcpy(&raw, d + 8, sizeof(raw));
	if (raw.n4 > n || raw.n6 > n || raw.v4 > n || raw.v6 > n || raw.v4 + raw.n4 > n ||
	    raw.v6 + 3 * raw.n6 > n)
		return pol_err(e, -ENOEXEC, "map '%s': a set that is damaged", POL_MAP_SETS);
	pol_vec_reserve(&out->v4, raw.n4);
	pol_vec_reserve(&out->v6, raw.n6);
	if (raw.n4)
		memcpy(out->v4.v, d + raw.v4, raw.n4 * sizeof(*out->v4.v));
	if (raw.n6)
		memcpy(out->v6.v, d + raw.v6, raw.n6 * sizeof(*out->v6.v));
	out->v4.n = raw.n4;
	out->v6.n = raw.n6;
	return 0;
}

static int get_set(const struct prt_shared *s, uint32_t place, struct set *out, struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t id, len = sizeof(info);
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	size_t n, page = (size_t)sysconf(_SC_PAGESIZE), whole;
	void *from;
	int r;

	if (bpf_map_lookup_elem(s->map[PRT_SHARED_SETS], &place, &id))
		return errno == ENOENT ? 0
				       : pol_err(e, -errno, "map '%s': cannot read: %s",
						 POL_MAP_SETS, strerror(errno));
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return pol_err(e, -errno, "map '%s': cannot open a set: %s", POL_MAP_SETS,
			       strerror(errno));
	n = (size_t)info.max_entries * 8;
	if (info.value_size != sizeof(struct pol_set_line) || n < 16)
		return pol_err(e, -ENOEXEC, "map '%s': a set that is damaged", POL_MAP_SETS);
	whole = (n * 8 + page - 1) / page * page;
	from = mmap(NULL, whole, PROT_READ, MAP_SHARED, fd, 0);
	if (from == MAP_FAILED)
		return pol_err(e, -errno, "cannot map the set into memory: %s", strerror(errno));
	r = take_image(from, n, out, e);
	munmap(from, whole);
	return r;
}

/* ---- changing -------------------------------------------------------------------------------- */

static int cmp4(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int cmp6(const void *pa, const void *pb)
{
	const struct prefix6 *a = pa, *b = pb;

	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return (a->len > b->len) - (a->len < b->len);
}

static void sort_set(struct set *s)
{
	size_t n = 0;

	if (s->v4.n)
		qsort(s->v4.v, s->v4.n, sizeof(*s->v4.v), cmp4);
	for (size_t i = 0; i < s->v4.n; i++)
		if (!i || s->v4.v[i] != s->v4.v[i - 1])
			s->v4.v[n++] = s->v4.v[i];
	s->v4.n = n;
	n = 0;
	if (s->v6.n)
		qsort(s->v6.v, s->v6.n, sizeof(*s->v6.v), cmp6);
	for (size_t i = 0; i < s->v6.n; i++)
		if (!i || cmp6(&s->v6.v[i], &s->v6.v[i - 1]))
			s->v6.v[n++] = s->v6.v[i];
	s->v6.n = n;
}

static void set_of(const prt_prefixes *from, struct set *out)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct pol_prefix *p = &from->v[i];

		if (p->addr.family == 4)
			*pol_vec_push(&out->v4) = p->addr.lo << 8 | p->len;
		else
			*pol_vec_push(&out->v6) =
				(struct prefix6){ p->addr.hi, p->addr.lo, p->len };
	}
	sort_set(out);
}

static void join(struct set *to, const struct set *more)
{
	for (size_t i = 0; i < more->v4.n; i++)
		*pol_vec_push(&to->v4) = more->v4.v[i];
	for (size_t i = 0; i < more->v6.n; i++)
		*pol_vec_push(&to->v6) = more->v6.v[i];
	sort_set(to);
}

static int absent(const char *name, struct pol_prefix p, struct pol_err *e)
{
	char text[POL_IP_TEXT];

	pol_err_help(
		e,
		"`polload filter list %s` shows what was added; what the policy's text lists stays",
		prt_safe(name));
	return pol_err(e, -ENOENT, "set '%s': nobody added %s", prt_safe(name),
		       pol_prefix_format(p, text));
}

/* Both are sorted.  Nothing is taken away unless all of it is there. */
static int part(struct set *from, const struct set *less, const char *name, struct pol_err *e)
{
	size_t n = 0, k = 0;

	for (size_t i = 0; i < from->v4.n; i++) {
		if (k < less->v4.n && less->v4.v[k] == from->v4.v[i])
			k++;
		else
			from->v4.v[n++] = from->v4.v[i];
	}
	if (k < less->v4.n)
		return absent(name,
			      (struct pol_prefix){ { .lo = less->v4.v[k] >> 8, .family = 4 },
						   (uint8_t)less->v4.v[k] },
			      e);
	from->v4.n = n;
	n = k = 0;
	for (size_t i = 0; i < from->v6.n; i++) {
		if (k < less->v6.n && !cmp6(&less->v6.v[k], &from->v6.v[i]))
			k++;
		else
			from->v6.v[n++] = from->v6.v[i];
	}
	if (k < less->v6.n)
		return absent(name,
			      (struct pol_prefix){ { less->v6.v[k].hi, less->v6.v[k].lo, 6 },
						   (uint8_t)less->v6.v[k].len },
			      e);
	from->v6.n = n;
	return 0;
}

static int change(const struct prt_shared *s, uint32_t place, const char *name,
		  enum prt_set_change what, const prt_prefixes *with, struct prt_set_changed *out,
		  struct pol_err *e)
{
	struct set now = { 0 }, delta = { 0 };
	struct image m = { 0 };
	int r = get_set(s, place, &now, e);

	set_of(with, &delta);
	out->before = now.v4.n + now.v6.n;
	if (!r && what == PRT_SET_REPLACE)
		now.v4.n = now.v6.n = 0;
	if (!r && what == PRT_SET_DEL)
		r = part(&now, &delta, name, e);
	else if (!r)
		join(&now, &delta);
	out->after = now.v4.n + now.v6.n;
	if (!r && out->after > PRT_SET_PREFIXES)
		r = pol_err(e, -E2BIG, "set '%s': %zu prefixes; there is room for %u",
			    prt_safe(name), out->after, PRT_SET_PREFIXES);
	if (!r) {
		make_image(&now, &m);
		r = put_image(s->map[PRT_SHARED_SETS], place, &m, e);
	}
	pol_vec_free(&m.d);
	set_free(&now);
	set_free(&delta);
	return r;
}

int prt_sets_put(int sets, uint32_t place, const prt_prefixes *all, struct pol_err *e)
{
	struct image m = { 0 };
	struct set set = { 0 };
	int r;

	set_of(all, &set);
	make_image(&set, &m);
	r = put_image(sets, place, &m, e);
	pol_vec_free(&m.d);
	set_free(&set);
	return r;
}

/* The set's place; what nobody names in a policy has none. */
static int place_of(const struct prt_shared *s, const char *name, uint32_t *place,
		    struct pol_err *e)
{
	uint32_t vacant;
	int r = find(s, pol_str(name), place, &vacant, e);

	if (r)
		return r;
	if (!*name || *place == POL_SETS_MAX || s->map[PRT_SHARED_SETS] < 0) {
		pol_err_help(
			e,
			"write `cidr %s dynamic;` in the policy and name it in a filter; `polload filter list` shows all",
			prt_safe(name));
		return pol_err(e, -ENOENT, "there is no dynamic set '%s'", prt_safe(name));
	}
	return 0;
}

int prt_sets_change(struct prt_env *env, const char *name, enum prt_set_change what,
		    const prt_prefixes *with, struct prt_set_changed *out, struct pol_err *e)
{
	struct prt_live l;
	uint32_t place;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_EXCLUSIVE, &l, e);
	r = r ? r : place_of(&l.shared, name, &place, e);
	r = r ? r : change(&l.shared, place, name, what, with, out, e);
	prt_live_close(&l);
	return r;
}

/* ---- reading lists ------------------------------------------------------------------------------ */

static int bad_line(const char *path, size_t line, enum pol_ip_error why, struct pol_err *e)
{
	pol_err_help(e,
		     "one address or prefix a line, and `#` before comments; nothing was changed");
	return pol_err(e, -EINVAL, "%s:%zu: %s", prt_safe(path), line, pol_ip_error_text(why));
}

int prt_prefixes_read(const char *path, prt_prefixes *out, struct pol_err *e)
{
	FILE *in = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = NULL;
	size_t cap = 0, line = 0;
	int r = 0;

	if (!in)
		return pol_err(e, -errno, "%s: cannot open: %s", prt_safe(path), strerror(errno));
	while (!r && getline(&text, &cap, in) >= 0) {
		size_t from = strspn(text, " \t"), n = strcspn(text + from, " \t\r\n#");
		const char *rest = text + from + n + strspn(text + from + n, " \t\r\n");
		struct pol_prefix p;
		enum pol_ip_error why;

		line++;
		if (!n && (!*rest || *rest == '#'))
			continue;
		why = *rest && *rest != '#'
			      ? POL_IP_SYNTAX
			      : pol_prefix_parse((struct pol_str){ text + from, n }, &p);
		if (why != POL_IP_OK)
			r = bad_line(strcmp(path, "-") ? path : "standard input", line, why, e);
		else if (out->n == PRT_SET_PREFIXES)
			r = pol_err(e, -E2BIG, "%s: more than %u prefixes", prt_safe(path),
				    PRT_SET_PREFIXES);
		else
			*pol_vec_push(out) = p;
	}
	if (!r && ferror(in))
		r = pol_err(e, -EIO, "%s: cannot read", prt_safe(path));
	free(text);
	if (in != stdin)
		fclose(in);
	return r;
}

/* ---- showing ---------------------------------------------------------------------------------------- */

static void show_set(const struct set *s, bool json, struct pol_buf *out)
{
	const char *sep = json ? "[\"" : "";
	char text[POL_IP_TEXT];

	for (size_t i = 0; i < s->v4.n + s->v6.n; i++) {
		const struct prefix6 *p = i < s->v4.n ? NULL : &s->v6.v[i - s->v4.n];
		struct pol_prefix x = { .len = (uint8_t)(p ? p->len : s->v4.v[i] & 255) };

		x.addr = p ? (struct pol_ip){ p->hi, p->lo, 6 }
			   : (struct pol_ip){ 0, s->v4.v[i] >> 8, 4 };
		pol_buf_printf(out, "%s%s%s", sep, pol_prefix_format(x, text), json ? "\"" : "\n");
		sep = json ? ", \"" : "";
	}
	if (json)
		pol_buf_addz(out, s->v4.n + s->v6.n ? "]\n" : "[]\n");
}

static int show_all(const struct prt_shared *s, bool json, struct pol_buf *out, struct pol_err *e)
{
	bool first = true;
	int r = 0;

	for (uint32_t i = 0; i < POL_SETS_MAX && !r; i++) {
		struct set set = { 0 };
		char name[PRT_SET_NAME];

		r = name_at(s, i, name, e);
		if (r || !name[0])
			continue;
		r = s->map[PRT_SHARED_SETS] < 0 ? 0 : get_set(s, i, &set, e);
		if (json)
			pol_buf_printf(out, "%s\"%s\": %zu", first ? "{" : ", ", name,
				       set.v4.n + set.v6.n);
		else
			pol_buf_printf(out, "%s: %zu IPv4 and %zu IPv6 prefixes added\n",
				       prt_safe(name), set.v4.n, set.v6.n);
		first = false;
		set_free(&set);
	}
	if (json)
		pol_buf_addz(out, first ? "{}\n" : "}\n");
	return r;
}

int prt_sets_show(struct prt_env *env, const char *name, struct pol_buf *out, struct pol_err *e)
{
	struct set set = { 0 };
	struct prt_live l;
	uint32_t place;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_SHARED, &l, e);
	if (!r && !name) {
		r = show_all(&l.shared, env->json, out, e);
	} else if (!r) {
		r = place_of(&l.shared, name, &place, e);
		r = r ? r : get_set(&l.shared, place, &set, e);
		if (!r)
			show_set(&set, env->json, out);
	}
	set_free(&set);
	prt_live_close(&l);
	return r;
}
