/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs that change something beside the policy: endpoints, sets, services, the proxy. */
#include <errno.h>
#include <stdio.h>

#include "base/yaml.h"
#include "command.h"
#include "runtime/change/endpoints.h"
#include "runtime/change/apply.h"
#include "runtime/generation/sets.h"
#include "runtime/services/services.h"

int cmd_endpoint(struct command *c)
{
	struct pol_arena *arena;
	struct prt_endpoint ep;
	struct pol_err e = { 0 };
	bool add = !strcmp(c->arg[0], "add"), hold = !strcmp(c->arg[0], "hold");
	int r;

	if (!add && !hold && strcmp(c->arg[0], "del"))
		return cmd_bad_usage("endpoint %s: there are `add`, `del` and `hold`",
				     prt_safe(c->arg[0]));
	if (c->nargs < 2 || (!add && c->nargs > 2))
		return cmd_bad_usage("endpoint %s: which?", c->arg[0]);
	arena = pol_arena_new();
	r = add ? prt_endpoint_parse(arena, c->arg[1], c->nargs - 2, c->arg + 2, &ep, &e) : 0;
	r = r ? r : prt_env_privileges(&e);
	if (!r && add)
		r = prt_endpoint_add(&c->env, &ep, &e);
	else if (!r && hold)
		r = prt_endpoint_hold(&c->env, c->arg[1], &e);
	else if (!r)
		r = prt_endpoint_del(&c->env, c->arg[1], false, &e);
	if (!r && c->env.json)
		pol_buf_addz(&c->out, "{\"done\": true}\n");
	pol_arena_free(arena);
	return cmd_done(c, r, &e, cmd_code(r));
}

static int filter_prefixes(struct command *c, prt_prefixes *out, struct pol_err *e)
{
	int r = c->text[OPT_FROM] ? prt_prefixes_read(c->text[OPT_FROM], out, e) : 0;

	for (size_t i = 2; i < c->nargs && !r; i++) {
		enum pol_ip_error why = pol_prefix_parse(pol_str(c->arg[i]), pol_vec_push(out));

		if (why != POL_IP_OK)
			r = pol_err(e, -EINVAL, "%s: %s", prt_safe(c->arg[i]),
				    pol_ip_error_text(why));
	}
	return r;
}

int cmd_filter(struct command *c)
{
	static const char *const words[] = { "add", "del", "replace" };
	struct prt_set_changed changed = { 0 };
	prt_prefixes with = { 0 };
	struct pol_err e = { 0 };
	size_t what = 0;
	int r;

	if (!strcmp(c->arg[0], "list") && c->nargs <= 2) {
		r = prt_env_privileges(&e);
		r = r ? r : prt_sets_show(&c->env, c->nargs > 1 ? c->arg[1] : NULL, &c->out, &e);
		return cmd_done(c, r, &e, cmd_code(r));
	}
	while (what < POL_ARRAY_LEN(words) && strcmp(c->arg[0], words[what]))
		what++;
	if (what == POL_ARRAY_LEN(words))
		return cmd_bad_usage("filter %s: there are `add`, `del`, `replace` and `list`",
				     prt_safe(c->arg[0]));
	if (c->nargs < 2 || (c->nargs < 3 && !c->text[OPT_FROM]))
		return cmd_bad_usage("filter %s: which set, and which prefixes?", c->arg[0]);
	r = filter_prefixes(c, &with, &e);
	r = r ? r : prt_env_privileges(&e);
	r = r ? r
	      : prt_sets_change(&c->env, c->arg[1], (enum prt_set_change)what, &with, &changed, &e);
	if (!r)
		pol_buf_printf(&c->out,
			       c->env.json ? "{\"before\": %zu, \"after\": %zu}\n"
					   : "%zu prefixes before, %zu now\n",
			       changed.before, changed.after);
	pol_vec_free(&with);
	return cmd_done(c, r, &e, cmd_code(r));
}

int cmd_proxy(struct command *c)
{
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	r = r ? r : prt_proxy_again(&c->env, &e);
	return cmd_done(c, r, &e, cmd_code(r));
}

/* drain|undrain NAME BACKEND, weight NAME BACKEND N */
int cmd_service(struct command *c)
{
	struct prt_svc_change change = { .service = c->nargs > 1 ? c->arg[1] : NULL,
					 .backend = c->nargs > 2 ? c->arg[2] : NULL };
	bool weight = !strcmp(c->arg[0], "weight");
	struct pol_err e = { 0 };
	int r;

	if (!weight && strcmp(c->arg[0], "drain") && strcmp(c->arg[0], "undrain"))
		return cmd_bad_usage("service %s: there are `drain`, `undrain` and `weight`",
				     prt_safe(c->arg[0]));
	if (c->nargs != (weight ? 4u : 3u))
		return cmd_bad_usage("service %s: which service and backend?", c->arg[0]);
	change.what = weight                ? PRT_SVC_WEIGHT
		      : c->arg[0][0] == 'd' ? PRT_SVC_DRAIN
					    : PRT_SVC_UNDRAIN;
	if (weight && strcmp(c->arg[3], "policy") &&
	    (!pol_parse_u32(pol_str(c->arg[3]), 65535, &change.weight) || !change.weight))
		return cmd_bad_usage("service weight: `%s` is no weight from 1 to 65535",
				     prt_safe(c->arg[3]));
	r = prt_env_privileges(&e);
	r = r ? r : prt_services_change(&c->env, &change, &e);
	if (!r && c->env.json)
		pol_buf_addz(&c->out, "{\"done\": true}\n");
	return cmd_done(c, r, &e, cmd_code(r));
}

int cmd_health(struct command *c)
{
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	cmd_until_stopped();
	r = r ? r : prt_health(&c->env, &cmd_stopped, cmd_emit, NULL, &e);
	return cmd_done(c, r, &e, cmd_code(r));
}
