/* SPDX-License-Identifier: GPL-2.0-only */
/* What the runtime says: environment, configuration, labels. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>

#include "cni.h"
#include "runtime/input/endpoint.h"

static const char *const versions[] = { "0.4.0", "1.0.0", "1.1.0" };

/* ---- environment --------------------------------------------------------------------- */

/* [a-zA-Z0-9][a-zA-Z0-9_.-]*, and short enough for a label. */
static bool good_id(const char *id)
{
	size_t n = strlen(id);

	if (!isalnum((unsigned char)id[0]) || n > PRT_LABEL_VALUE_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)id[i]) && !strchr("_.-", id[i]))
			return false;
	}
	return true;
}

static enum cni_code bad(struct pol_err *e, const char *variable, const char *why)
{
	pol_err(e, -EINVAL, "%s %s", variable, why);
	return CNI_BAD_ENVIRONMENT;
}

static enum cni_code check_environment(const struct cni_request *q, struct pol_err *e)
{
	char why[PRT_WHY];
	bool of_container = !strcmp(q->command, "ADD") || !strcmp(q->command, "DEL") ||
			    !strcmp(q->command, "CHECK");

	if (!of_container)
		return CNI_OK;
	if (!q->container || !good_id(q->container))
		return bad(e, "CNI_CONTAINERID", "is missing or no container's id");
	if (!q->ifname || prt_check_interface(pol_str(q->ifname), why))
		return bad(e, "CNI_IFNAME", "is missing or no interface's name");
	if (strcmp(q->command, "DEL") != 0 && (!q->netns || !*q->netns))
		return bad(e, "CNI_NETNS", "is missing");
	return CNI_OK;
}

static void read_environment(struct cni_request *q)
{
	q->command = getenv("CNI_COMMAND");
	q->container = getenv("CNI_CONTAINERID");
	q->netns = getenv("CNI_NETNS");
	q->ifname = getenv("CNI_IFNAME");
	q->args = getenv("CNI_ARGS");
	if (!q->command)
		q->command = "";
}

/* ---- configuration --------------------------------------------------------------------- */

/* *out: the text of a key; as it was where there is none. */
static bool take_text(const json_t *config, const char *key, const char **out, struct pol_err *e)
{
	const json_t *v = json_object_get(config, key);

	if (!v)
		return true;
	if (!json_is_string(v) || !json_string_length(v) ||
	    strlen(json_string_value(v)) != json_string_length(v)) {
		pol_err(e, -EINVAL, "`%s` of the configuration is no text", key);
		return false;
	}
	*out = json_string_value(v);
	return true;
}

static bool known_version(const char *v)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(versions); i++) {
		if (!strcmp(v, versions[i]))
			return true;
	}
	return false;
}

static enum cni_code read_config(struct cni_request *q, const char *text, size_t n,
				 struct pol_err *e)
{
	json_error_t wrong;
	const char *version = NULL;

	if (!n && !strcmp(q->command, "VERSION")) { /* a runtime may have nothing to say with it */
		text = "{}";
		n = strlen(text);
	}
	q->config = json_loadb(text, n, JSON_REJECT_DUPLICATES, &wrong);
	if (!q->config || !json_is_object(q->config)) {
		pol_err(e, -EINVAL, "the configuration is no JSON object: %s",
			q->config ? "it is something else" : prt_safe(wrong.text));
		return CNI_DECODE;
	}
	if (!take_text(q->config, "cniVersion", &version, e))
		return CNI_BAD_CONFIG;
	if (version && known_version(version))
		q->version = version;
	if (!strcmp(q->command, "VERSION"))
		return CNI_OK;
	if (!version || q->version != version) {
		pol_err_help(e, "versions 0.4.0, 1.0.0 and 1.1.0 are spoken");
		pol_err(e, -EINVAL, "cniVersion %s is not supported",
			version ? prt_safe(version) : "is missing and 0.1.0, the default,");
		return CNI_INCOMPATIBLE;
	}
	if (!take_text(q->config, "name", &q->network, e) ||
	    !take_text(q->config, "bpffs", &q->env.bpffs, e) ||
	    !take_text(q->config, "stateDir", &q->env.state, e) ||
	    !take_text(q->config, "trustDir", &q->env.trust, e) ||
	    !take_text(q->config, "labelDir", &q->label_dir, e))
		return CNI_BAD_CONFIG;
	if (!q->network || !good_id(q->network)) {
		pol_err(e, -EINVAL, "`name` of the configuration is missing or no network's name");
		return CNI_BAD_CONFIG;
	}
	return CNI_OK;
}

enum cni_code cni_request_read(struct cni_request *q, const char *text, size_t n, struct pol_err *e)
{
	enum cni_code code;

