/* SPDX-License-Identifier: GPL-2.0-only */
/* `top` on a terminal: the alternate screen, keys as they are pressed, and all as it was behind us. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "runtime/look/top.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static const char keys[] = "q quit  a all  f connections  d drops  h requests";

struct screen {
	struct termios before;
	bool raw;
	unsigned rows, columns;
};

static void say(const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(STDOUT_FILENO, p, n);

		if (k < 0 && errno != EINTR)
			return;
		p += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
}

static void measure(struct screen *s)
{
	struct winsize w;

	s->rows = 24;
	s->columns = 80;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_row > 3 && w.ws_col > 10) {
		s->rows = w.ws_row;
		s->columns = w.ws_col;
	}
}

static int enter(struct screen *s, struct pol_err *e)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &s->before)) {
		pol_err_help(e, "--once prints one frame");
		return pol_err(e, -EINVAL, "top: this is no terminal");
	}
	t = s->before;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
	s->raw = true;
	say(ENTER, sizeof(ENTER) - 1);
	return 0;
}

static void leave(struct screen *s)
{
	if (!s->raw)
		return;
	say(LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
}

/* false: to end. */
static bool key(enum prt_top_pane *pane)
{
	struct pollfd f = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	while (poll(&f, 1, 0) > 0) {
		if (read(STDIN_FILENO, &c, 1) != 1 || c == 'q' || c == 'Q')
			return false;
		*pane = c == 'a'   ? PRT_TOP_ALL
			: c == 'f' ? PRT_TOP_FLOWS
			: c == 'd' ? PRT_TOP_DROPS
			: c == 'h' ? PRT_TOP_REQUESTS
				   : *pane;
	}
	return true;
}

/* Each line is cleared behind its end, so that nothing flickers. */
static void show(const struct pol_buf *frame)
{
	struct pol_buf out = { 0 };

	pol_buf_addz(&out, "\033[H");
	for (size_t i = 0; i < frame->n; i++) {
		if (frame->p[i] == '\n')
			pol_buf_addz(&out, "\033[K\r\n");
		else
			pol_buf_addc(&out, frame->p[i]);
	}
	pol_buf_addz(&out, "\033[J");
	pol_buf_addz(&out, keys);
	say(out.p, out.n);
	pol_buf_free(&out);
}

static int live(struct prt_top *t, struct screen *s, unsigned seconds, const volatile int *stop,
		struct pol_err *e)
{
	enum prt_top_pane pane = PRT_TOP_ALL, before;
	struct pol_buf frame = { 0 };
	uint64_t next = 0;
	int r = 0;

	while (!r && !*stop) {
		before = pane;
		if (!key(&pane))
			break;
		r = prt_top_wait(t, 100, e);
		if (r || (prt_env_now_ns() < next && pane == before))
			continue;
		measure(s);
		frame.n = 0;
		r = prt_top_frame(t, pane, s->rows - 2, s->columns, &frame, e);
		if (!r)
			show(&frame);
		next = prt_env_now_ns() + seconds * 1000000000ull;
	}
	pol_buf_free(&frame);
	return r;
}

static int one(struct prt_top *t, unsigned seconds, const volatile int *stop, struct pol_err *e)
{
	uint64_t until = prt_env_now_ns() + seconds * 1000000000ull;
	struct pol_buf frame = { 0 };
	int r = 0;

	while (!r && !*stop && prt_env_now_ns() < until)
		r = prt_top_wait(t, 100, e);
	r = r ? r : prt_top_frame(t, PRT_TOP_ALL, 0, 0, &frame, e);
	if (!r)
		say(frame.p, frame.n);
	pol_buf_free(&frame);
	return r;
}

int prt_top_screen(struct prt_env *env, const struct prt_query *q, bool once, unsigned seconds,
		   const volatile int *stop, struct pol_err *e)
{
	struct screen s = { .raw = false };
	struct prt_top t;
	int r;

	prt_top_init(&t);
	r = prt_top_open(env, q, &t, e);
	if (!r && once)
		r = one(&t, seconds, stop, e);
	else if (!r && !(r = enter(&s, e)))
		r = live(&t, &s, seconds, stop, e);
	leave(&s);
	prt_top_close(&t);
	return r;
}
