/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The language server.  Parts of the input are divided by 0x1e: one that begins with `{` is a
 * message; any other is a text that an editor opens, asks about from end to end, edits and closes.
 */
#include <jansson.h>
#include <stdio.h>

#include "lsp/lsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLACES 36

static struct lsp *server;
static struct pol_buf out;

static void message(struct pol_str text)
{
	lsp_message(server, text, &out);
	lsp_settle(server, &out);
	out.n = 0;
}

static void say(json_t *m)
{
	char *text = json_dumps(m, JSON_COMPACT);

	json_decref(m);
	if (text)
		message(pol_str(text));
	free(text);
}

static void ask(const char *method, int line, int character)
{
	say(json_pack("{s:i, s:s, s:{s:{s:s}, s:{s:i, s:i}}}", "id", 2, "method", method, "params",
		      "textDocument", "uri", "untitled:f", "position", "line", line, "character",
		      character));
}

/* At so many places of the text, the first and the last among them. */
static void ask_throughout(const char *method, struct pol_str t)
{
	int line = 0, character = 0;
	size_t step = t.n / PLACES + 1;

	for (size_t i = 0; i < t.n; i++) {
		if (i % step == 0)
			ask(method, line, character);
		character++;
		if (t.p[i] == '\n') {
			line++;
			character = 0;
		}
	}
	ask(method, line, character);
}

static void text(struct pol_str t)
{
	static const char *const methods[] = { "textDocument/hover", "textDocument/definition",
					       "textDocument/references",
					       "textDocument/completion" };
	json_t *s = json_stringn(t.p, t.n);

	if (!s)
		return; /* not UTF-8: no message can carry it */
	say(json_pack("{s:s, s:{s:{s:s, s:i, s:o}}}", "method", "textDocument/didOpen", "params",
		      "textDocument", "uri", "untitled:f", "version", 1, "text", s));
	for (size_t i = 0; i < POL_ARRAY_LEN(methods); i++)
		ask_throughout(methods[i], t);
	ask("textDocument/documentSymbol", 0, 0);
	ask("textDocument/formatting", 0, 0);
	say(json_pack("{s:s, s:{s:{s:s, s:i}, s:[{s:{s:{s:i, s:i}, s:{s:i, s:i}}, s:s}]}}",
		      "method", "textDocument/didChange", "params", "textDocument", "uri",
		      "untitled:f", "version", 2, "contentChanges", "range", "start", "line", 0,
		      "character", 3, "end", "line", 1, "character", 5, "text",
		      "policy \xf0\x9f\x98\x80 {"));
	ask("textDocument/completion", 0, 12);
	say(json_pack("{s:s, s:{s:{s:s}}}", "method", "textDocument/didClose", "params",
		      "textDocument", "uri", "untitled:f"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;

	server = lsp_new(&pol_fs_none);
	say(json_pack("{s:i, s:s}", "id", 1, "method", "initialize"));
	for (size_t i = 0; i < size;) {
		const char *end = memchr(p + i, 0x1e, size - i);
		size_t n = end ? (size_t)(end - p) - i : size - i;

		if (n && p[i] == '{')
			message((struct pol_str){ p + i, n });
		else if (n && n < 4096)
			text((struct pol_str){ p + i, n });
		i += n + 1;
	}
	lsp_free(server);
	pol_buf_free(&out);
	return 0;
}