	memset(q, 0, sizeof(*q));
	q->env.bpffs = PRT_BPFFS_DEFAULT;
	q->env.state = PRT_STATE_DEFAULT;
	q->version = versions[POL_ARRAY_LEN(versions) - 1];
	read_environment(q);
	code = read_config(q, text, n, e);
	return code ? code : check_environment(q, e);
}

void cni_request_free(struct cni_request *q)
{
	json_decref(q->config);
	pol_buf_free(&q->env.notes);
	q->config = NULL;
}

/* ---- labels -------------------------------------------------------------------------------- */

/* A value of CNI_ARGS, "K=V;K=V"; n == 0: not there. */
static struct pol_str arg_of(const struct cni_request *q, const char *key)
{
	size_t k = strlen(key);

	for (const char *p = q->args; p && *p;) {
		const char *end = strchrnul(p, ';');

		if ((size_t)(end - p) > k && !memcmp(p, key, k) && p[k] == '=')
			return (struct pol_str){ p + k + 1, (size_t)(end - p) - k - 1 };
		p = *end ? end + 1 : end;
	}
	return (struct pol_str){ "", 0 };
}

/* CNI_ARGS: polc.KEY=VALUE is the label KEY=VALUE. */
static int labels_of_args(const struct cni_request *q, struct cn_labels *l, struct pol_err *e)
{
	static const char prefix[] = "polc.";
	size_t k = sizeof(prefix) - 1;
	int r = 0;

	for (const char *p = q->args; p && *p && !r;) {
		const char *end = strchrnul(p, ';');
		const char *eq = memchr(p, '=', (size_t)(end - p));

		if (eq && (size_t)(eq - p) > k && !memcmp(p, prefix, k))
			r = cn_labels_add(l, "CNI_ARGS",
					  (struct pol_str){ p + k, (size_t)(eq - p) - k },
					  (struct pol_str){ eq + 1, (size_t)(end - eq) - 1 }, e);
		p = *end ? end + 1 : end;
	}
	return r;
}

static int facts(const struct cni_request *q, struct cn_labels *l, struct pol_err *e)
{
	struct pol_str space = pol_arena_str(l->arena, arg_of(q, "K8S_POD_NAMESPACE"));
	struct pol_str pod = pol_arena_str(l->arena, arg_of(q, "K8S_POD_NAME"));
	int r = cn_labels_fact(l, "cni.network", q->network, e);

	r = r ? r : cn_labels_fact(l, "cni.container", q->container, e);
	r = r ? r : cn_labels_fact(l, "cni.interface", q->ifname, e);
	r = r ? r : cn_labels_fact(l, "k8s.namespace", space.p, e);
	return r ? r : cn_labels_fact(l, "k8s.pod", pod.p, e);
}

/*
 * LABELDIR/CONTAINER.json, and LABELDIR/NAMESPACE/POD.json, or LABELDIR/POD.json where there are no
 * namespaces, as with podman: names that good_id() has passed.
 */
static int labels_of_files(const struct cni_request *q, struct cn_labels *l, struct pol_err *e)
{
	struct pol_str space = pol_arena_str(l->arena, arg_of(q, "K8S_POD_NAMESPACE"));
	struct pol_str pod = pol_arena_str(l->arena, arg_of(q, "K8S_POD_NAME"));
	struct pol_str path;
	int r;

	if (!q->label_dir)
		return 0;
	path = pol_arena_printf(l->arena, "%s/%s.json", q->label_dir, q->container);
	r = cn_labels_file(l, path.p, e);
	if (r && (r != -ENOENT || e->text[0]))
		return r;
	if (!pod.n || !good_id(pod.p) || (space.n && !good_id(space.p)))
		return 0;
	path = pol_arena_printf(l->arena, "%s/%s%s%s.json", q->label_dir, space.p,
				space.n ? "/" : "", pod.p);
	r = cn_labels_file(l, path.p, e);
	return r == -ENOENT && !e->text[0] ? 0 : r;
}

enum cni_code cni_labels(const struct cni_request *q, struct cn_labels *l, struct pol_err *e)
{
	const json_t *args = json_object_get(json_object_get(q->config, "args"), "cni");
	const json_t *runtime = json_object_get(q->config, "runtimeConfig");
	int r = facts(q, l, e);

	r = r ? r
	      : cn_labels_json(l, "`labels` of the configuration",
			       json_object_get(q->config, "labels"), e);
	r = r ? r : labels_of_files(q, l, e);
	r = r ? r : labels_of_args(q, l, e);
	r = r ? r : cn_labels_json(l, "`args.cni.labels`", json_object_get(args, "labels"), e);
	r = r ? r : cn_labels_json(l, "capability `labels`", json_object_get(runtime, "labels"), e);
	return r ? CNI_BAD_LABELS : CNI_OK;
}
