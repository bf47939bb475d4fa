/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * polload: the verbs, their options, and what they say.  Only here is anything
 * printed, and only here does the process end.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/input/admit.h"
#include "runtime/change/apply.h"
#include "runtime/change/boot.h"
#include "base/yaml.h"
#include "runtime/change/endpoints.h"
#include "runtime/generation/gen.h"
#include "runtime/look/metrics.h"
#include "runtime/look/monitor.h"
#include "runtime/change/proxy.h"
#include "runtime/input/quiet.h"
#include "runtime/generation/sets.h"
#include "runtime/change/shadow.h"
#include "runtime/services/services.h"
#include "runtime/look/show.h"
#include "runtime/look/top.h"

#ifndef POLC_VERSION
#define POLC_VERSION "0.0"
#endif

enum exit_code { EXIT_DONE = 0, EXIT_NO = 1, EXIT_BAD = 2, EXIT_SYSTEM = 3 };

static const char help[] =
	"usage: polload COMMAND [OPTION...]\n"
	"\n"
	"  apply OBJECT [-H HOST.yaml] [--audit]   put a policy in force, all at once or not at all\n"
	"  apply --shadow OBJECT [-H HOST.yaml]    let it judge beside the one in force, obeyed by nobody\n"
	"  shadow [--commit|--drop]                what it judged differently; put it in force; end it\n"
	"  check OBJECT                            ask the kernel's verifier, attach nothing\n"
	"  status                                  what is in force; exit code 1 if something is missing\n"
	"  rules [--unused]                        counters of each rule\n"
	"  flows [FILTER...]                       live connections\n"
	"  endpoints                               who lives where\n"
	"  endpoint add NAME interface=IF address=ADDR... [label=KEY=VALUE...] [mac=MAC]\n"
	"  endpoint del NAME                       changes at run time\n"
	"  filter add|del|replace NAME [PREFIX...] [--from FILE]   what is in a dynamic set, all at once\n"
	"  filter list [NAME]                      dynamic sets, or what was added to one\n"
	"  endpoint hold INTERFACE                 nothing passes there until an endpoint is added\n"
	"  monitor [FILTER...]                     verdicts, drops and requests as they happen\n"
	"  why from PEER to PEER on PROTO PORT [METHOD \"PATH\"]\n"
	"                                          what the maps in force say of a flow, and by which rule\n"
	"  suggest                                 allow rules that would cover what audit saw, as policy text\n"
	"  top [--once] [--every SECONDS] [FILTER...]  what happens most, live\n"
	"  metrics [--json | --listen unix:PATH|127.0.0.1:PORT|[::1]:PORT]\n"
	"                                          OpenMetrics text, once or served at /metrics\n"
	"  services                                backends of each service, and how they are\n"
	"  service drain|undrain NAME BACKEND      no new connections there; again\n"
	"  service weight NAME BACKEND WEIGHT      1 to 65535, or `policy`: as the policy says\n"
	"  health                                  asks backends by the `check` clauses, until it is ended\n"
	"  inspect OBJECT                          what is inside an object, without loading it\n"
	"  agent [--docker SOCKET]                 follow a container engine; polc-agent(8)\n"
	"  proxy                                   see to it that polproxy runs and knows the policy\n"
	"  rollback                                back to the policy before this one\n"
	"  boot [--watch]                          the last good policy, or lockdown; what came since; polload.service\n"
	"  lockdown                                close everything to and from containers until the next apply\n"
	"  remove                                  detach all, leave nothing behind\n"
	"\n"
	"  -H, --host FILE      the host file: endpoints, uplinks, nodes\n"
	"      --audit          report what would be dropped, and let it pass\n"
	"      --no-import      of a first apply: flows that the kernel knows of are not taken over\n"
	"      --grace SECONDS  of a first apply: how long others are picked up (60; 0: not at all)\n"
	"      --allow-unprivileged-bpf  apply though the kernel takes BPF programs from anybody\n"
	"      --json           machine-readable output\n"
	"      --bpffs DIR      folder of the pins (" PRT_BPFFS_DEFAULT "; POLC_BPFFS)\n"
	"      --trust-dir DIR  keys of those who may sign objects (" PRT_TRUST_DEFAULT ")\n"
	"      --state-dir DIR  folder of the objects in force (" PRT_STATE_DEFAULT
	"; POLC_STATE_DIR)\n"
	"      --proxy-socket PATH  where polproxy is asked (" POL_PROXY_CONTROL
	"; POLC_PROXY_SOCKET)\n"
	"  -v, --verbose        what libbpf and the kernel say, on standard error\n"
	"      --version, --help\n"
	"\n"
	"Exit codes: 0 done; 1 the answer is no; 2 bad usage or input; 3 the system refused.\n";

