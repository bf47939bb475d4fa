/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver's calls over HTTP on a Unix socket. */
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "driver.h"
#include "runtime/host/listen.h"

#define CLIENTS_MAX 64u
#define PATIENCE 30u /* seconds that a connection may be idle */
#define TYPE "application/vnd.docker.plugins.v1.2+json"

struct body { /* of a call that is coming in */
	struct pol_buf text;
	bool too_large;
};

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT);
	struct MHD_Response *r;
	enum MHD_Result done;

	json_decref(answer);
	if (!text)
		return MHD_NO;
	r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, TYPE);
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const struct pol_err *e)
{
	char text[sizeof(e->text) + sizeof(e->help) + 16];

	snprintf(text, sizeof(text), "polc: %s%s%s", e->text[0] ? e->text : "unknown failure",
		 e->help[0] ? "; " : "", e->help);
	/* Networks read the one, IPAM the other. */
	return say(c, status,
		   json_pack("{s:s, s:s}", "Err", prt_safe(text), "Error", prt_safe(text)));
}

/* A call that cannot be understood has a status of its own; one that fails says why in its answer. */
static enum MHD_Result call(struct cn_driver *d, struct MHD_Connection *to, enum cn_method method,
			    const struct body *b)
{
	struct pol_err e = { 0 };
	json_t *answer = NULL;
	struct cn_call c;
	int r = cn_call_read(&c, method, b->text.n ? b->text.p : "", b->text.n, &e);

	if (!r)
		answer = cn_driver_call(d, &c, &e);
	cn_call_free(&c);
	if (answer)
		return say(to, MHD_HTTP_OK, answer);
	d->say(LOG_ERR, "the engine is refused: %s", e.text);
	return refuse(to, r == -EBADMSG ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_OK, &e);
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **state)
{
	enum cn_method m = cn_method_of(url);
	struct pol_err e = { 0 };
	struct body *b = *state;

	(void)version;
	if (!b) {
		*state = calloc(1, sizeof(*b));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*size) {
		b->too_large |= b->text.n + *size > CN_CALL_MAX;
		if (!b->too_large)
			pol_buf_add(&b->text, (struct pol_str){ data, *size });
		*size = 0;
		return MHD_YES;
	}
	if (b->too_large) {
		pol_err(&e, -EFBIG, "a call has at most %u bytes", CN_CALL_MAX);
		return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, &e);
	}
	if (m == CN_METHODS || strcmp(method, "POST") != 0) {
		pol_err(&e, -ENOENT, "there is no such call");
		return refuse(c, MHD_HTTP_NOT_FOUND, &e);
	}
	return call(ctx, c, m, b);
}

static void completed(void *ctx, struct MHD_Connection *c, void **state,
		      enum MHD_RequestTerminationCode how)
{
	struct body *b = *state;

	(void)ctx, (void)c, (void)how;
	if (b)
		pol_buf_free(&b->text);
	free(b);
	*state = NULL;
}

/* /run/docker/plugins may not be there before the engine is. */
static void make_folders(const char *path)
{
	char part[256];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
}

static int serve(struct cn_driver *d, struct MHD_Daemon *server, const volatile int *stop)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_EPOLL_FD);
	MHD_UNSIGNED_LONG_LONG sooner;
	int ms = 0;

	while (!*stop) {
		struct pollfd f[] = { { .fd = info->epoll_fd, .events = POLLIN },
				      { .fd = d->links, .events = POLLIN } };

		poll(f, POL_ARRAY_LEN(f), ms);
		MHD_run(server);
		ms = cn_driver_turn(d);
		if (MHD_get_timeout(server, &sooner) == MHD_YES && sooner < (unsigned)ms)
			ms = (int)sooner; /* 0: more of a call has come than was read */
	}
	return 0;
}

int cn_driver_listen(const char *at, int *fd, struct pol_err *e)
{
	mode_t old = umask(022);

	make_folders(at);
	umask(old);
	return prt_listen_unix(at, fd, e);
}

int cn_driver_serve(struct cn_driver *d, int fd, const volatile int *stop, struct pol_err *e)
{
	struct MHD_Daemon *server =
		MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, d, MHD_OPTION_LISTEN_SOCKET,
				 fd, MHD_OPTION_CONNECTION_LIMIT, CLIENTS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE,
				 MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);

	if (!server) {
		close(fd);
		return pol_err(e, -EIO, "the driver's socket cannot be served");
	}
	serve(d, server, stop);
	MHD_stop_daemon(server);
	return 0;
}
