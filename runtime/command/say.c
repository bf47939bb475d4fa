/* SPDX-License-Identifier: GPL-2.0-only */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/yaml.h"
#include "runtime/input/quiet.h"

volatile int cmd_stopped;

static void say(FILE *to, const struct pol_buf *b)
{
	if (b->n)
		fwrite(b->p, 1, b->n, to);
}

int cmd_fail(const struct pol_err *e, enum exit_code code)
{
	fprintf(stderr, "polload: error: %s\n", e->text[0] ? e->text : strerror(-e->code));
	if (e->help[0])
		fprintf(stderr, "  = help: %s\n", e->help);
	return code;
}

int cmd_bad_usage(const char *fmt, const char *what)
{
	struct pol_err e = { 0 };

	pol_err_help(&e, "polload --help");
	pol_err(&e, -EINVAL, fmt, what);
	return cmd_fail(&e, EXIT_BAD);
}

int cmd_unknown(const char *kind, const char *word, const char *const *known, size_t n)
{
	struct pol_err e = { 0 };
	const char *near = pol_suggest((struct pol_str){ word, strcspn(word, "=") }, known, n);

	if (near)
		pol_err_help(&e, "did you mean %s?", near);
	else
		pol_err_help(&e, "polload --help");
	pol_err(&e, -EINVAL, "%s: there is no such %s", prt_safe(word), kind);
	return cmd_fail(&e, EXIT_BAD);
}

enum exit_code cmd_code(int r)
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

int cmd_done(struct command *c, int r, const struct pol_err *e, enum exit_code failed)
{
	if (c->env.verbose)
		fputs(prt_quiet_text(), stderr);
	for (const char *p = c->env.notes.p; p && *p;) {
		const char *end = strchrnul(p, '\n');

		fprintf(stderr, "polload: note: %.*s\n", (int)(end - p), p);
		p = *end ? end + 1 : end;
	}
	if (r)
		return cmd_fail(e, failed);
	say(stdout, &c->out);
	if (fflush(stdout) || ferror(stdout)) {
		struct pol_err full = { 0 };

		pol_err(&full, -errno, "cannot write the output: %s", strerror(errno));
		return cmd_fail(&full, EXIT_SYSTEM);
	}
	return EXIT_DONE;
}

static void stop(int sig)
{
	(void)sig;
	cmd_stopped = 1;
}

void cmd_until_stopped(void)
{
	const struct sigaction on = { .sa_handler = stop };
	struct sigaction hup;

	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN) /* nohup(1) */
		sigaction(SIGHUP, &on, NULL);
}

bool cmd_emit(void *ctx, struct pol_str line)
{
	(void)ctx;
	return line.n ? fwrite(line.p, 1, line.n, stdout) == line.n : !fflush(stdout);
}