/* Options of single verbs; X(name, word, takes a number, of which verbs). */
#define OPTION_LIST(X)                                                                             \
	X(EACH, "--each", false, "monitor")                                                        \
	X(AGGREGATE, "--aggregate", false, "monitor")                                              \
	X(RATE, "--rate", true, "monitor")                                                         \
	X(COUNT, "--count", true, "monitor")                                                       \
	X(FOR, "--for", true, "monitor")                                                           \
	X(UNUSED, "--unused", false, "rules")                                                      \
	X(ONCE, "--once", false, "top")                                                            \
	X(EVERY, "--every", true, "top") X(WATCH, "--watch", false, "boot")
#define OPTION_ENUM(e, w, n, v) OPT_##e,
enum option { OPTION_LIST(OPTION_ENUM) OPTIONS };
#undef OPTION_ENUM
#define OPTION_ROW(e, w, n, v) [OPT_##e] = { w, v, n },
static const struct {
	const char *word, *verbs;
	bool number;
} options[OPTIONS] = { OPTION_LIST(OPTION_ROW) };
#undef OPTION_ROW

struct command {
	struct prt_env env;
	const char *verb, *host, *from, *listen;
	char *arg[256]; /* behind the verb */
	size_t nargs;
	const char *grace;
	bool audit, anybody_bpf, shadow, no_import, commit, drop, help, version;
	unsigned given; /* options of single verbs: bits by enum option */
	uint32_t number[OPTIONS]; /* of those that take one */
	char state[4096]; /* a default made from --bpffs */
	char proxy[4096], socket[4200]; /* likewise */
	struct pol_buf out;
};

/* ---- saying ------------------------------------------------------------------------------- */

static void say(FILE *to, const struct pol_buf *b)
{
	if (b->n)
		fwrite(b->p, 1, b->n, to);
}

static int fail(const struct pol_err *e, enum exit_code code)
{
	fprintf(stderr, "polload: error: %s\n", e->text[0] ? e->text : strerror(-e->code));
	if (e->help[0])
		fprintf(stderr, "  = help: %s\n", e->help);
	return code;
}

static int bad_usage(const char *fmt, const char *what)
{
	struct pol_err e = { 0 };

	pol_err_help(&e, "polload --help");
	pol_err(&e, -EINVAL, fmt, what);
	return fail(&e, EXIT_BAD);
}

/* What a person can mend in his input is 2; what the system refuses is 3. */
static enum exit_code code_of(int r)
{
	switch (-r) {
	case 0:
		return EXIT_DONE;
	case EINVAL:
	case ENOEXEC:
	case EPROTONOSUPPORT:
	case EEXIST:
	case ENODEV:
	case E2BIG:
	case EMLINK:
	case EFBIG:
	case EISDIR:
	case ENOENT:
		return EXIT_BAD;
	default:
		return EXIT_SYSTEM;
	}
}

