/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

#include "lsp/private.h"

/* JSON-RPC 2.0 and the protocol's own. */
enum {
	PARSE_ERROR = -32700,
	INVALID_REQUEST = -32600,
	NO_METHOD = -32601,
	INVALID_PARAMS = -32602,
	NOT_INITIALIZED = -32002
};

struct lsp {
	struct lsp_docs docs;
	bool initialized, shut_down;
	int over; /* -1: not yet */
};

struct lsp *lsp_new(const struct pol_fs *files)
{
	struct lsp *s = calloc(1, sizeof(*s));

	if (!s)
		pol_no_memory();
	s->over = -1;
	s->docs.files = files ? files : &pol_fs_disk;
	return s;
}

void lsp_free(struct lsp *s)
{
	if (!s)
		return;
	while (s->docs.v.n)
		lsp_doc_close(&s->docs, s->docs.v.v[s->docs.v.n - 1]);
	pol_vec_free(&s->docs.v);
	free(s);
}

int lsp_over(const struct lsp *s)
{
	return s->over;
}

/* ---- what goes out --------------------------------------------------------------- */

/* Takes the message. */
static void send_message(struct pol_buf *out, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);

	json_decref(message);
	if (!text)
		return;
	pol_buf_printf(out, "Content-Length: %zu\r\n\r\n", strlen(text));
	pol_buf_addz(out, text);
	free(text);
}

/* Takes result. */
static void answer(struct pol_buf *out, json_t *id, json_t *result)
{
	send_message(out,
		     json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result));
}

static void refuse(struct pol_buf *out, json_t *id, int code, const char *why)
{
	json_t *null = json_null();

	send_message(out, json_pack("{s:s, s:O, s:{s:i, s:s}}", "jsonrpc", "2.0", "id",
				    id ? id : null, "error", "code", code, "message", why));
}

/* ---- diagnostics -------------------------------------------------------------------- */

/* Takes list. version: of the document, not of files that it imports. */
static void send_diagnostics(struct pol_buf *out, const struct lsp_doc *doc, const char *uri,
			     json_t *list)
{
	json_t *params = json_pack("{s:s, s:o}", "uri", uri, "diagnostics", list);

	if (doc && strcmp(uri, doc->uri) == 0)
		json_object_set_new(params, "version", json_integer(doc->version));
	send_message(out, json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method",
				    "textDocument/publishDiagnostics", "params", params));
}

/*
 * All that the document's program says, file by file; what another file had and has no more
 * is cleared.  Of a file that is open itself only its own analysis speaks.
 */
static void publish(struct lsp *s, struct lsp_doc *doc, struct pol_buf *out)
{
	json_t *all = lsp_diagnostics(doc), *list;
	const char *uri;

	json_object_foreach(all, uri, list)
	{
		const struct lsp_doc *other = lsp_doc_find(&s->docs, uri);

		if (!other || other == doc)
			send_diagnostics(out, doc, uri, json_incref(list));
	}
	json_object_foreach(doc->published, uri, list)
	{
		if (!json_object_get(all, uri) && !lsp_doc_find(&s->docs, uri))
			send_diagnostics(out, doc, uri, json_array());
	}
	json_decref(doc->published);
	doc->published = all;
}

static void refresh(struct lsp *s, struct lsp_doc *doc, struct pol_buf *out)
{
	if (lsp_doc_refresh(&s->docs, doc))
		publish(s, doc, out);
}

void lsp_settle(struct lsp *s, struct pol_buf *out)
{
	for (size_t i = 0; i < s->docs.v.n; i++)
		refresh(s, s->docs.v.v[i], out);
}

/* ---- notifications about texts ----------------------------------------------------- */

/* NULL: no string, or one with a NUL, which names nothing. */
static const char *name_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	const char *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

static const char *uri_of(const json_t *params)
{
	return name_of(json_object_get(params, "textDocument"), "uri");
}

static json_int_t version_of(const json_t *params)
{
	return json_integer_value(
		json_object_get(json_object_get(params, "textDocument"), "version"));
}

static struct pol_str text_of(const json_t *object)
{
	json_t *v = json_object_get(object, "text");

	return (struct pol_str){ json_string_value(v), json_string_length(v) };
}

static void did_open(struct lsp *s, const json_t *params)
{
	const json_t *item = json_object_get(params, "textDocument");
	const char *uri = uri_of(params);
	struct lsp_doc *doc = lsp_doc_find(&s->docs, uri);

	if (!uri || !uri[0] || !json_is_string(json_object_get(item, "text")))
		return;
	if (doc) {
		lsp_doc_edit(doc, NULL, text_of(item));
		doc->version = version_of(params);
	} else {
		doc = lsp_doc_open(&s->docs, uri, text_of(item), version_of(params));
	}
	if (doc)
		lsp_doc_touch(&s->docs, doc);
}

static void did_change(struct lsp *s, const json_t *params)
{
	struct lsp_doc *doc = lsp_doc_find(&s->docs, uri_of(params));
	json_t *changes = json_object_get(params, "contentChanges"), *change;
	size_t i;

	if (!doc)
		return;
	doc->version = version_of(params);
	json_array_foreach(changes, i, change)
	{
		json_t *range = json_object_get(change, "range");

		if (json_is_string(json_object_get(change, "text")) &&
		    doc->text.n + text_of(change).n <= LSP_MESSAGE_MAX)
			lsp_doc_edit(doc, json_is_object(range) ? range : NULL, text_of(change));
	}
	lsp_doc_touch(&s->docs, doc);
}

