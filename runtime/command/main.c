/* SPDX-License-Identifier: GPL-2.0-only */
/* polload: from the words of a command line to one of its verbs. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/yaml.h"
#include "command.h"
#include "polc/proxy.h"
#include "runtime/input/quiet.h"

#ifndef POLC_VERSION
#define POLC_VERSION "0.0"
#endif

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
	"  monitor [--each|--aggregate] [--rate N] [--count N] [--for SECONDS] [FILTER...]\n"
	"                                          verdicts, drops and requests as they happen\n"
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
	"  agent [OPTION...]                       follow a container engine; polc-agent(8)\n"
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

enum takes { FLAG, TEXT, NUMBER };
#define OPTION_ROW(name, word, letter, takes, verbs) [OPT_##name] = { word, verbs, letter, takes },
static const struct {
	const char *word, *verbs;
	char letter;
	enum takes takes;
} options[OPTIONS] = { CMD_OPTIONS(OPTION_ROW) };
#undef OPTION_ROW

#define ARGS_ANY 255
static const struct verb {
	const char *name;
	size_t least, most;
	int (*run)(struct command *c);
} verbs[] = {
	{ "apply", 1, 1, cmd_apply },
	{ "check", 1, 1, cmd_check },
	{ "status", 0, 0, cmd_status },
	{ "rules", 0, 0, cmd_rules },
	{ "flows", 0, ARGS_ANY, cmd_flows },
	{ "endpoints", 0, 0, cmd_show },
	{ "endpoint", 1, ARGS_ANY, cmd_endpoint },
	{ "filter", 1, ARGS_ANY, cmd_filter },
	{ "monitor", 0, ARGS_ANY, cmd_monitor },
	{ "why", 1, ARGS_ANY, cmd_why },
	{ "suggest", 0, 0, cmd_show },
	{ "top", 0, ARGS_ANY, cmd_top },
	{ "metrics", 0, 0, cmd_metrics },
	{ "services", 0, 0, cmd_show },
	{ "service", 1, ARGS_ANY, cmd_service },
	{ "health", 0, 0, cmd_health },
	{ "inspect", 1, 1, cmd_inspect },
	{ "proxy", 0, 0, cmd_proxy },
	{ "rollback", 0, 0, cmd_rollback },
	{ "shadow", 0, 0, cmd_shadow },
	{ "boot", 0, 0, cmd_boot },
	{ "lockdown", 0, 0, cmd_lockdown },
	{ "remove", 0, 0, cmd_remove },
};

/* ---- reading ------------------------------------------------------------------------------------ */

/* `word` is this option: "-x", "--name", or "--name=VALUE" if it takes one. */
static bool is_option(const char *word, enum option o)
{
	size_t n = strlen(options[o].word);

	if (word[1] == options[o].letter && word[1] && !word[2])
		return true;
	return !strncmp(word, options[o].word, n) &&
	       (!word[n] || (word[n] == '=' && options[o].takes != FLAG));
}

/* What it takes: behind "=", or the next word. */
static int take_value(struct command *c, enum option o, char **argv, int *i)
{
	const char *equals = argv[*i][1] == '-' ? strchr(argv[*i], '=') : NULL;
	const char *value = equals ? equals + 1 : argv[*i + 1] ? argv[++*i] : "";

	if (!*value)
		return cmd_bad_usage("%s: needs a value", options[o].word);
	c->text[o] = value;
	if (options[o].takes == NUMBER && !pol_parse_u32(pol_str(value), 1000000000, &c->number[o]))
		return cmd_bad_usage("%s: needs a number", options[o].word);
	return 0;
}

static int take_option(struct command *c, char **argv, int *i)
{
	const char *words[OPTIONS];
	enum option o = 0;

	for (; o < OPTIONS && !is_option(argv[*i], o); o++)
		words[o] = options[o].word;
	if (o == OPTIONS)
		return cmd_unknown("option", argv[*i], words, OPTIONS);
	c->given[o] = true;
	return options[o].takes == FLAG ? 0 : take_value(c, o, argv, i);
}

static int take_word(struct command *c, char **argv, int *i)
{
	if (argv[*i][0] == '-' && argv[*i][1])
		return take_option(c, argv, i);
	if (!c->verb)
		c->verb = argv[*i];
	else if (c->nargs < POL_ARRAY_LEN(c->arg))
		c->arg[c->nargs++] = argv[*i];
	else
		return cmd_bad_usage("%s: too many arguments", prt_safe(c->verb));
	return 0;
}

/* `verb` is one of `list`, words with blanks between them; "" has all. */
static bool is_among(const char *verb, const char *list)
{
	const char *p = list;
	size_t n = strlen(verb);

	while ((p = strstr(p, verb)) && ((p > list && p[-1] != ' ') || (p[n] && p[n] != ' ')))
		p += n;
	return p || !*list;
}

static int run(struct command *c)
{
	const char *names[POL_ARRAY_LEN(verbs)];
	const struct verb *v = verbs;

	for (; v < verbs + POL_ARRAY_LEN(verbs) && strcmp(v->name, c->verb); v++)
		names[v - verbs] = v->name;
	if (v == verbs + POL_ARRAY_LEN(verbs))
		return cmd_unknown("command", c->verb, names, POL_ARRAY_LEN(verbs));
	if (c->nargs < v->least)
		return cmd_bad_usage("%s: something is missing behind it", v->name);
	if (c->nargs > v->most)
		return cmd_bad_usage("%s: too many arguments", v->name);
	for (enum option o = 0; o < OPTIONS; o++) {
		if (c->given[o] && !is_among(v->name, options[o].verbs))
			return cmd_bad_usage("%s: not an option of this command", options[o].word);
	}
	return v->run(c);
}

int main(int argc, char **argv)
{
	static struct command c;
	int r = 0;

	if (argc > 1 && !strcmp(argv[1], "agent"))
		return cmd_become(NULL, "polc-agent", argv + 1);
	signal(SIGPIPE, SIG_IGN);
	/* bpffs makes a pin with what the umask leaves of 0600, and whoever calls us chose the umask. */
	umask(077);
	for (int i = 1; i < argc && !r; i++)
		r = take_word(&c, argv, &i);
	if (r)
		return r;
	if (c.given[OPT_VERSION] || c.given[OPT_HELP]) {
		pol_buf_addz(&c.out, c.given[OPT_VERSION] ? "polload " POLC_VERSION "\n" : help);
		return cmd_done(&c, 0, NULL, EXIT_DONE);
	}
	if (!c.verb) {
		fputs(help, stderr);
		return EXIT_BAD;
	}
	c.env.json = c.given[OPT_JSON];
	c.env.verbose = c.given[OPT_VERBOSE];
	c.env.trust = c.text[OPT_TRUST];
	cmd_choose(&c);
	prt_quiet_init(c.env.verbose);
	r = run(&c);
	pol_buf_free(&c.out);
	pol_buf_free(&c.env.notes);
	return r;
}
