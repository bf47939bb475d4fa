/* SPDX-License-Identifier: GPL-2.0-only */
#include "neighbours.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/input/env.h"
#include "runtime/host/netlink.h"
#include "runtime/input/hostfile.h"
#include "dispatcher.h"
#include "xdp.h"

/* ---- programs --------------------------------------------------------------------------- */

static void program_name(uint32_t id, char out[BPF_OBJ_NAME_LEN])
{
	int fd POL_CLEANUP(pol_cleanup_fd) = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	memset(out, 0, BPF_OBJ_NAME_LEN);
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
		memcpy(out, info.name, BPF_OBJ_NAME_LEN - 1);
}

static int foreign(const struct prt_link *link, const char *where, uint32_t id, const char *undo,
		   struct pol_err *e)
{
	char name[BPF_OBJ_NAME_LEN];

	program_name(id, name);
	pol_err_help(e, "%s", undo);
	return pol_err(
		e, -EBUSY,
		"interface '%s': %s program '%s' (id %u) sees its packets before they are judged",
		prt_safe(link->name), where, prt_safe(name), id);
}

/* From Linux 6.6 on; older headers do not have these two. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)

/* The first program at that place; 0: none, or a kernel without tcx. */
static uint32_t tcx_at(uint32_t ifindex, enum bpf_attach_type place)
{
	uint32_t flags = 0, id[64] = { 0 }, n = POL_ARRAY_LEN(id);

	/* for tcx the descriptor is an interface's number (include/uapi/linux/bpf.h) */
	if (bpf_prog_query((int)ifindex, place, 0, &flags, id, &n) && errno != ENOSPC)
		return 0;
	return n ? id[0] : 0;
}

/* A dispatcher of libxdp has others' programs in it, which `ip` would take away unseen. */
static int foreign_xdp(const struct prt_link *link, struct pol_err *e)
{
	char undo[128 + 2 * PRT_IFNAME];

	if (prt_dispatcher_is(link->xdp))
		snprintf(
			undo, sizeof(undo),
			"it runs what libxdp loaded, see `xdp-loader status %s`; remove it: xdp-loader unload %s --all",
			prt_safe(link->name), prt_safe(link->name));
	else
		snprintf(undo, sizeof(undo), "remove it: ip link set dev %s xdp off",
			 prt_safe(link->name));
	return foreign(link, "XDP", link->xdp, undo, e);
}

int prt_neighbours_check_link(const struct prt_link *link, enum pol_if_kind kind, struct pol_err *e)
{
	static const struct {
		enum bpf_attach_type place;
		const char *name;
	} tcx[] = { { TCX_INGRESS, "tcx ingress" }, { TCX_EGRESS, "tcx egress" } };
	char undo[64 + PRT_IFNAME];

	if (link->xdp && !prt_xdp_is_stub(link->xdp) &&
	    !(kind == POL_IF_UPLINK && prt_dispatcher_is(link->xdp)))
		return foreign_xdp(link, e);
	for (size_t i = 0; i < POL_ARRAY_LEN(tcx); i++) {
		uint32_t id = tcx_at(link->ifindex, tcx[i].place);

		if (!id)
			continue;
		snprintf(undo, sizeof(undo), "`bpftool net show dev %s` shows it; detach it first",
			 prt_safe(link->name));
		return foreign(link, tcx[i].name, id, undo, e);
	}
	return 0;
}

/* ---- policy routing ------------------------------------------------------------------------ */

/* Would a packet that carries one of our marks, and no other bit, match? */
static uint32_t takes(const struct prt_ip_rule *r)
{
	static const uint32_t ours[] = { POL_MARK_JUDGED, POL_MARK_PROXY, POL_MARK_ONWARD,
					 POL_MARK_ANSWER };

	if (r->ours)
		return 0;
	for (size_t i = 0; i < POL_ARRAY_LEN(ours); i++)
		if (r->mask & POL_MARK_MASK && (ours[i] & r->mask) == (r->mark & r->mask) &&
		    r->mark & POL_MARK_MASK)
			return ours[i];
	return 0;
}

