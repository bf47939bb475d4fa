/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/policy.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static void generation_free(struct px_generation *g)
{
	if (g->image)
		munmap(g->image, g->size);
	pol_cleanup_fd(&g->flows);
	pol_cleanup_fd(&g->ep_info);
	pol_cleanup_fd(&g->ep_by_addr);
	free(g);
}

const struct px_generation *px_generation_hold(const struct px_generation *g)
{
	if (g)
		((struct px_generation *)g)->held++;
	return g;
}

void px_generation_drop(const struct px_generation *g)
{
	if (g && !--((struct px_generation *)g)->held)
		generation_free((struct px_generation *)g);
}

static const struct px_generation *find(const struct px_policy *p, uint64_t number)
{
	for (size_t i = 0; i < p->gens.n; i++)
		if (p->gens.v[i]->number == number)
			return p->gens.v[i];
	return NULL;
}

/* The image in its frozen map: it stays as it is checked here. */
static int map_image(struct px_generation *g, int fd, struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	const struct pol_http_image *head;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return pol_err(e, -errno, "map '%s': %s", POL_MAP_HTTP, strerror(errno));
	if (info.value_size < sizeof(*head) || info.max_entries != 1)
		return pol_err(e, -EINVAL, "map '%s' is none of http rules", POL_MAP_HTTP);
	g->size = info.value_size;
	g->image = mmap(NULL, g->size, PROT_READ, MAP_SHARED, fd, 0);
	if (g->image == MAP_FAILED) {
		g->image = NULL;
		return pol_err(e, -errno, "map '%s': cannot map: %s", POL_MAP_HTTP,
			       strerror(errno));
	}
	head = g->image;
	if (head->size)
		return pol_http_open(&g->view, g->image, g->size, e);
	munmap(g->image, g->size);
	g->image = NULL;
	return 0;
}

static void drop_at(struct px_policy *p, size_t i)
{
	px_generation_drop(p->gens.v[i]);
	p->gens.v[i] = p->gens.v[--p->gens.n];
}

int px_policy_load(struct px_policy *p, uint64_t number, int fd[POL_PROXY_FDS], struct pol_err *e)
{
	struct px_generation *g = calloc(1, sizeof(*g));
	int r = -ENOMEM;

	if (!g) {
		for (size_t i = 0; i < POL_PROXY_FDS; i++)
			close(fd[i]);
		return pol_err(e, r, "out of memory");
	}
	*g = (struct px_generation){ .number = number,
				     .held = 1,
				     .flows = fd[POL_PROXY_FD_FLOWS],
				     .ep_info = fd[POL_PROXY_FD_EP_INFO],
				     .ep_by_addr = fd[POL_PROXY_FD_EP_BY_ADDR] };
	r = map_image(g, fd[POL_PROXY_FD_HTTP], e);
	close(fd[POL_PROXY_FD_HTTP]);
	if (r) {
		px_generation_drop(g);
		return r;
	}
	for (size_t i = 0; i < p->gens.n; i++)
		if (p->gens.v[i]->number == number)
			drop_at(p, i--);
	*pol_vec_push(&p->gens) = g;
	return 0;
}

void px_policy_forget(struct px_policy *p, uint64_t number, double now)
{
	for (size_t i = 0; i < p->gens.n; i++)
		if (p->gens.v[i]->number == number && !p->gens.v[i]->forgotten)
			p->gens.v[i]->forgotten = now;
}

bool px_policy_expire(struct px_policy *p, double now)
{
	bool some = false;

	for (size_t i = 0; i < p->gens.n; i++) {
		const struct px_generation *g = p->gens.v[i];

		if (g->forgotten && now >= g->forgotten + PX_POLICY_LATE)
			drop_at(p, i--);
		else
			some = some || g->forgotten;
	}
	return some;
}

void px_policy_free(struct px_policy *p)
{
	while (p->gens.n)
		px_generation_drop(p->gens.v[--p->gens.n]);
	pol_vec_free(&p->gens);
}

uint64_t px_policy_newest(const struct px_policy *p)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < p->gens.n; i++)
		if (!p->gens.v[i]->forgotten && p->gens.v[i]->number > newest)
			newest = p->gens.v[i]->number;
	return newest;
}

/* proxy_flows outlives generations: any descriptor of it will do. */
int px_policy_flow(const struct px_policy *p, const struct pol_proxy_key *key,
		   struct pol_proxy_flow *out)
{
	for (size_t i = p->gens.n; i-- > 0;)
		if (!p->gens.v[i]->forgotten && !bpf_map_lookup_elem(p->gens.v[i]->flows, key, out))
			return 0;
	return -ENOENT;
}

bool px_policy_is_host(const struct px_policy *p, const struct pol_addr *a)
{
	struct pol_owner o;

	for (size_t i = 0; i < p->gens.n; i++)
		if (!p->gens.v[i]->forgotten &&
		    !bpf_map_lookup_elem(p->gens.v[i]->ep_by_addr, a, &o) &&
		    o.entity == POL_ENTITY_HOST)
			return true;
	return false;
}

void px_policy_name(const struct px_policy *p, uint64_t gen, uint32_t ep, char out[POL_EP_NAME])
{
	const struct px_generation *g = ep ? find(p, gen) : NULL;
	struct pol_ep_info info;

	out[0] = '\0';
	if (!g || bpf_map_lookup_elem(g->ep_info, &ep, &info))
		return;
	memcpy(out, info.name, POL_EP_NAME);
	out[POL_EP_NAME - 1] = '\0';
}

struct px_verdict px_policy_judge(const struct px_policy *p, const struct pol_proxy_flow *flow,
				  const struct pol_http_request *request)
{
	static const enum pol_direction order[] = { POL_EGRESS, POL_INGRESS };
	struct px_verdict out = { .answer = PX_UNKNOWN,
				  .rule = POL_NO_RULE,
				  .line = POL_HTTP_NO_LINE,
				  .gen = find(p, flow->gen) };

	if (!out.gen)
		return out;
	out.answer = PX_ALLOW;
	for (size_t i = 0; i < POL_ARRAY_LEN(order) && out.answer == PX_ALLOW; i++) {
		const struct pol_proxy_side *s = &flow->side[order[i]];
		struct pol_http_verdict v = { .allow = true, .line = POL_HTTP_NO_LINE };

		if (!s->judged)
			continue;
		if (s->nhttp > POL_VERDICT_HTTP || (s->nhttp && !out.gen->image))
			v.allow = false;
		else if (s->nhttp)
			v = pol_http_judge(&out.gen->view, s->http, s->nhttp, s->plain, request);
		if (!v.allow)
			out.answer = PX_DENY;
		if (!v.allow || v.line != POL_HTTP_NO_LINE) {
			out.line = v.line;
			out.direction = order[i];
			out.rule = s->rule;
		}
	}
	return out;
}
