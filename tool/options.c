/* SPDX-License-Identifier: GPL-2.0-only */
#include "tool/options.h"

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "base/yaml.h"
#include "compiler/tabulate.h"

#define VERB_NAME(id, name) [POL_VERB_##id] = name,
static const char *const verb_names[] = { POL_VERBS(VERB_NAME) };

static const char *const help[] = {
	[POL_VERB_COMPILE] =
		"usage: polc FILE.pol [-o FILE.bpf.o]   compile a policy into a BPF object\n"
		"       polc check FILE...              say what is wrong with policies\n"
		"       polc fmt [-w] [--check] FILE... print them in the canonical layout\n"
		"       polc list FILE                  who may reach whom\n"
		"       polc explain FILE FLOW          the verdict on one flow and the rule that decides\n"
		"       polc keygen FILE                a pair of keys: FILE and FILE.pub\n"
		"       polc sign --key FILE OBJ...     sign objects: OBJ.sig\n"
		"       polc lint FILE                  rules without effect and other things hardly meant\n"
		"       polc diff OLD NEW               the flows that change, by rules\n"
		"       polc graph FILE                 who may reach whom, drawn (dot, SVG)\n"
		"       polc verify OBJ [FILE]          does the object do what its text says?\n"
		"       polc lsp                        a language server for editors\n"
		"       polc import FILE|DIR...         policies of Kubernetes and Cilium to a policy text\n"
		"       polc --explain CODE             the long text of a diagnostic\n"
		"\n"
		"  -o, --output OUT  write to OUT; - is standard output\n"
		"  -S               stop at C\n"
		"  --stats          print sizes of tables and expected cost\n"
		"  --dump=PASS      print what a pass leaves, and stop; --dump=help lists them\n"
		"  --endpoint-kinds=N  room on the host for N kinds of endpoints (768)\n"
		"  --format=FORMAT  diagnostics as text or json\n"
		"  --color=WHEN     auto, always or never; NO_COLOR is respected\n"
		"  --clang=COMMAND  (or POLC_CLANG)    --templates=DIR (or POLC_TEMPLATES)\n"
		"  --include=DIR    (or POLC_INCLUDE)\n"
		"  --version, --help\n"
		"\n"
		"Exit codes: 0 done and allowed, 1 the answer is no, 2 bad usage or bad input,\n"
		"3 the system refused. `polc VERB --help` has the options of a verb; see polc(1).\n",
	[POL_VERB_CHECK] =
		"usage: polc check [--format=text|json] [--color=WHEN] FILE...\n"
		"\n"
		"Says everything that compiling would say, short of running clang: mistakes,\n"
		"assertions that fail, what this version cannot enforce. Exit code 0: no errors,\n"
		"1: only assertions fail, 2: errors.\n",
	[POL_VERB_FMT] =
		"usage: polc fmt [-w] [--check] FILE...\n"
		"\n"
		"Prints policies in the one canonical layout; comments stay.\n"
		"  -w, --write      rewrite the files that differ\n"
		"  --check          write nothing, name the files that differ: exit code 1\n",
	[POL_VERB_LIST] =
		"usage: polc list [--json | --workloads=HOST.yaml] FILE\n"
		"\n"
		"Who may reach whom, a line a pair: frontend => api : tcp 8080\n"
		"Each endpoint definition stands for its members that fit no other definition\n"
		"and whose address no prefix names.\n"
		"  --workloads=HOST.yaml  instead list every pair of endpoints of that host file and\n"
		"                         the IPv4 ranges outside, with their TCP, UDP and SCTP ports\n",
	[POL_VERB_LINT] =
		"usage: polc lint [--fix] [-H HOST.yaml] [--json] [--format=text|json|sarif] FILE\n"
		"\n"
		"Rules that never decide or change nothing, with the rules to blame; selectors and\n"
		"peers that nobody can be; prefixes inside others; as notes, allows that another\n"
		"policy cuts, and tests that a missing label satisfies. Exit code 1: warnings.\n"
		"  -H HOST.yaml     also what no endpoint of that host file is\n"
		"  --fix            first take redundant rules and prefixes out of FILE, if it is\n"
		"                   proved that no flow is judged otherwise then\n",
	[POL_VERB_DIFF] =
		"usage: polc diff [--json] [--fail-on=any|widen|narrow|never] OLD NEW\n"
		"\n"
		"The flows on which two policies differ, grouped by the rules that decide them, with\n"
		"one flow each: widened, narrowed, or denied with another answer.\n"
		"Exit code 1: something changes; with --fail-on only if that does.\n",
	[POL_VERB_GRAPH] =
		"usage: polc graph [--format=svg|dot] FILE >policy.svg\n"
		"\n"
		"What `polc list` says, drawn: as an SVG that needs nothing else, or in the\n"
		"language of Graphviz, which is the default.\n",
	[POL_VERB_EXPLAIN] =
		"usage: polc explain [--json] FILE FLOW\n"
		"\n"
		"The verdict on FLOW, the rule that decides on each side, on what the others\n"
		"missed, and for a no the fewest changes that would allow it. FLOW is\n"
		"  from PEER to PEER on PROTO PORT\n"
		"with PEER a name of the policy, an address, host, world, [app=frontend,tier=web],\n"
		"or labels at an address: [app=frontend]@10.66.0.7\n"
		"Exit code 0: allowed, 1: denied or rejected.\n",
	[POL_VERB_KEYGEN] =
		"usage: polc keygen FILE\n"
		"\n"
		"Makes a pair of Ed25519 keys: the secret one in FILE, readable by you alone, the\n"
		"public one in FILE.pub. Nothing is written over. A host that has the public one as\n"
		"/etc/polc/trust.d/NAME.pub takes no object that is not signed by such a key.\n",
	[POL_VERB_SIGN] =
		"usage: polc sign --key FILE OBJ...\n"
		"\n"
		"Signs whole objects with the secret key in FILE. The signature of OBJ goes to\n"
		"OBJ.sig, and belongs beside it on the host. `openssl pkeyutl` makes and checks the\n"
		"same ones, see polc(1).\n",
	[POL_VERB_VERIFY] =
		"usage: polc verify [--json] [-H HOST.yaml] [--tables-only] OBJ [FILE]\n"
		"\n"
		"Does the object do what the policy in FILE says? Its tables are compared with the\n"
		"rules exactly, for all peers, addresses and ports; then its programs are loaded\n"
		"and judge packets at every bound of every rule. The first difference is printed.\n"
		"FILE is the policy that OBJ names, beside it or here, if none is given.\n"
		"  -H HOST.yaml     take the endpoints of that host file instead of made-up ones\n"
		"  --tables-only    load nothing: needs no root\n"
		"Exit code 1: they differ.\n",
	[POL_VERB_LSP] =
		"usage: polc lsp\n"
		"\n"
		"Answers an editor on standard input and output, by the Language Server Protocol:\n"
		"diagnostics, definitions, references, hover, completion, symbols, formatting.\n"
		"Editors start it themselves; see polc(1) for what they have to be told.\n",
	[POL_VERB_IMPORT] =
		"usage: polc import [-o OUT.pol] [--host OUT.yaml] [--lax] FILE|DIR...\n"
		"\n"
		"Reads manifests of Kubernetes and Cilium (.yaml, .yml, .json) and prints the policy\n"
		"that they mean. What cannot be said is an error.\n"
		"  -o OUT           write the policy to OUT\n"
		"  --host OUT       write the workloads with their labels to OUT, as a host file\n"
		"  --lax            leave out, closed and with a warning, what cannot be said\n",
};