static int done(struct command *c, int r, const struct pol_err *e, enum exit_code failed)
{
	if (c->env.verbose)
		fputs(prt_quiet_text(), stderr);
	for (const char *p = c->env.notes.p; p && *p;) {
		const char *end = strchrnul(p, '\n');

		fprintf(stderr, "polload: note: %.*s\n", (int)(end - p), p);
		p = *end ? end + 1 : end;
	}
	if (r)
		return fail(e, failed);
	say(stdout, &c->out);
	if (fflush(stdout) || ferror(stdout)) {
		struct pol_err full = { 0 };

		pol_err(&full, -errno, "cannot write the output: %s", strerror(errno));
		return fail(&full, EXIT_SYSTEM);
	}
	return EXIT_DONE;
}

static bool has(const struct command *c, enum option o)
{
	return c->given >> o & 1;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int verb_apply(struct command *c)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_hostfile *h POL_CLEANUP(prt_hostfile_cleanup) = NULL;
	struct prt_apply a = { .audit = c->audit };
	struct prt_shadowed shadowed;
	uint32_t grace = PRT_GRACE_SECONDS;
	struct prt_applied applied;
	struct pol_err e = { 0 };
	int r;

	if (c->grace && !pol_parse_u32(pol_str(c->grace), PRT_GRACE_MAX, &grace))
		return bad_usage("--grace %s: seconds, 0 to 600", prt_safe(c->grace));
	if (c->shadow && (c->audit || c->no_import || c->grace))
		return bad_usage("%s: --shadow enforces nothing and takes nothing over", c->verb);
	r = prt_admit_object(&c->env, c->arg[0], &o, &e);

	if (!r && c->host)
		r = prt_admit_host(c->host, &h, &e);
	if (r)
		return done(c, r, &e, r == -ENOMEM ? EXIT_SYSTEM : EXIT_BAD);
	r = prt_env_privileges(&e);
	r = r || c->anybody_bpf ? r : prt_env_unprivileged_bpf(&e);
	a.object = o;
	a.host = h;
	a.no_import = c->no_import;
	a.grace = grace;
	a.anybody_bpf = c->anybody_bpf;
	if (!r && c->shadow) {
		r = prt_shadow_begin(&c->env, &a, &shadowed, &e);
		if (!r)
			prt_show_shadowed(&c->env, &shadowed, &c->out);
		return done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
	}
	r = r ? r : prt_apply(&c->env, &a, &applied, &e);
	if (!r)
		prt_show_applied(&c->env, &applied, &c->out);
	return done(c, r, &e, code_of(r));
}

static int verb_shadow(struct command *c)
{
	struct prt_applied applied;
	struct pol_err e = { 0 };
	bool differ = false;
	int r = prt_env_privileges(&e), code;

	if (c->commit && c->drop)
		return bad_usage("%s: --commit or --drop, not both", c->verb);
	if (r)
		return done(c, r, &e, code_of(r));
	if (c->commit) {
		r = prt_shadow_commit(&c->env, &applied, &e);
		if (!r)
			prt_show_applied(&c->env, &applied, &c->out);
	} else if (c->drop) {
		r = prt_shadow_drop(&c->env, &e);
		if (!r)
			pol_buf_addz(&c->out, c->env.json ? "{\"dropped\": true}\n"
							  : "the shadow is gone\n");
	} else {
		r = prt_show_shadow(&c->env, &c->out, &differ, &e);
	}
	code = done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
	return code == EXIT_DONE && differ ? EXIT_NO : code;
}

static int verb_check(struct command *c)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct pol_err e = { 0 };
	struct prt_gen g;
	int r = prt_look_object(c->arg[0], NULL, &o, &e);

	if (r)
		return done(c, r, &e, r == -ENOMEM ? EXIT_SYSTEM : EXIT_BAD);
	prt_gen_init(&g);
	r = prt_env_privileges(&e);
	r = r ? r : prt_gen_load(o, NULL, 1, PRT_LOAD_ALL, &g, &e);
	if (!r)
		prt_show_checked(&c->env, c->arg[0], &g, &c->out);
	prt_gen_close(&g);
	return done(c, r, &e, r == -ENOEXEC ? EXIT_BAD : EXIT_SYSTEM);
}

