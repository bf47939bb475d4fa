/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * polload's command line: what was given (main.c reads it), the verbs (verbs_*.c), and how they
 * speak (say.c).  Only in this folder is anything printed, and only here does the process end.
 */
#ifndef POLC_RUNTIME_COMMAND_H
#define POLC_RUNTIME_COMMAND_H

#include "runtime/input/env.h"

enum exit_code { EXIT_DONE = 0, EXIT_NO = 1, EXIT_BAD = 2, EXIT_SYSTEM = 3 };

/* X(name, word, letter or 0, what it takes, verbs that take it or "": all) */
#define CMD_OPTIONS(X)                                                                             \
	X(HOST, "--host", 'H', TEXT, "apply")                                                      \
	X(AUDIT, "--audit", 0, FLAG, "apply")                                                      \
	X(SHADOW, "--shadow", 0, FLAG, "apply")                                                    \
	X(NO_IMPORT, "--no-import", 0, FLAG, "apply")                                              \
	X(GRACE, "--grace", 0, TEXT, "apply")                                                      \
	X(ANYBODY_BPF, "--allow-unprivileged-bpf", 0, FLAG, "apply")                               \
	X(TRUST, "--trust-dir", 0, TEXT, "apply inspect boot")                                     \
	X(COMMIT, "--commit", 0, FLAG, "shadow")                                                   \
	X(DROP, "--drop", 0, FLAG, "shadow")                                                       \
	X(FROM, "--from", 0, TEXT, "filter")                                                       \
	X(LISTEN, "--listen", 0, TEXT, "metrics")                                                  \
	X(EACH, "--each", 0, FLAG, "monitor")                                                      \
	X(AGGREGATE, "--aggregate", 0, FLAG, "monitor")                                            \
	X(RATE, "--rate", 0, NUMBER, "monitor")                                                    \
	X(COUNT, "--count", 0, NUMBER, "monitor")                                                  \
	X(FOR, "--for", 0, NUMBER, "monitor")                                                      \
	X(UNUSED, "--unused", 0, FLAG, "rules")                                                    \
	X(ONCE, "--once", 0, FLAG, "top")                                                          \
	X(EVERY, "--every", 0, NUMBER, "top")                                                      \
	X(WATCH, "--watch", 0, FLAG, "boot")                                                       \
	X(BPFFS, "--bpffs", 0, TEXT, "")                                                           \
	X(STATE, "--state-dir", 0, TEXT, "")                                                       \
	X(SOCKET, "--proxy-socket", 0, TEXT, "")                                                   \
	X(JSON, "--json", 0, FLAG, "")                                                             \
	X(VERBOSE, "--verbose", 'v', FLAG, "")                                                     \
	X(VERSION, "--version", 0, FLAG, "")                                                       \
	X(HELP, "--help", 'h', FLAG, "")
#define CMD_OPTION_ENUM(name, word, letter, takes, verbs) OPT_##name,
enum option { CMD_OPTIONS(CMD_OPTION_ENUM) OPTIONS };
#undef CMD_OPTION_ENUM

struct command {
	struct prt_env env;
	const char *verb;
	char *arg[256]; /* behind the verb */
	size_t nargs;
	bool given[OPTIONS];
	const char *text[OPTIONS]; /* of those that take one; NULL: not given */
	uint32_t number[OPTIONS]; /* of those that take one; 0: not given */
	char state[4096]; /* a default made from --bpffs */
	char proxy[4096], socket[4200]; /* likewise */
	struct pol_buf out; /* what the verb says, if all goes well */
};

/* ---- saying; each returns the exit code ----------------------------------------------------- */

int cmd_fail(const struct pol_err *e, enum exit_code code);
int cmd_bad_usage(const char *fmt, const char *what);
/* kind: "command", "option"; with the one of the known words that was probably meant. */
int cmd_unknown(const char *kind, const char *word, const char *const *known, size_t n);
/* Notes, then what was to be said or, if r is not 0, the error with the code `failed`. */
int cmd_done(struct command *c, int r, const struct pol_err *e, enum exit_code failed);
/* What a person can mend in his input is 2; what the system refuses is 3. */
enum exit_code cmd_code(int r);
/* A line as it happens, to standard output; an empty one: flush.  false: nobody reads any more. */
bool cmd_emit(void *ctx, struct pol_str line);

/* The folders, the proxy and its socket: as given, else by the environment, else as they are installed. */
void cmd_choose(struct command *c);
/*
 * Goes on as another program, which is installed beside this one; returns only if it cannot, with the exit
 * code.  c: what cmd_choose() chose is handed on in the environment; or NULL.  What speaks HTTP with others is
 * a program of its own: what loads programs into the kernel links no code for that, and its starts need not
 * map it.
 */
int cmd_become(const struct command *c, const char *name, char **argv);

/* From here on a signal to end only sets cmd_stopped. */
void cmd_until_stopped(void);
extern volatile int cmd_stopped;

/* ---- verbs: c->nargs is as main.c's table says; each returns the exit code -------------------- */

int cmd_apply(struct command *c);
int cmd_boot(struct command *c);
int cmd_check(struct command *c);
int cmd_endpoint(struct command *c);
int cmd_filter(struct command *c);
int cmd_flows(struct command *c);
int cmd_health(struct command *c);
int cmd_inspect(struct command *c);
int cmd_lockdown(struct command *c);
int cmd_metrics(struct command *c);
int cmd_monitor(struct command *c);
int cmd_proxy(struct command *c);
int cmd_remove(struct command *c);
int cmd_rollback(struct command *c);
int cmd_rules(struct command *c);
int cmd_service(struct command *c);
int cmd_shadow(struct command *c);
int cmd_show(struct command *c);
int cmd_status(struct command *c);
int cmd_top(struct command *c);
int cmd_why(struct command *c);

#endif
