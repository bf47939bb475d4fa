/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs that put a policy in force, or out of it. */
#include <errno.h>
#include <stdio.h>

#include "base/yaml.h"
#include "command.h"
#include "runtime/change/apply.h"
#include "runtime/change/boot.h"
#include "runtime/change/shadow.h"
#include "runtime/generation/gen.h"
#include "runtime/input/admit.h"
#include "runtime/look/show.h"

int cmd_apply(struct command *c)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_hostfile *h POL_CLEANUP(prt_hostfile_cleanup) = NULL;
	struct prt_apply a = { .audit = c->given[OPT_AUDIT] };
	struct prt_shadowed shadowed;
	uint32_t grace = PRT_GRACE_SECONDS;
	struct prt_applied applied;
	struct pol_err e = { 0 };
	int r;

	if (c->text[OPT_GRACE] &&
	    !pol_parse_u32(pol_str(c->text[OPT_GRACE]), PRT_GRACE_MAX, &grace))
		return cmd_bad_usage("--grace %s: seconds, 0 to 600", prt_safe(c->text[OPT_GRACE]));
	if (c->given[OPT_SHADOW] &&
	    (c->given[OPT_AUDIT] || c->given[OPT_NO_IMPORT] || c->text[OPT_GRACE]))
		return cmd_bad_usage("%s: --shadow enforces nothing and takes nothing over",
				     c->verb);
	r = prt_admit_object(&c->env, c->arg[0], &o, &e);

	if (!r && c->text[OPT_HOST])
		r = prt_admit_host(c->text[OPT_HOST], &h, &e);
	if (r)
		return cmd_done(c, r, &e, r == -ENOMEM ? EXIT_SYSTEM : EXIT_BAD);
	r = prt_env_privileges(&e);
	r = r || c->given[OPT_ANYBODY_BPF] ? r : prt_env_unprivileged_bpf(&e);
	a.object = o;
	a.host = h;
	a.no_import = c->given[OPT_NO_IMPORT];
	a.grace = grace;
	a.anybody_bpf = c->given[OPT_ANYBODY_BPF];
	if (!r && c->given[OPT_SHADOW]) {
		r = prt_shadow_begin(&c->env, &a, &shadowed, &e);
		if (!r)
			prt_show_shadowed(&c->env, &shadowed, &c->out);
		return cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
	}
	r = r ? r : prt_apply(&c->env, &a, &applied, &e);
	if (!r)
		prt_show_applied(&c->env, &applied, &c->out);
	return cmd_done(c, r, &e, cmd_code(r));
}

int cmd_shadow(struct command *c)
{
	struct prt_applied applied;
	struct pol_err e = { 0 };
	bool differ = false;
	int r = prt_env_privileges(&e), code;

	if (c->given[OPT_COMMIT] && c->given[OPT_DROP])
		return cmd_bad_usage("%s: --commit or --drop, not both", c->verb);
	if (r)
		return cmd_done(c, r, &e, cmd_code(r));
	if (c->given[OPT_COMMIT]) {
		r = prt_shadow_commit(&c->env, &applied, &e);
		if (!r)
			prt_show_applied(&c->env, &applied, &c->out);
	} else if (c->given[OPT_DROP]) {
		r = prt_shadow_drop(&c->env, &e);
		if (!r)
			pol_buf_addz(&c->out, c->env.json ? "{\"dropped\": true}\n"
							  : "the shadow is gone\n");
	} else {
		r = prt_show_shadow(&c->env, &c->out, &differ, &e);
	}
	code = cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
	return code == EXIT_DONE && differ ? EXIT_NO : code;
}

int cmd_check(struct command *c)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct pol_err e = { 0 };
	struct prt_gen g;
	int r = prt_look_object(c->arg[0], NULL, &o, &e);

	if (r)
		return cmd_done(c, r, &e, r == -ENOMEM ? EXIT_SYSTEM : EXIT_BAD);
	prt_gen_init(&g);
	r = prt_env_privileges(&e);
	r = r ? r : prt_gen_load(o, NULL, 1, PRT_LOAD_ALL, &g, &e);
	if (!r)
		prt_show_checked(&c->env, c->arg[0], &g, &c->out);
	prt_gen_close(&g);
	return cmd_done(c, r, &e, r == -ENOEXEC ? EXIT_BAD : EXIT_SYSTEM);
}

int cmd_rollback(struct command *c)
{
	struct prt_applied applied;
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	r = r ? r : prt_rollback(&c->env, &applied, &e);
	if (!r)
		prt_show_applied(&c->env, &applied, &c->out);
	return cmd_done(c, r, &e, r == -ENOENT ? EXIT_NO : cmd_code(r));
}

/* For whoever reads the journal: what came of it, if anything. */
static void say_booted(const struct prt_booted *b, int r, const struct pol_err *e)
{
	if (r)
		fprintf(stderr, "polload: error: %s\n", e->text[0] ? e->text : strerror(-r));
	if (b->locked)
		fprintf(stderr, "polload: LOCKDOWN: everything to and from containers is closed; "
				"polload apply, or polload boot again, lifts it\n");
	if (r && e->help[0])
		fprintf(stderr, "  = help: %s\n", e->help);
	if (b->applied)
		fprintf(stderr, "polload: %s is in force%s%s\n", prt_safe(b->how.policy),
			b->waiting[0] ? "; not there yet: " : "", b->waiting);
}

int cmd_boot(struct command *c)
{
	struct prt_booted b = { .already = false };
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	if (!r && c->given[OPT_WATCH]) {
		cmd_until_stopped();
		r = prt_boot_watch(&c->env, &cmd_stopped, say_booted, &e);
		return cmd_done(c, r, &e, cmd_code(r));
	}
	r = r ? r : prt_boot(&c->env, &b, &e);
	if (!r)
		prt_show_booted(&c->env, &b, &c->out);
	else if (b.locked)
		prt_env_note(
			&c->env,
			"LOCKDOWN: everything to and from containers is closed until the next apply or boot");
	return cmd_done(c, r, &e, cmd_code(r));
}

int cmd_lockdown(struct command *c)
{
	struct pol_err e = { 0 };
	bool everything = false;
	int r = prt_env_privileges(&e);

	r = r ? r : prt_lockdown(&c->env, &everything, &e);
	if (!r && c->env.json)
		pol_buf_printf(&c->out, "{\"lockdown\": \"%s\"}\n",
			       everything ? "everything" : "pool");
	else if (!r)
		pol_buf_addz(
			&c->out,
			everything
				? "lockdown: nothing is forwarded any more; no addresses of containers are known\n"
				: "lockdown: everything to and from containers is closed\n");
	return cmd_done(c, r, &e, cmd_code(r));
}

int cmd_remove(struct command *c)
{
	struct pol_err e = { 0 };
	bool was_there = false;
	int r = prt_env_privileges(&e);

	r = r ? r : prt_remove(&c->env, &was_there, &e);
	if (!r && c->env.json)
		pol_buf_printf(&c->out, "{\"removed\": %s}\n", was_there ? "true" : "false");
	else if (!r)
		pol_buf_addz(&c->out, was_there ? "removed; nothing is enforced any more\n"
						: "there was nothing to remove\n");
	return cmd_done(c, r, &e, cmd_code(r));
}