static int verb_status(struct command *c)
{
	struct pol_err e = { 0 };
	bool whole = false;
	int r = prt_env_privileges(&e), code;

	r = r ? r : prt_show_status(&c->env, &c->out, &whole, &e);
	code = done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
	return code == EXIT_DONE && !whole ? EXIT_NO : code;
}

static int verb_show(struct command *c)
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
	return done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
}

static int verb_rules(struct command *c)
{
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	r = r ? r : prt_show_rules(&c->env, has(c, OPT_UNUSED), &c->out, &e);
	return done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
}

static int verb_flows(struct command *c)
{
	struct pol_arena *arena = pol_arena_new();
	struct pol_err e = { 0 };
	struct prt_query f;
	int r = prt_query_parse(arena, c->arg, c->nargs, false, &f, &e);

	r = r ? r : prt_env_privileges(&e);
	r = r ? r : prt_show_flows(&c->env, &f, &c->out, &e);
	pol_arena_free(arena);
	return done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
}

static int verb_why(struct command *c)
{
	struct pol_arena *arena = pol_arena_new();
	struct pol_err e = { 0 };
	struct prt_query q;
	bool allow = false;
	int r = prt_query_parse(arena, c->arg, c->nargs, true, &q, &e), code;

	r = r ? r : prt_env_privileges(&e);
	r = r ? r : prt_show_why(&c->env, &q, &allow, &c->out, &e);
	pol_arena_free(arena);
	code = done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
	return code == EXIT_DONE && !allow ? EXIT_NO : code;
}

static int verb_inspect(struct command *c)
{
	struct pol_err e = { 0 };
	int r = prt_show_inspect(&c->env, c->arg[0], &c->out, &e);

	return done(c, r, &e, r == -ENOMEM ? EXIT_SYSTEM : EXIT_BAD);
}

static int verb_endpoint(struct command *c)
{
	struct pol_arena *arena;
	struct prt_endpoint ep;
	struct pol_err e = { 0 };
	bool add = !strcmp(c->arg[0], "add"), hold = !strcmp(c->arg[0], "hold");
	int r;

	if (!add && !hold && strcmp(c->arg[0], "del"))
		return bad_usage("endpoint %s: there are `add`, `del` and `hold`",
				 prt_safe(c->arg[0]));
	if (c->nargs < 2 || (!add && c->nargs > 2))
		return bad_usage("endpoint %s: which?", c->arg[0]);
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
	return done(c, r, &e, code_of(r));
}

static int filter_prefixes(struct command *c, prt_prefixes *out, struct pol_err *e)
{
	int r = c->from ? prt_prefixes_read(c->from, out, e) : 0;

	for (size_t i = 2; i < c->nargs && !r; i++) {
		enum pol_ip_error why = pol_prefix_parse(pol_str(c->arg[i]), pol_vec_push(out));

		if (why != POL_IP_OK)
			r = pol_err(e, -EINVAL, "%s: %s", prt_safe(c->arg[i]),
				    pol_ip_error_text(why));
	}
	return r;
}

static int verb_filter(struct command *c)
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
		return done(c, r, &e, code_of(r));
	}
	while (what < POL_ARRAY_LEN(words) && strcmp(c->arg[0], words[what]))
		what++;
	if (what == POL_ARRAY_LEN(words))
		return bad_usage("filter %s: there are `add`, `del`, `replace` and `list`",
				 prt_safe(c->arg[0]));
	if (c->nargs < 2 || (c->nargs < 3 && !c->from))
		return bad_usage("filter %s: which set, and which prefixes?", c->arg[0]);
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
	return done(c, r, &e, code_of(r));
}

static int verb_rollback(struct command *c)
{
	struct prt_applied applied;
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	r = r ? r : prt_rollback(&c->env, &applied, &e);
	if (!r)
		prt_show_applied(&c->env, &applied, &c->out);
	return done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
}

