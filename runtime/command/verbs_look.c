/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs that only look. */
#include <errno.h>

#include "command.h"
#include "runtime/look/metrics.h"
#include "runtime/look/monitor.h"
#include "runtime/look/show.h"
#include "runtime/look/top.h"

int cmd_status(struct command *c)
{
	struct pol_err e = { 0 };
	bool whole = false;
	int r = prt_env_privileges(&e), code;

	r = r ? r : prt_show_status(&c->env, &c->out, &whole, &e);
	code = cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
	return code == EXIT_DONE && !whole ? EXIT_NO : code;
}

int cmd_show(struct command *c)
{
	static const struct {
		const char *verb;
		int (*show)(struct prt_env *env, struct pol_buf *out, struct pol_err *e);
	} shows[] = {
		{ "endpoints", prt_show_endpoints },
		{ "suggest", prt_show_suggest },
		{ "services", prt_show_services },
	};
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	for (size_t i = 0; i < POL_ARRAY_LEN(shows) && !r; i++) {
		if (!strcmp(shows[i].verb, c->verb))
			r = shows[i].show(&c->env, &c->out, &e);
	}
	return cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
}

int cmd_rules(struct command *c)
{
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	r = r ? r : prt_show_rules(&c->env, c->given[OPT_UNUSED], &c->out, &e);
	return cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
}

int cmd_flows(struct command *c)
{
	struct pol_arena *arena = pol_arena_new();
	struct pol_err e = { 0 };
	struct prt_query f;
	int r = prt_query_parse(arena, c->arg, c->nargs, false, &f, &e);

	r = r ? r : prt_env_privileges(&e);
	r = r ? r : prt_show_flows(&c->env, &f, &c->out, &e);
	pol_arena_free(arena);
	return cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
}

int cmd_why(struct command *c)
{
	struct pol_arena *arena = pol_arena_new();
	struct pol_err e = { 0 };
	struct prt_query q;
	bool allow = false;
	int r = prt_query_parse(arena, c->arg, c->nargs, true, &q, &e), code;

	r = r ? r : prt_env_privileges(&e);
	r = r ? r : prt_show_why(&c->env, &q, &allow, &c->out, &e);
	pol_arena_free(arena);
	code = cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
	return code == EXIT_DONE && !allow ? EXIT_NO : code;
}

int cmd_inspect(struct command *c)
{
	struct pol_err e = { 0 };
	int r = prt_show_inspect(&c->env, c->arg[0], &c->out, &e);

	return cmd_done(c, r, &e, r == -ENOMEM ? EXIT_SYSTEM : EXIT_BAD);
}

int cmd_monitor(struct command *c)
{
	struct pol_arena *arena = pol_arena_new();
	struct prt_query f;
	struct prt_monitor m = { .filter = &f,
				 .mode = c->given[OPT_EACH]        ? PRT_MONITOR_EACH
					 : c->given[OPT_AGGREGATE] ? PRT_MONITOR_AGGREGATE
								   : PRT_MONITOR_AUTO,
				 .rate = c->given[OPT_RATE] ? c->number[OPT_RATE] : PRT_WATCH_RATE,
				 .count = c->number[OPT_COUNT],
				 .seconds = c->number[OPT_FOR],
				 .stop = &cmd_stopped,
				 .emit = cmd_emit };
	struct pol_err e = { 0 };
	int r = prt_query_parse(arena, c->arg, c->nargs, false, &f, &e);

	r = r ? r : prt_env_privileges(&e);
	cmd_until_stopped();
	r = r ? r : prt_monitor(&c->env, &m, &e);
	pol_arena_free(arena);
	return cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
}

int cmd_top(struct command *c)
{
	struct pol_arena *arena = pol_arena_new();
	unsigned every = c->given[OPT_EVERY] && c->number[OPT_EVERY] ? c->number[OPT_EVERY] : 2;
	struct pol_err e = { 0 };
	struct prt_query q;
	int r = prt_query_parse(arena, c->arg, c->nargs, false, &q, &e);

	r = r ? r : prt_env_privileges(&e);
	cmd_until_stopped();
	r = r ? r
	      : prt_top_screen(&c->env, &q, c->given[OPT_ONCE] || c->env.json, every, &cmd_stopped,
			       &e);
	pol_arena_free(arena);
	return cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
}

static int serve_metrics(struct command *c)
{
	char name[] = "polload-metrics";
	char *argv[] = { name, (char *)c->text[OPT_LISTEN], NULL };

	if (c->env.json)
		return cmd_bad_usage("%s: what is served is OpenMetrics text, not JSON", c->verb);
	return cmd_become(c, name, argv);
}

int cmd_metrics(struct command *c)
{
	struct prt_metrics m = { .open = false };
	struct pol_err e = { 0 };
	bool in_force = true;
	int r, code;

	if (c->text[OPT_LISTEN])
		return serve_metrics(c);
	r = prt_env_privileges(&e);
	r = r ? r : prt_metrics(&c->env, &m, &c->out, &in_force, &e);
	prt_metrics_close(&m);
	code = cmd_done(c, r, &e, cmd_code(r));
	return code == EXIT_DONE && !in_force ? EXIT_NO : code;
}