enum long_option {
	O_STATS = 256,
	O_DUMP,
	O_ENDPOINT_KINDS,
	O_FORMAT,
	O_JSON,
	O_COLOUR,
	O_TEMPLATES,
	O_INCLUDE,
	O_CLANG,
	O_EXPLAIN,
	O_KEY,
	O_CHECK,
	O_VERSION,
	O_FAIL_ON,
	O_LAX,
	O_WORKLOADS,
	O_TABLES_ONLY,
	O_FIX,
};

static const struct option long_options[] = {
	{ "stats", no_argument, NULL, O_STATS },
	{ "dump", required_argument, NULL, O_DUMP },
	{ "endpoint-kinds", required_argument, NULL, O_ENDPOINT_KINDS },
	{ "format", required_argument, NULL, O_FORMAT },
	{ "json", no_argument, NULL, O_JSON },
	{ "color", required_argument, NULL, O_COLOUR },
	{ "templates", required_argument, NULL, O_TEMPLATES },
	{ "include", required_argument, NULL, O_INCLUDE },
	{ "clang", required_argument, NULL, O_CLANG },
	{ "explain", required_argument, NULL, O_EXPLAIN },
	{ "key", required_argument, NULL, O_KEY },
	{ "check", no_argument, NULL, O_CHECK },
	{ "write", no_argument, NULL, 'w' },
	{ "output", required_argument, NULL, 'o' },
	{ "fail-on", required_argument, NULL, O_FAIL_ON },
	{ "lax", no_argument, NULL, O_LAX },
	{ "host", required_argument, NULL, 'H' },
	{ "fix", no_argument, NULL, O_FIX },
	{ "tables-only", no_argument, NULL, O_TABLES_ONLY },
	{ "workloads", required_argument, NULL, O_WORKLOADS },
	{ "version", no_argument, NULL, O_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

const char *pol_options_help(enum pol_verb verb)
{
	return help[verb];
}

/* ---- single options ----------------------------------------------------------- */

static int set_format(struct pol_options *o, const char *value, struct pol_err *e)
{
	o->json_diags = strcmp(value, "json") == 0;
	o->sarif = strcmp(value, "sarif") == 0;
	o->svg = strcmp(value, "svg") == 0;
	o->dot = strcmp(value, "dot") == 0;
	if (o->json_diags || o->sarif || o->svg || o->dot || strcmp(value, "text") == 0)
		return 0;
	return pol_err(e, -EINVAL,
		       "--format=%s: unknown; it is text, json, of lint sarif, of graph dot or svg",
		       value);
}

static int set_colour(struct pol_options *o, const char *value, struct pol_err *e)
{
	static const char *const names[] = { "auto", "always", "never" };

	for (size_t i = 0; i < POL_ARRAY_LEN(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			o->colour = (enum pol_colour)i;
			return 0;
		}
	}
	return pol_err(e, -EINVAL, "--color=%s: unknown; it is auto, always or never", value);
}

static int set_kinds(struct pol_options *o, const char *value, struct pol_err *e)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || n < 1 || n > POL_KINDS_MAX)
		return pol_err(e, -EINVAL, "--endpoint-kinds=%s: not a number from 1 to %u", value,
			       POL_KINDS_MAX);
	o->endpoint_kinds = (uint32_t)n;
	return 0;
}

