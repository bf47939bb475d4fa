/* SPDX-License-Identifier: GPL-2.0-only */
/* Subnets and addresses of networks of polc: what the kernel has no route to is free. */
#include "ipam.h"

#include <errno.h>
#include <stdio.h>

#define KEPT_NS 60000000000ull /* until what was given has to be somebody's */
#define TRIES 65536u

static uint8_t full(struct pol_ip ip)
{
	return ip.family == 4 ? 32 : 128;
}

/* ---- what was given ------------------------------------------------------------------------- */

static bool overlap(struct cn_addr a, struct cn_addr b)
{
	a.len = b.len = a.len < b.len ? a.len : b.len;
	return pol_ip_eq(cn_subnet_of(a), cn_subnet_of(b));
}

static bool equal(struct cn_addr a, struct cn_addr b)
{
	return a.len == b.len && pol_ip_eq(a.ip, b.ip);
}

/*
 * named: somebody asks for just this.  Who does so again was not answered, for all that we know; of two who
 * do, whose CreateNetwork or CreateEndpoint comes first has it.
 */
static bool is_given(struct cn_driver *d, struct cn_addr what, bool named)
{
	uint64_t now = prt_env_now_ns();
	bool found = false;

	for (size_t i = 0; i < d->given.n;) {
		struct cn_given *g = &d->given.v[i];

		if (g->until <= now) {
			*g = d->given.v[--d->given.n];
			continue;
		}
		/* An address lies in its pool and yet they do not collide. */
		found |= (g->what.len == full(g->what.ip)) == (what.len == full(what.ip)) &&
			 overlap(g->what, what) && !(named && g->named && equal(g->what, what));
		i++;
	}
	return found;
}

static void take_back(struct cn_driver *d, struct cn_addr what)
{
	for (size_t i = 0; i < d->given.n; i++) {
		if (equal(d->given.v[i].what, what))
			d->given.v[i--] = d->given.v[--d->given.n];
	}
}

static void give(struct cn_driver *d, struct cn_addr what, bool named)
{
	take_back(d, what);
	*pol_vec_push(&d->given) = (struct cn_given){ what, prt_env_now_ns() + KEPT_NS, named };
}

/* ---- subnets ----------------------------------------------------------------------------------- */

/* Where none is named: 10.210.0.0/16 in parts of /24, fd70:6f6c:63::/48 in parts of /64. */
static struct cn_addr part(bool v6, unsigned n)
{
	if (v6)
		return (struct cn_addr){ { 0xfd706f6c00630000ull | n, 0, 6 }, 64 };
	return (struct cn_addr){ { 0, 0x0ad20000u | n << 8, 4 }, 24 };
}

static int free_pool(struct cn_driver *d, bool v6, struct cn_addr *out, struct pol_err *e)
{
	bool taken = true;
	int r = 0;

	for (unsigned n = 0; n < 256 && taken && !r; n++) {
		*out = part(v6, n);
		taken = is_given(d, *out, false);
		if (!taken)
			r = cn_subnet_taken(*out, false, &taken, e);
	}
	if (!r && taken)
		r = pol_err(e, -ENOSPC, "no subnet is left: name one with --subnet");
	return r;
}

static int given_pool(struct cn_driver *d, struct cn_addr pool, struct pol_err *e)
{
	char t[POL_IP_TEXT];
	bool taken = is_given(d, pool, true);
	int r = taken ? 0 : cn_subnet_taken(pool, true, &taken, e);

	return !r && taken ? pol_err(e, -EEXIST, "subnet %s: a network of this host overlaps it",
				     cn_addr_format(pool, t))
			   : r;
}

json_t *cn_request_pool(struct cn_driver *d, const struct cn_call *c, struct pol_err *e)
{
	struct cn_addr pool = c->pool;
	char id[CN_POOL_ID], t[POL_IP_TEXT];

	if (pool.ip.family ? given_pool(d, pool, e) : free_pool(d, c->v6, &pool, e))
		return NULL;
	give(d, pool, c->pool.ip.family);
	cn_pool_id(pool, c->range, id);
	return json_pack("{s:s, s:s, s:{}}", "PoolID", id, "Pool", cn_addr_format(pool, t), "Data");
}

