/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * polload-metrics ADDRESS: what `polload metrics --listen ADDRESS` becomes (verbs_look.c).  Serves GET
 * /metrics at "unix:PATH" (mode 0600), "127.0.0.1:PORT" or "[::1]:PORT" until a signal ends it; nowhere
 * else: rules and names are nobody's business outside of this host.
 */
#include "command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/host/listen.h"
#include "runtime/input/quiet.h"
#include "runtime/look/metrics.h"

#define CLIENTS_MAX 16u
#define PATIENCE 5u /* seconds for a request */

struct server {
	struct prt_env *env;
	struct prt_metrics m;
	const char *path; /* NULL: a port */
	int fd;
};

/* ---- where ---------------------------------------------------------------------------------- */

static int bind_port(struct server *s, const char *at, struct pol_err *e)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const char *port = strrchr(at, ':');
	bool is4 = !strncmp(at, "127.0.0.1:", 10), is6 = !strncmp(at, "[::1]:", 6);
	unsigned long n =
		port && port[1] >= '1' && port[1] <= '9' ? strtoul(port + 1, NULL, 10) : 0;
	int one = 1;

	if ((!is4 && !is6) || !n || n > 65535) {
		pol_err_help(
			e,
			"unix:PATH, 127.0.0.1:PORT or [::1]:PORT; what is not this host has no business here");
		return pol_err(e, -EINVAL, "--listen %s: not an address of this host alone",
			       prt_safe(at));
	}
	v4.sin_port = v6.sin6_port = htons((uint16_t)n);
	s->fd = socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(s->fd, is4 ? (void *)&v4 : (void *)&v6, is4 ? sizeof(v4) : sizeof(v6))) {
		if (errno == EADDRINUSE)
			pol_err_help(e, "take another port; `ss -ltnp` shows who has this one");
		return pol_err(e, -errno, "%s: cannot listen: %s", at, strerror(errno));
	}
	if (listen(s->fd, 64))
		return pol_err(e, -errno, "%s: cannot listen: %s", at, strerror(errno));
	return 0;
}

/* ---- answering --------------------------------------------------------------------------------- */

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, struct pol_buf *text)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(text->n, text->p, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result done;

	if (!r) {
		pol_buf_free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
				status == MHD_HTTP_OK ? PRT_METRICS_TYPE
						      : "text/plain; charset=utf-8");
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **state)
{
	struct server *s = ctx;
	struct pol_buf text = { 0 };
	struct pol_err e = { 0 };
	bool in_force;

	(void)version;
	(void)data;
	(void)state;
	if (*size)
		return MHD_NO; /* nobody has anything to send us */
	if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
		pol_buf_addz(&text, "GET /metrics\n");
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, &text);
	}
	if (strcmp(url, "/metrics")) {
		pol_buf_addz(&text, "there is /metrics\n");
		return say(c, MHD_HTTP_NOT_FOUND, &text);
	}
	if (!prt_metrics(s->env, &s->m, &text, &in_force, &e))
		return say(c, MHD_HTTP_OK, &text);
	text.n = 0;
	pol_buf_printf(&text, "%s\n", e.text);
	prt_metrics_close(&s->m);
	return say(c, MHD_HTTP_INTERNAL_SERVER_ERROR, &text);
}

/* One thread, this one: nothing of ours is made for more. */
static int serve(struct server *s, struct pol_err *e)
{
	struct MHD_Daemon *d =
		MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, s, MHD_OPTION_LISTEN_SOCKET,
				 s->fd, MHD_OPTION_CONNECTION_LIMIT, CLIENTS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD) : NULL;

	if (!info)
		return pol_err(e, -EIO, "cannot serve");
	s->fd = -1; /* the daemon's */
	while (!cmd_stopped) {
		struct pollfd f = { .fd = info->epoll_fd, .events = POLLIN };

		poll(&f, 1, 500);
		MHD_run(d);
	}
	MHD_stop_daemon(d);
	return 0;
}

static int serve_at(struct prt_env *env, const char *at, struct pol_err *e)
{
	struct server s = { .env = env, .fd = -1 };
	int r;

	if (!strncmp(at, "unix:", 5)) {
		r = prt_listen_unix(at + 5, &s.fd, e);
		s.path = r ? NULL : at + 5;
	} else {
		r = bind_port(&s, at, e);
	}
	r = r ? r : serve(&s, e);
	if (s.path)
		unlink(s.path);
	pol_cleanup_fd(&s.fd);
	prt_metrics_close(&s.m);
	return r;
}

int main(int argc, char **argv)
{
	static struct command c;
	struct pol_err e = { 0 };
	int r;

	signal(SIGPIPE, SIG_IGN);
	umask(077);
	if (argc != 2)
		return cmd_bad_usage("%s", "this is what `polload metrics --listen ADDRESS` runs");
	cmd_choose(&c);
	prt_quiet_init(false);
	r = prt_env_privileges(&e);
	cmd_until_stopped();
	r = r ? r : serve_at(&c.env, argv[1], &e);
	r = cmd_done(&c, r, &e, cmd_code(r));
	pol_buf_free(&c.env.notes);
	return r;
}