static int set_fail_on(struct pol_options *o, const char *value, struct pol_err *e)
{
#define FAIL_ON_NAME(id, name) [POL_FAIL_ON_##id] = name,
	static const char *const names[] = { POL_FAIL_ONS(FAIL_ON_NAME) };

	o->fail_on_given = true;
	for (size_t i = 0; i < POL_ARRAY_LEN(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			o->fail_on = (enum pol_fail_on)i;
			return 0;
		}
	}
	return pol_err(e, -EINVAL, "--fail-on=%s: unknown; it is any, widen, narrow or never",
		       value);
}

static int set_path(const char **to, struct pol_err *e)
{
	if (!optarg[0])
		return pol_err(e, -EINVAL, "an option has an empty value");
	*to = optarg;
	return 0;
}

static int set_option(struct pol_options *o, int c, struct pol_err *e)
{
	switch (c) {
	case 'o':
		return set_path(&o->out, e);
	case 'S':
		o->to_c = true;
		return 0;
	case 'w':
		o->write = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case O_VERSION:
		o->version = true;
		return 0;
	case O_STATS:
		o->stats = true;
		return 0;
	case O_CHECK:
		o->check = true;
		return 0;
	case O_LAX:
		o->lax = true;
		return 0;
	case 'H':
		return set_path(&o->host, e);
	case O_FIX:
		o->fix = true;
		return 0;
	case O_TABLES_ONLY:
		o->tables_only = true;
		return 0;
	case O_WORKLOADS:
		return set_path(&o->workloads, e);
	case O_JSON:
		o->json_answer = true;
		return 0;
	case O_DUMP:
		return set_path(&o->dump, e);
	case O_EXPLAIN:
		return set_path(&o->code, e);
	case O_KEY:
		return set_path(&o->key, e);
	case O_CLANG:
		return set_path(&o->clang, e);
	case O_TEMPLATES:
		return set_path(&o->templates, e);
	case O_INCLUDE:
		return set_path(&o->include, e);
	case O_ENDPOINT_KINDS:
		return set_kinds(o, optarg, e);
	case O_FORMAT:
		return set_format(o, optarg, e);
	case O_FAIL_ON:
		return set_fail_on(o, optarg, e);
	case O_COLOUR:
		return set_colour(o, optarg, e);
	}
	return -EINVAL;
}