static int verb_remove(struct command *c)
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
	return done(c, r, &e, code_of(r));
}

static int verb_proxy(struct command *c)
{
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	r = r ? r : prt_proxy_again(&c->env, &e);
	return done(c, r, &e, code_of(r));
}

static volatile int stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static bool emit(void *ctx, struct pol_str line)
{
	(void)ctx;
	return line.n ? fwrite(line.p, 1, line.n, stdout) == line.n : !fflush(stdout);
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

static int verb_boot(struct command *c)
{
	const struct sigaction on = { .sa_handler = stop };
	struct prt_booted b = { .already = false };
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	if (!r && has(c, OPT_WATCH)) {
		sigaction(SIGINT, &on, NULL);
		sigaction(SIGTERM, &on, NULL);
		r = prt_boot_watch(&c->env, &stopped, say_booted, &e);
		return done(c, r, &e, code_of(r));
	}
	r = r ? r : prt_boot(&c->env, &b, &e);
	if (!r)
		prt_show_booted(&c->env, &b, &c->out);
	else if (b.locked)
		prt_env_note(
			&c->env,
			"LOCKDOWN: everything to and from containers is closed until the next apply or boot");
	return done(c, r, &e, code_of(r));
}

static int verb_lockdown(struct command *c)
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
	return done(c, r, &e, code_of(r));
}

/* drain|undrain NAME BACKEND, weight NAME BACKEND N */
static int verb_service(struct command *c)
{
	struct prt_svc_change change = { .service = c->nargs > 1 ? c->arg[1] : NULL,
					 .backend = c->nargs > 2 ? c->arg[2] : NULL };
	bool weight = !strcmp(c->arg[0], "weight");
	struct pol_err e = { 0 };
	int r;

	if (!weight && strcmp(c->arg[0], "drain") && strcmp(c->arg[0], "undrain"))
		return bad_usage("service %s: there are `drain`, `undrain` and `weight`",
				 prt_safe(c->arg[0]));
	if (c->nargs != (weight ? 4u : 3u))
		return bad_usage("service %s: which service and backend?", c->arg[0]);
	change.what = weight                ? PRT_SVC_WEIGHT
		      : c->arg[0][0] == 'd' ? PRT_SVC_DRAIN
					    : PRT_SVC_UNDRAIN;
	if (weight && strcmp(c->arg[3], "policy") &&
	    (!pol_parse_u32(pol_str(c->arg[3]), 65535, &change.weight) || !change.weight))
		return bad_usage("service weight: `%s` is no weight from 1 to 65535",
				 prt_safe(c->arg[3]));
	r = prt_env_privileges(&e);
	r = r ? r : prt_services_change(&c->env, &change, &e);
	if (!r && c->env.json)
		pol_buf_addz(&c->out, "{\"done\": true}\n");
	return done(c, r, &e, code_of(r));
}

static int verb_health(struct command *c)
{
	const struct sigaction on = { .sa_handler = stop };
	struct pol_err e = { 0 };
	int r = prt_env_privileges(&e);

	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	r = r ? r : prt_health(&c->env, &stopped, emit, NULL, &e);
	return done(c, r, &e, code_of(r));
}

static int verb_monitor(struct command *c)
{
	const struct sigaction on = { .sa_handler = stop };
	struct pol_arena *arena = pol_arena_new();
	struct prt_query f;
	struct prt_monitor m = { .filter = &f,
				 .mode = has(c, OPT_EACH)        ? PRT_MONITOR_EACH
					 : has(c, OPT_AGGREGATE) ? PRT_MONITOR_AGGREGATE
								 : PRT_MONITOR_AUTO,
				 .rate = has(c, OPT_RATE) ? c->number[OPT_RATE] : PRT_WATCH_RATE,
				 .count = c->number[OPT_COUNT],
				 .seconds = c->number[OPT_FOR],
				 .stop = &stopped,
				 .emit = emit };
	struct pol_err e = { 0 };
	int r = prt_query_parse(arena, c->arg, c->nargs, false, &f, &e);

	r = r ? r : prt_env_privileges(&e);
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	r = r ? r : prt_monitor(&c->env, &m, &e);
	pol_arena_free(arena);
	return done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
}