json_t *cn_release_pool(struct cn_driver *d, const struct cn_call *c)
{
	take_back(d, c->pool);
	return json_object();
}

/* ---- addresses ------------------------------------------------------------------------------------ */

static struct pol_ip last_of(struct cn_addr a)
{
	if (a.ip.family == 4)
		a.ip.lo |= UINT32_MAX >> a.len;
	return a.ip;
}

/* May a container have it? */
static int usable(struct cn_driver *d, struct cn_addr pool, struct pol_ip ip, bool named, bool *yes,
		  struct pol_err *e)
{
	bool taken = false;
	int r;

	*yes = false;
	if (pol_ip_eq(ip, pool.ip) || pol_ip_eq(ip, cn_gateway_of(pool)) ||
	    (ip.family == 4 && pol_ip_eq(ip, last_of(pool))) ||
	    is_given(d, (struct cn_addr){ ip, full(ip) }, named))
		return 0;
	r = cn_address_taken(ip, &taken, e);
	*yes = !r && !taken;
	return r;
}

/* Behind the one that was given last in this pool: what was freed a moment ago rests for a while. */
static struct pol_ip begin_at(struct cn_driver *d, struct cn_addr from)
{
	struct cn_addr a;

	for (size_t i = d->last.n; i-- > 0;) {
		a = (struct cn_addr){ d->last.v[i], from.len };
		if (pol_ip_eq(cn_subnet_of(a), from.ip))
			return cn_ip_next(d->last.v[i]);
	}
	return from.ip;
}

static void remember(struct cn_driver *d, struct cn_addr from, struct pol_ip ip)
{
	for (size_t i = 0; i < d->last.n; i++) {
		struct cn_addr a = { d->last.v[i], from.len };

		if (pol_ip_eq(cn_subnet_of(a), from.ip))
			d->last.v[i--] = d->last.v[--d->last.n];
	}
	*pol_vec_push(&d->last) = ip;
}

static int free_address(struct cn_driver *d, const struct cn_call *c, struct pol_ip *out,
			struct pol_err *e)
{
	struct cn_addr from = c->range.ip.family ? c->range : c->pool, at;
	char t[POL_IP_TEXT];
	bool yes = false;
	int r = 0;

	*out = begin_at(d, from);
	for (unsigned n = 0; n < TRIES && !r; n++, *out = cn_ip_next(*out)) {
		at = (struct cn_addr){ *out, from.len };
		if (!pol_ip_eq(cn_subnet_of(at), from.ip))
			*out = from.ip;
		r = usable(d, c->pool, *out, false, &yes, e);
		if (yes) {
			remember(d, from, *out);
			return r;
		}
	}
	return r ? r : pol_err(e, -ENOSPC, "no address is left in %s", cn_addr_format(from, t));
}

static int this_address(struct cn_driver *d, const struct cn_call *c, struct pol_err *e)
{
	char t[POL_IP_TEXT];
	bool yes = false;
	int r;

	if (c->gateway)
		return pol_ip_eq(c->ip, cn_gateway_of(c->pool))
			       ? 0
			       : pol_err(e, -EINVAL,
					 "the gateway of a network of polc is the first address of its subnet");
	r = usable(d, c->pool, c->ip, true, &yes, e);
	return !r && !yes ? pol_err(e, -EADDRINUSE, "address %s is taken", pol_ip_format(c->ip, t))
			  : r;
}

json_t *cn_request_address(struct cn_driver *d, const struct cn_call *c, struct pol_err *e)
{
	struct cn_addr a = { c->ip, c->pool.len };
	char t[POL_IP_TEXT];
	int r = 0;

	if (c->ip.family)
		r = this_address(d, c, e);
	else if (c->gateway)
		a.ip = cn_gateway_of(c->pool);
	else
		r = free_address(d, c, &a.ip, e);
	if (r)
		return NULL;
	if (!c->gateway)
		give(d, (struct cn_addr){ a.ip, full(a.ip) }, c->ip.family);
	return json_pack("{s:s, s:{}}", "Address", cn_addr_format(a, t), "Data");
}

json_t *cn_release_address(struct cn_driver *d, const struct cn_call *c)
{
	take_back(d, (struct cn_addr){ c->ip, full(c->ip) });
	return json_object();
}