/* word: --NAME or --NAME=VALUE. */
static void suggest_option(const char *word, struct pol_err *e)
{
	const char *names[POL_ARRAY_LEN(long_options)], *near;
	size_t n = 0;

	while (long_options[n].name) {
		names[n] = long_options[n].name;
		n++;
	}
	near = pol_suggest((struct pol_str){ word + 2, strcspn(word + 2, "=") }, names, n);
	if (near)
		pol_err_help(e, "did you mean --%s?", near);
}

static int unknown_option(int c, char **argv, struct pol_err *e)
{
	bool is_long = strncmp(argv[optind - 1], "--", 2) == 0;

	if (c == ':')
		return pol_err(e, -EINVAL, "option %s needs a value", argv[optind - 1]);
	if (optopt && !is_long)
		return pol_err(e, -EINVAL, "unknown option -%c", optopt);
	if (is_long)
		suggest_option(argv[optind - 1], e);
	return pol_err(e, -EINVAL, "unknown or ambiguous option %s", argv[optind - 1]);
}

/* ---- what fits together ------------------------------------------------------- */

/* The verb, if the first word is one; a file of that name is written ./check. */
static int take_verb(struct pol_options *o, struct pol_err *e)
{
	const char *word = o->n_args ? o->arg[0] : "", *near;

	for (size_t i = POL_VERB_COMPILE + 1; i < POL_VERB_MAX; i++) {
		if (strcmp(word, verb_names[i]) != 0)
			continue;
		o->verb = (enum pol_verb)i;
		o->arg++;
		o->n_args--;
		return 0;
	}
	if (!word[0] || strpbrk(word, "./") || access(word, F_OK) == 0)
		return 0;
	near = pol_suggest(pol_str(word), verb_names + 1, POL_ARRAY_LEN(verb_names) - 1);
	if (near)
		pol_err_help(e, "did you mean `polc %s`?", near);
	return pol_err(e, -EINVAL, "`%s` is neither a command nor a file", word);
}