static int verb_top(struct command *c)
{
	const struct sigaction on = { .sa_handler = stop };
	struct pol_arena *arena = pol_arena_new();
	unsigned every = has(c, OPT_EVERY) && c->number[OPT_EVERY] ? c->number[OPT_EVERY] : 2;
	struct pol_err e = { 0 };
	struct prt_query q;
	int r = prt_query_parse(arena, c->arg, c->nargs, false, &q, &e);

	r = r ? r : prt_env_privileges(&e);
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGHUP, &on, NULL);
	r = r ? r
	      : prt_top_screen(&c->env, &q, has(c, OPT_ONCE) || c->env.json, every, &stopped, &e);
	pol_arena_free(arena);
	return done(c, r, &e, r == -ENOENT ? EXIT_NO : code_of(r));
}

static int verb_metrics(struct command *c)
{
	const struct sigaction on = { .sa_handler = stop };
	struct prt_metrics m = { .open = false };
	struct pol_buf text = { 0 };
	struct pol_err e = { 0 };
	bool in_force = true;
	int r = prt_env_privileges(&e), code;

	if (c->listen && c->env.json)
		return bad_usage("%s: what is served is OpenMetrics text, not JSON", c->verb);
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	if (!r && c->listen)
		r = prt_metrics_serve(&c->env, c->listen, &stopped, &e);
	else if (!r)
		r = prt_metrics(&c->env, &m, c->env.json ? &text : &c->out, &in_force, &e);
	if (!r && c->env.json && !c->listen)
		prt_metrics_json(text.p, &c->out);
	pol_buf_free(&text);
	prt_metrics_close(&m);
	code = done(c, r, &e, code_of(r));
	return code == EXIT_DONE && !in_force ? EXIT_NO : code;
}

/* ---- the command line ------------------------------------------------------------------------------ */

#define ARGS_ANY 255
static const struct verb {
	const char *name;
	size_t least, most;
	int (*run)(struct command *c);
} verbs[] = {
	{ "apply", 1, 1, verb_apply },
	{ "check", 1, 1, verb_check },
	{ "status", 0, 0, verb_status },
	{ "rules", 0, 0, verb_rules },
	{ "flows", 0, ARGS_ANY, verb_flows },
	{ "endpoints", 0, 0, verb_show },
	{ "endpoint", 1, ARGS_ANY, verb_endpoint },
	{ "filter", 1, ARGS_ANY, verb_filter },
	{ "monitor", 0, ARGS_ANY, verb_monitor },
	{ "why", 1, ARGS_ANY, verb_why },
	{ "suggest", 0, 0, verb_show },
	{ "top", 0, ARGS_ANY, verb_top },
	{ "metrics", 0, 0, verb_metrics },
	{ "services", 0, 0, verb_show },
	{ "service", 1, ARGS_ANY, verb_service },
	{ "health", 0, 0, verb_health },
	{ "inspect", 1, 1, verb_inspect },
	{ "proxy", 0, 0, verb_proxy },
	{ "rollback", 0, 0, verb_rollback },
	{ "shadow", 0, 0, verb_shadow },
	{ "boot", 0, 0, verb_boot },
	{ "lockdown", 0, 0, verb_lockdown },
	{ "remove", 0, 0, verb_remove },
};

/* Takes the value of an option: behind "=", or the next word. */
static const char *value_of(int argc, char **argv, int *i, const char *name)
{
	size_t n = strlen(name);

	if (!strncmp(argv[*i], name, n) && argv[*i][n] == '=')
		return argv[*i] + n + 1;
	return *i + 1 < argc ? argv[++*i] : NULL;
}

static bool is(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && (!word[n] || word[n] == '=');
}

