/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/hosts.h"

#include <errno.h>

#include "base/yaml.h"

#define MAX_FILE (64u << 20)

struct reading {
	struct pol_arena *arena;
	struct pol_yaml_doc doc;
	pol_host_endpoints *out;
};

static int read_labels(struct reading *r, const struct pol_yaml *at, struct pol_labels *out)
{
	struct pol_label *v;

	if (at->kind != POL_YAML_MAP)
		return pol_yaml_err(&r->doc, at, "labels must be a mapping: key: value");
	v = pol_arena_alloc(r->arena, (at->n + 1) * sizeof(*v));
	for (size_t i = 0; i < at->n; i++) {
		if (at->item[2 * i + 1].kind != POL_YAML_SCALAR)
			return pol_yaml_err(&r->doc, &at->item[2 * i + 1],
					    "a label must be a single value");
		v[i] = (struct pol_label){ at->item[2 * i].text, at->item[2 * i + 1].text };
	}
	*out = (struct pol_labels){ v, at->n };
	return 0;
}

static int read_address(struct reading *r, const struct pol_yaml *at, struct pol_eval_peer *peer)
{
	struct pol_prefix p;
	int ret = pol_yaml_list(&r->doc, at, "addresses");

	if (ret || !at->n)
		return ret;
	if (at->item[0].kind != POL_YAML_SCALAR || pol_prefix_parse(at->item[0].text, &p) ||
	    p.len != (p.addr.family == 4 ? 32 : 128))
		return pol_yaml_err(&r->doc, at, "an address is expected here");
	peer->has_addr = true;
	peer->addr = p.addr;
	return 0;
}

static int read_entry(struct reading *r, const struct pol_yaml *at)
{
	static const char *const key[] = { "name", "labels", "addresses", "interface", "mac" };
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	struct pol_eval_peer peer = { .kind = POL_PEER_ENDPOINT };
	struct pol_str name;
	int ret = pol_yaml_map(&r->doc, at, "an endpoint", key, POL_ARRAY_LEN(key), v);

	if (!ret && !v[0])
		ret = pol_yaml_err(&r->doc, at, "an endpoint without a name");
	if (!ret)
		ret = pol_yaml_text(&r->doc, v[0], "a name", &name);
	if (!ret && v[1])
		ret = read_labels(r, v[1], &peer.labels);
	if (!ret && v[2])
		ret = read_address(r, v[2], &peer);
	if (!ret)
		*pol_vec_push(r->out) = (struct pol_host_endpoint){ name, peer };
	return ret;
}

int pol_hosts_read(const char *path, struct pol_arena *a, pol_host_endpoints *out,
		   struct pol_err *e)
{
	static const char *const key[] = { "endpoints", "remote", "host", "host_addresses",
					   "uplinks",   "nodes",  "proxy" };
	static const struct pol_yaml_limits limits = {
		.depth = 8,
		.nodes = 4000000,
		.scalar = 4096,
		.keys = 512,
	};
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	struct reading r = { .arena = a, .out = out, .doc = { path, -EINVAL, a, e } };
	struct pol_yaml root;
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;
	int ret = pol_read_file(r.doc.path, MAX_FILE, &text, &n, r.doc.err);

	if (!ret)
		ret = pol_yaml_parse(&r.doc, (struct pol_str){ text, n }, &limits, &root);
	if (!ret)
		ret = pol_yaml_map(&r.doc, &root, "the host file", key, POL_ARRAY_LEN(key), v);
	for (size_t k = 0; k < 2; k++) {
		if (!ret && v[k])
			ret = pol_yaml_list(&r.doc, v[k], key[k]);
		for (size_t i = 0; !ret && v[k] && i < v[k]->n; i++)
			ret = read_entry(&r, &v[k]->item[i]);
	}
	return ret;
}
