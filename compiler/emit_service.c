/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of VIPs: as the data path looks for them (polc/service.h). */
#include <arpa/inet.h>
#include <polc/service.h>

#include "emit.h"

struct vips {
	struct pol_vip_slot *slot; /* `len` of them */
	uint32_t len; /* a power of two */
};

static struct pol_addr addr_of(struct pol_ip ip)
{
	uint64_t lo = ip.family == 4 ? 0xffff00000000u | ip.lo : ip.lo;
	struct pol_addr a;

	for (unsigned i = 0; i < 8; i++) {
		a.b[i] = (uint8_t)(ip.hi >> (56 - 8 * i));
		a.b[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
	}
	return a;
}

/* False: no room within reach of its place.  One that is there already is fine. */
static bool put(struct vips *t, struct pol_vip_slot v)
{
	uint32_t at = pol_vip_hash(&v.addr, v.port_be, v.proto);

	v.used = 1;
	for (uint32_t i = 0; i < POL_VIP_PROBES; i++) {
		struct pol_vip_slot *s = &t->slot[(at + i) & (t->len - 1)];

		if (s->used && (memcmp(&s->addr, &v.addr, sizeof(v.addr)) ||
				s->port_be != v.port_be || s->proto != v.proto))
			continue;
		*s = v;
		return true;
	}
	return false;
}

static bool put_service(struct vips *t, const struct pol_ir_service *s, uint32_t number)
{
	bool ok = true;

	for (size_t i = 0; ok && i < s->nvips; i++) {
		struct pol_vip_slot v = { .addr = addr_of(s->vip[i].addr),
					  .port_be = htons(s->vip[i].port),
					  .proto = s->proto,
					  .service = 2 * number + (s->vip[i].addr.family == 6) };

		ok = put(t, v);
		v.port_be = 0;
		v.proto = 0;
		v.service = 0;
		ok = ok && put(t, v);
	}
	return ok;
}

/* Large enough that each is within reach; a quarter full at most. */
static struct vips place(const struct pol_ir *ir)
{
	struct vips t = { .len = 8 };
	size_t n = 0;
	bool ok;

	for (size_t i = 0; i < ir->services.n; i++)
		n += 2 * ir->services.v[i].nvips;
	while (t.len < 4 * n)
		t.len *= 2;
	do {
		free(t.slot);
		t.slot = calloc(t.len, sizeof(*t.slot));
		ok = t.slot;
		for (size_t i = 0; ok && i < ir->services.n; i++)
			ok = put_service(&t, &ir->services.v[i], (uint32_t)i);
		if (!ok)
			t.len *= 2;
	} while (!ok && t.len < 1u << 28);
	if (!ok)
		abort();
	return t;
}

static void add_slot(struct pol_buf *b, const struct pol_ir *ir, uint32_t at,
		     const struct pol_vip_slot *v)
{
	pol_buf_printf(b, "\t[%u] = { .addr.b = { ", at);
	for (unsigned i = 0; i < sizeof(v->addr.b); i++)
		pol_buf_printf(b, "%s%u", i ? ", " : "", v->addr.b[i]);
	pol_buf_printf(b, " }, .port_be = %u, .proto = %u, .used = 1, .service = %u },", v->port_be,
		       v->proto, v->service);
	if (v->proto)
		pol_buf_printf(b, " /* %.*s, port %u */",
			       POL_STR_ARG(ir->services.v[v->service / 2].name), ntohs(v->port_be));
	pol_buf_addc(b, '\n');
}

void pol_emit_services(const struct pol_ir *ir, struct pol_buf *b)
{
	struct vips t;
	bool dsr = false;

	if (!ir->services.n)
		return;
	for (size_t i = 0; i < ir->services.n; i++)
		dsr = dsr || ir->services.v[i].dsr;
	t = place(ir);
	pol_buf_printf(b,
		       "#define POL_USES_SERVICES    1         /* there is a service */\n"
		       "#define POL_USES_DSR         %d         /* a service with `mode dsr` */\n"
		       "#define POL_SERVICES_LEN     %zu         /* each for both families */\n"
		       "#define POL_VIPS_LEN         %u         /* places of the table */\n"
		       "#include <polc/service.h>\n\n"
		       "/* VIPs by pol_vip_hash(); each address once more without a port. */\n"
		       "const struct pol_vip_slot pol_vips[POL_VIPS_LEN] = {\n",
		       dsr, 2 * ir->services.n, t.len);
	for (uint32_t i = 0; i < t.len; i++)
		if (t.slot[i].used)
			add_slot(b, ir, i, &t.slot[i]);
	pol_buf_addz(b, "};\n");
	free(t.slot);
}