static int check_verb(const struct pol_options *o, struct pol_err *e)
{
	bool compile = o->verb == POL_VERB_COMPILE, import = o->verb == POL_VERB_IMPORT;
	bool answer = o->verb == POL_VERB_LIST || o->verb == POL_VERB_EXPLAIN ||
		      o->verb == POL_VERB_LINT || o->verb == POL_VERB_DIFF ||
		      o->verb == POL_VERB_VERIFY;
	const char *wrong = NULL;

	if (o->endpoint_kinds && !compile && o->verb != POL_VERB_CHECK)
		wrong = "--endpoint-kinds";
	if (!compile && (o->to_c || o->stats || o->dump))
		wrong = o->to_c ? "-S" : o->stats ? "--stats" : "--dump";
	if (!compile && !import && o->out)
		wrong = "-o";
	if (!import && o->lax)
		wrong = "--lax";
	if (o->verb != POL_VERB_LINT && o->fix)
		wrong = "--fix";
	if (!import && o->verb != POL_VERB_VERIFY && o->verb != POL_VERB_LINT && o->host)
		wrong = "--host";
	if (o->verb != POL_VERB_VERIFY && o->tables_only)
		wrong = "--tables-only";
	if (o->verb != POL_VERB_LIST && o->workloads)
		wrong = "--workloads";
	if (o->verb != POL_VERB_FMT && (o->write || o->check))
		wrong = o->write ? "-w" : "--check";
	if (o->verb != POL_VERB_SIGN && o->key)
		wrong = "--key";
	if (!answer && o->json_answer)
		wrong = "--json";
	if (o->fail_on_given && o->verb != POL_VERB_DIFF)
		wrong = "--fail-on";
	if (o->sarif && o->verb != POL_VERB_LINT)
		wrong = "--format=sarif";
	if ((o->svg || o->dot) && o->verb != POL_VERB_GRAPH)
		wrong = o->svg ? "--format=svg" : "--format=dot";
	if (wrong)
		return pol_err(e, -EINVAL, "%s is no option of `polc%s%s`", wrong,
			       compile ? "" : " ", verb_names[o->verb]);
	if (o->workloads && o->json_answer)
		return pol_err(e, -EINVAL, "--workloads and --json exclude each other");
	if (o->write && o->check)
		return pol_err(e, -EINVAL, "-w and --check exclude each other");
	if (o->verb == POL_VERB_SIGN && !o->key)
		return pol_err(e, -EINVAL, "with which key? --key=FILE");
	return 0;
}

static int check_count(const struct pol_options *o, struct pol_err *e)
{
	bool many = o->verb == POL_VERB_CHECK || o->verb == POL_VERB_FMT ||
		    o->verb == POL_VERB_SIGN || o->verb == POL_VERB_IMPORT;

	if (o->verb == POL_VERB_LSP)
		return o->n_args ? pol_err(e, -EINVAL, "`polc lsp` takes no files") : 0;
	if (o->n_args == 0)
		return pol_err(e, -EINVAL, "no %s file given",
			       o->verb == POL_VERB_SIGN || o->verb == POL_VERB_VERIFY ? "object"
			       : o->verb == POL_VERB_KEYGEN                           ? "key"
			       : o->verb == POL_VERB_IMPORT                           ? "manifest"
										      : "policy");
	if (o->verb == POL_VERB_EXPLAIN && o->n_args == 1)
		return pol_err(e, -EINVAL, "no flow given: from PEER to PEER on PROTO PORT");
	if (o->verb == POL_VERB_DIFF && o->n_args != 2)
		return pol_err(e, -EINVAL, "two policy files are compared: OLD NEW");
	if (o->verb == POL_VERB_VERIFY && o->n_args > 2)
		return pol_err(e, -EINVAL, "one object and its policy; `%s` is too many",
			       o->arg[2]);
	if (!many && o->verb != POL_VERB_VERIFY && o->verb != POL_VERB_EXPLAIN &&
	    o->verb != POL_VERB_DIFF && o->n_args > 1)
		return pol_err(e, -EINVAL, "one file at a time; `%s` is too many", o->arg[1]);
	return 0;
}

int pol_options_parse(int argc, char **argv, struct pol_options *o, struct pol_err *e)
{
	int c, r;

	*o = (struct pol_options){ 0 };
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":o:H:Swh", long_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return unknown_option(c, argv, e);
		r = set_option(o, c, e);
		if (r)
			return r;
	}
	o->arg = argv + optind;
	o->n_args = argc - optind;
	r = take_verb(o, e);
	if (r || o->help || o->version || o->code)
		return r;
	if (o->dump && strcmp(o->dump, "help") == 0)
		return 0;
	r = check_verb(o, e);
	return r ? r : check_count(o, e);
}