int prt_neighbours_check_rules(struct pol_err *e)
{
	prt_ip_rules all = { 0 };
	int r = prt_net_rules(&all, e);

	for (size_t i = 0; i < all.n && !r; i++) {
		const struct prt_ip_rule *rule = &all.v[i];
		const char *ip = rule->family == AF_INET ? "ip" : "ip -6";

		if (!takes(rule))
			continue;
		pol_err_help(
			e,
			"packets that were judged carry this mark: `%s rule del priority %u`, or another mark for it",
			ip, rule->priority);
		r = pol_err(
			e, -EBUSY,
			"routing rule '%s rule', priority %u, takes packets with mark 0x%x/0x%x to table %u",
			ip, rule->priority, rule->mark, rule->mask, rule->table);
	}
	pol_vec_free(&all);
	return r;
}

int prt_neighbours_check_way(const struct prt_way *way, struct pol_err *e)
{
	prt_ip_rules all = { 0 };
	unsigned foreign;
	int r = prt_net_foreign_routes(way->table, &foreign, e);

	if (!r && foreign) {
		pol_err_help(
			e,
			"`ip route show table %u` and `ip -6 route show table %u` show them; give another one as `table` of `proxy` in the host file",
			way->table, way->table);
		return pol_err(
			e, -EBUSY,
			"routing table %u, meant for the way to the proxy, has routes of somebody else",
			way->table);
	}
	r = r ? r : prt_net_rules(&all, e);
	for (size_t i = 0; i < all.n && !r; i++) {
		if (all.v[i].ours || all.v[i].priority != way->priority)
			continue;
		pol_err_help(e, "give another one as `priority` of `proxy` in the host file");
		r = pol_err(
			e, -EBUSY,
			"priority %u of '%s rule', meant for the way to the proxy, is somebody else's",
			way->priority, all.v[i].family == AF_INET ? "ip" : "ip -6");
	}
	pol_vec_free(&all);
	return r;
}

/* ---- docker-proxy ------------------------------------------------------------------------------ */

/* The word after an option among words that each end in NUL; NULL: it is not there. */
static const char *option(const char *words, size_t n, const char *name)
{
	for (const char *w = words; w < words + n; w += strlen(w) + 1) {
		const char *next = w + strlen(w) + 1;

		if (!strcmp(w, name))
			return next < words + n ? next : NULL;
	}
	return NULL;
}

static bool is_docker_proxy(const char *program)
{
	const char *slash = strrchr(program, '/');

	return !strcmp(slash ? slash + 1 : program, "docker-proxy");
}

/*
 * Anybody can call himself docker-proxy, in any container.  The engine's is root's and here: that of an engine without
 * root is in a namespace of its own, in which its containers' devices are, too.  As whom a process runs its
 * status says; of the owner of its folder it has a say itself (PR_SET_DUMPABLE).
 */
static bool runs_as_root(const char *pid)
{
	char path[64], *line POL_CLEANUP(pol_cleanup_free) = NULL;
	unsigned real, effective, saved, fs;
	size_t room = 0;
	bool yes = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	f = fopen(path, "re");
	while (f && getline(&line, &room, f) > 0) {
		if (sscanf(line, "Uid: %u %u %u %u", &real, &effective, &saved, &fs) != 4)
			continue;
		yes = !real && !effective && !saved && !fs;
		break;
	}
	if (f)
		fclose(f);
	return yes;
}

/* Such a program is root's with anybody's words: sudo(8) that waits for a password.  docker-proxy is none. */
static bool may_be_started_by_anybody(const char *pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
	return !stat(path, &st) && st.st_mode & S_ISUID;
}

/*
 * Is it in our network namespace?  /proc/PID/ns/net is only for who may trace it, which our units may not; the
 * sockets of its namespace are for everybody, so: is ours (fd) among them?  Who cannot be asked counts.
 */