/* An option of single verbs; whether this verb takes it is seen when it is known. */
static int take_option(struct command *c, int argc, char **argv, int *i)
{
	for (unsigned k = 0; k < OPTIONS; k++) {
		const char *v;
		char *end;
		unsigned long n;

		if (!is(argv[*i], options[k].word) || (!options[k].number && strchr(argv[*i], '=')))
			continue;
		c->given |= 1u << k;
		if (!options[k].number)
			return 0;
		v = value_of(argc, argv, i, options[k].word);
		n = v && *v >= '0' && *v <= '9' ? strtoul(v, &end, 10) : ULONG_MAX;
		if (n > 1000000000 || *end)
			return bad_usage("%s: needs a number", options[k].word);
		c->number[k] = (uint32_t)n;
		return 0;
	}
	return bad_usage("%s: there is no such option", prt_safe(argv[*i]));
}

static int take_value(struct command *c, int argc, char **argv, int *i)
{
	static const char *const names[] = { "-H",          "--host",      "--bpffs",
					     "--state-dir", "--trust-dir", "--proxy-socket",
					     "--from",      "--listen",    "--grace" };
	const char **into[] = { &c->host,      &c->host,      &c->env.bpffs,
				&c->env.state, &c->env.trust, &c->env.proxy_socket,
				&c->from,      &c->listen,    &c->grace };

	for (size_t k = 0; k < POL_ARRAY_LEN(names); k++) {
		if (!is(argv[*i], names[k]))
			continue;
		*into[k] = value_of(argc, argv, i, names[k]);
		return *into[k] && **into[k] ? 0 : bad_usage("%s: needs a value", names[k]);
	}
	return take_option(c, argc, argv, i);
}

static int take_word(struct command *c, int argc, char **argv, int *i)
{
	char *word = argv[*i];

	if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
		c->help = true;
	} else if (!strcmp(word, "--version")) {
		c->version = true;
	} else if (!strcmp(word, "--json")) {
		c->env.json = true;
	} else if (!strcmp(word, "--audit")) {
		c->audit = true;
	} else if (!strcmp(word, "--shadow")) {
		c->shadow = true;
	} else if (!strcmp(word, "--no-import")) {
		c->no_import = true;
	} else if (!strcmp(word, "--commit")) {
		c->commit = true;
	} else if (!strcmp(word, "--drop")) {
		c->drop = true;
	} else if (!strcmp(word, "--allow-unprivileged-bpf")) {
		c->anybody_bpf = true;
	} else if (!strcmp(word, "-v") || !strcmp(word, "--verbose")) {
		c->env.verbose = true;
	} else if (word[0] == '-' && word[1]) {
		return take_value(c, argc, argv, i);
	} else if (!c->verb) {
		c->verb = word;
	} else if (c->nargs < POL_ARRAY_LEN(c->arg)) {
		c->arg[c->nargs++] = word;
	} else {
		return bad_usage("%s: too many arguments", c->verb);
	}
	return 0;
}

static const char *or_env(const char *given, const char *name, const char *otherwise)
{
	const char *v = given ? NULL : getenv(name);

	return given ? given : v && *v ? v : otherwise;
}

/* Two folders of pins must not share one folder of objects: another one has its own below ours. */
static void choose_folders(struct command *c)
{
	c->env.bpffs = or_env(c->env.bpffs, "POLC_BPFFS", PRT_BPFFS_DEFAULT);
	c->env.state = or_env(c->env.state, "POLC_STATE_DIR", NULL);
	if (c->env.state)
		return;
	if (!strcmp(c->env.bpffs, PRT_BPFFS_DEFAULT)) {
		c->env.state = PRT_STATE_DEFAULT;
		return;
	}
	snprintf(c->state, sizeof(c->state), "%s/%s", PRT_STATE_DEFAULT, c->env.bpffs);
	for (char *p = c->state + sizeof(PRT_STATE_DEFAULT); *p; p++) {
		if (*p == '/')
			*p = '-';
	}
	c->env.state = c->state;
}