static void did_close(struct lsp *s, const json_t *params, struct pol_buf *out)
{
	struct lsp_doc *doc = lsp_doc_find(&s->docs, uri_of(params));
	const char *uri;
	json_t *list;

	if (!doc)
		return;
	lsp_doc_touch(&s->docs, doc);
	/* Nobody speaks for them any more. */
	json_object_foreach(doc->published, uri, list)
	{
		const struct lsp_doc *other = lsp_doc_find(&s->docs, uri);

		if (!other || other == doc)
			send_diagnostics(out, NULL, uri, json_array());
	}
	lsp_doc_close(&s->docs, doc);
}

/* A list file, or a policy that is not open, may have changed on disk. */
static void did_save(struct lsp *s)
{
	for (size_t i = 0; i < s->docs.v.n; i++)
		s->docs.v.v[i]->dirty = true;
}

/* ---- requests ------------------------------------------------------------------------- */

static json_t *capabilities(void)
{
	return json_pack("{s:{s:s, s:{s:b, s:i, s:b}, s:b, s:b, s:b, s:b, s:b, s:{s:[s, s]}}, "
			 "s:{s:s, s:s}}",
			 "capabilities", "positionEncoding", "utf-16", "textDocumentSync",
			 "openClose", 1, "change", 2, "save", 1, "definitionProvider", 1,
			 "referencesProvider", 1, "hoverProvider", 1, "documentSymbolProvider", 1,
			 "documentFormattingProvider", 1, "completionProvider", "triggerCharacters",
			 " ", ",", "serverInfo", "name", "polc", "version", POLC_VERSION);
}

static json_t *symbols(struct lsp_doc *doc, const json_t *params)
{
	(void)params;
	return lsp_symbols(doc);
}

static json_t *formatting(struct lsp_doc *doc, const json_t *params)
{
	(void)params;
	return lsp_formatting(doc);
}

static json_t *definition(struct lsp_doc *doc, const json_t *params)
{
	return lsp_definition(doc, json_object_get(params, "position"));
}

static json_t *references(struct lsp_doc *doc, const json_t *params)
{
	const json_t *context = json_object_get(params, "context");

	return lsp_references(doc, json_object_get(params, "position"),
			      json_is_true(json_object_get(context, "includeDeclaration")));
}

static json_t *hover(struct lsp_doc *doc, const json_t *params)
{
	return lsp_hover(doc, json_object_get(params, "position"));
}

static json_t *completion(struct lsp_doc *doc, const json_t *params)
{
	return lsp_complete(doc, json_object_get(params, "position"));
}

static const struct {
	const char *method;
	json_t *(*run)(struct lsp_doc *doc, const json_t *params);
} requests[] = {
	{ "textDocument/definition", definition },
	{ "textDocument/references", references },
	{ "textDocument/hover", hover },
	{ "textDocument/completion", completion },
	{ "textDocument/documentSymbol", symbols },
	{ "textDocument/formatting", formatting },
};

static void request(struct lsp *s, json_t *id, const char *method, const json_t *params,
		    struct pol_buf *out)
{
	struct lsp_doc *doc;

	if (strcmp(method, "initialize") == 0) {
		if (s->initialized) {
			refuse(out, id, INVALID_REQUEST, "initialized already");
			return;
		}
		s->initialized = true;
		answer(out, id, capabilities());
		return;
	}
	if (!s->initialized || s->shut_down) {
		refuse(out, id, s->shut_down ? INVALID_REQUEST : NOT_INITIALIZED,
		       s->shut_down ? "shut down already" : "not initialized");
		return;
	}
	if (strcmp(method, "shutdown") == 0) {
		s->shut_down = true;
		answer(out, id, json_null());
		return;
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(requests); i++) {
		if (strcmp(method, requests[i].method) != 0)
			continue;
		doc = lsp_doc_find(&s->docs, uri_of(params));
		if (!doc) {
			refuse(out, id, INVALID_PARAMS, "no such document is open");
			return;
		}
		refresh(s, doc, out);
		answer(out, id, requests[i].run(doc, params));
		return;
	}
	refuse(out, id, NO_METHOD, "no such method");
}

static void notification(struct lsp *s, const char *method, const json_t *params,
			 struct pol_buf *out)
{
	if (strcmp(method, "exit") == 0)
		s->over = s->shut_down ? 0 : 1;
	else if (!s->initialized || s->shut_down)
		return;
	else if (strcmp(method, "textDocument/didOpen") == 0)
		did_open(s, params);
	else if (strcmp(method, "textDocument/didChange") == 0)
		did_change(s, params);
	else if (strcmp(method, "textDocument/didClose") == 0)
		did_close(s, params, out);
	else if (strcmp(method, "textDocument/didSave") == 0 ||
		 strcmp(method, "workspace/didChangeWatchedFiles") == 0)
		did_save(s);
}

void lsp_message(struct lsp *s, struct pol_str text, struct pol_buf *out)
{
	/*
	 * Depth is bounded by the library.  A text may have a NUL, as a file may: refused, it would
	 * leave us behind the editor, and all further changes of it would be to another text.
	 */
	json_t *m = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL), *id;
	const char *method;

	if (!m) {
		refuse(out, NULL, PARSE_ERROR, "not JSON");
		return;
	}
	id = json_object_get(m, "id");
	method = name_of(m, "method");
	if (id && !json_is_integer(id) && !json_is_string(id))
		refuse(out, NULL, INVALID_REQUEST, "an id is a number or a string");
	else if (method && id)
		request(s, id, method, json_object_get(m, "params"), out);
	else if (method)
		notification(s, method, json_object_get(m, "params"), out);
	else if (!json_object_get(m, "result") && !json_object_get(m, "error")) /* we ask nothing */
		refuse(out, id, INVALID_REQUEST, "no method");
	json_decref(m);
}