static bool is_here(const char *pid, int fd)
{
	char path[64], *line POL_CLEANUP(pol_cleanup_free) = NULL;
	unsigned long inode;
	struct stat ours;
	size_t room = 0;
	bool yes = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/net/netlink", pid);
	f = fopen(path, "re");
	if (!f || fstat(fd, &ours)) {
		yes = f || (errno != ENOENT && errno != ESRCH);
	} else {
		while (!yes && getline(&line, &room, f) > 0)
			yes = sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %lu", &inode) ==
				      1 &&
			      inode == ours.st_ino;
	}
	if (f)
		fclose(f);
	return yes;
}

/* A process that has ended, or is not ours to look at, is none. fd: a socket of ours, see is_here(). */
static int read_process(const char *pid, int fd, prt_published *out, struct pol_err *e)
{
	char path[64], words[4096];
	const char *to, *port, *host_port;
	int file POL_CLEANUP(pol_cleanup_fd) = -1;
	struct pol_prefix prefix;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	n = file < 0 ? -1 : read(file, words, sizeof(words) - 1);
	if (n < 0 && errno != ENOENT && errno != ESRCH && errno != EACCES && errno != EPERM)
		return pol_err(e, -errno, "%s: cannot read: %s", path, strerror(errno));
	if (n <= 0)
		return 0;
	words[n] = '\0';
	if (!is_docker_proxy(words) || !runs_as_root(pid) || may_be_started_by_anybody(pid) ||
	    !is_here(pid, fd))
		return 0;
	to = option(words, (size_t)n, "-container-ip");
	port = option(words, (size_t)n, "-container-port");
	host_port = option(words, (size_t)n, "-host-port");
	if (to && !pol_prefix_parse(pol_str(to), &prefix)) {
		struct prt_published *p = pol_vec_push(out);

		*p = (struct prt_published){ .to = prt_addr_of_ip(prefix.addr),
					     .pid = (unsigned)strtoul(pid, NULL, 10) };
		snprintf(p->port, sizeof(p->port), "%s", port ? port : "?");
		snprintf(p->host_port, sizeof(p->host_port), "%s", host_port ? host_port : "?");
	}
	return 0;
}

/* A socket of our network namespace that its list shows: that has an address. */
static int open_here(struct pol_err *e)
{
	const struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int fd = prt_netlink_open(NETLINK_ROUTE), r = fd < 0 ? fd : 0;

	if (!r && bind(fd, (const struct sockaddr *)&any, sizeof(any))) {
		r = -errno;
		close(fd);
	}
	return r ? pol_err(e, r, "cannot make a netlink socket: %s", strerror(-r)) : fd;
}

int prt_neighbours_published(prt_published *out, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = open_here(e);
	DIR *d = fd < 0 ? NULL : opendir("/proc");
	struct dirent *f;
	int r = 0;

	if (fd < 0)
		return fd;
	if (!d)
		return pol_err(e, -errno, "/proc: cannot open: %s", strerror(errno));
	while (!r && (f = pol_readdir(d, "/proc", &r, e))) {
		if (isdigit((unsigned char)f->d_name[0]))
			r = read_process(f->d_name, fd, out, e);
	}
	closedir(d);
	return r;
}

int prt_neighbours_check_published(const prt_published *all, const char *name,
				   const struct pol_addr *a, struct pol_err *e)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct prt_published *p = &all->v[i];

		if (memcmp(&p->to, a, sizeof(*a)))
			continue;
		pol_err_help(
			e,
			"say whom of the host to trust with rules instead of `option host open`, or switch off docker-proxy (\"userland-proxy\": false)");
		return pol_err(
			e, -EBUSY,
			"endpoint '%s': docker-proxy (process %u) publishes its port %s as %s of this host, and `option host open` would open it to everybody",
			prt_safe(name), p->pid, prt_safe(p->port), prt_safe(p->host_port));
	}
	return 0;
}