/* polproxy is installed beside us, and so it is where both were built. */
static void choose_proxy(struct command *c)
{
	ssize_t n = readlink("/proc/self/exe", c->proxy, sizeof(c->proxy) - 16);
	char *slash;

	c->proxy[n < 0 ? 0 : n] = '\0';
	slash = strrchr(c->proxy, '/');
	strcpy(slash ? slash + 1 : c->proxy, "polproxy");
	c->env.proxy = or_env(NULL, "POLPROXY", c->proxy);
	c->env.proxy_log = or_env(NULL, "POLC_PROXY_LOG", NULL);
	c->env.proxy_socket = or_env(c->env.proxy_socket, "POLC_PROXY_SOCKET", NULL);
	if (c->env.proxy_socket)
		return;
	c->env.proxy_socket = POL_PROXY_CONTROL;
	if (!strcmp(c->env.bpffs, PRT_BPFFS_DEFAULT))
		return;
	snprintf(c->socket, sizeof(c->socket), "%s/proxy.sock", c->env.state);
	c->env.proxy_socket = c->socket;
}

static int run(struct command *c)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(verbs); i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, c->verb))
			continue;
		if (c->nargs < v->least)
			return bad_usage("%s: something is missing behind it", v->name);
		if (c->nargs > v->most)
			return bad_usage("%s: too many arguments", v->name);
		if ((c->host || c->audit || c->anybody_bpf || c->shadow || c->no_import ||
		     c->grace) &&
		    strcmp(v->name, "apply"))
			return bad_usage("%s: does not take the options of apply", v->name);
		if ((c->commit || c->drop) && strcmp(v->name, "shadow"))
			return bad_usage("%s: does not take the options of shadow", v->name);
		if (c->env.trust && strcmp(v->name, "apply") && strcmp(v->name, "inspect") &&
		    strcmp(v->name, "boot"))
			return bad_usage("%s: does not take --trust-dir", v->name);
		if (c->listen && strcmp(v->name, "metrics"))
			return bad_usage("%s: does not take --listen", v->name);
		for (unsigned k = 0; k < OPTIONS; k++)
			if (has(c, k) && !strstr(options[k].verbs, v->name))
				return bad_usage("%s: not an option of this command",
						 options[k].word);
		return v->run(c);
	}
	return bad_usage("%s: there is no such command", prt_safe(c->verb));
}

/*
 * The agent is a program of its own, beside this one: it speaks HTTP with an engine, and what
 * loads programs into the kernel links no code for that.
 */
static int run_agent(char **argv)
{
	static const char name[] = "polc-agent";
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(name));
	char *end = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
	struct pol_err e = { 0 };

	if (end) {
		memcpy(end + 1, name, sizeof(name));
		execv(path, argv);
	}
	pol_err(&e, -errno, "%s: cannot run: %s", end ? path : name, strerror(errno));
	return fail(&e, EXIT_SYSTEM);
}

int main(int argc, char **argv)
{
	static struct command c;
	int r = 0;

	if (argc > 1 && !strcmp(argv[1], "agent"))
		return run_agent(argv + 1);
	signal(SIGPIPE, SIG_IGN);
	/* bpffs makes a pin with what the umask leaves of 0600, and whoever calls us chose the umask. */
	umask(077);
	for (int i = 1; i < argc && !r; i++)
		r = take_word(&c, argc, argv, &i);
	if (r)
		return r;
	if (c.version || c.help) {
		pol_buf_addz(&c.out, c.version ? "polload " POLC_VERSION "\n" : help);
		return done(&c, 0, NULL, EXIT_DONE);
	}
	if (!c.verb) {
		fputs(help, stderr);
		return EXIT_BAD;
	}
	choose_folders(&c);
	choose_proxy(&c);
	prt_quiet_init(c.env.verbose);
	r = run(&c);
	pol_buf_free(&c.out);
	pol_buf_free(&c.env.notes);
	return r;
}
