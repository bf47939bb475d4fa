/* SPDX-License-Identifier: GPL-2.0-only */
/* The base library: memory, text, files, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "base/notify.h"

static void arena_memory_is_zero_and_apart(void **state)
{
	struct pol_arena *a = pol_arena_new();
	unsigned char *block[200];

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(block); i++) {
		size_t n = i * 37;

		block[i] = pol_arena_alloc(a, n);
		assert_int_equal((uintptr_t)block[i] % 16, 0);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(block[i][j], 0);
		memset(block[i], (int)i, n);
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(block); i++)
		for (size_t j = 0; j < i * 37; j++)
			assert_int_equal(block[i][j], i & 0xff);
	memset(pol_arena_alloc(a, 1 << 20), 1, 1 << 20);
	pol_arena_free(a);
	pol_arena_free(NULL);
}

static void interning_gives_one_copy(void **state)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_intern *t = pol_intern_new(a);
	const char *first[3000];
	char text[16];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "name%d", i);
		first[i] = pol_intern(t, pol_str(text)).p;
	}
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "name%d", i);
		assert_ptr_equal(pol_intern(t, pol_str(text)).p, first[i]);
		assert_string_equal(first[i], text);
	}
	pol_arena_free(a);
}

static void strings_compare_bytewise(void **state)
{
	(void)state;
	assert_true(pol_str_cmp(POL_STR("a"), POL_STR("ab")) < 0);
	assert_true(pol_str_cmp(POL_STR("b"), POL_STR("ab")) > 0);
	assert_int_equal(pol_str_cmp(POL_STR("ab"), POL_STR("ab")), 0);
	assert_true(pol_str_cmp((struct pol_str){ NULL, 0 }, POL_STR("")) == 0);
	assert_false(pol_str_eq(POL_STR("a"), POL_STR("A")));
}

static void vectors_grow_with_zeroes(void **state)
{
	POL_VEC(int) v = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int *at = pol_vec_push(&v);

		assert_int_equal(*at, 0);
		*at = i;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.v[i], i);
	pol_vec_free(&v);
	assert_null(v.v);
}

static void json_is_escaped(void **state)
{
	static const struct {
		struct pol_str in;
		const char *out;
	} cases[] = {
		{ { "plain", 5 }, "\"plain\"" },
		{ { "a\"b\\c\n\t", 7 }, "\"a\\\"b\\\\c\\n\\t\"" },
		{ { "\x1b[2J\x7f", 5 }, "\"\\u001b[2J\\u007f\"" },
		{ { "a\0b", 3 }, "\"a\\u0000b\"" },
		{ { "\xc3\xa9", 2 }, "\"\xc3\xa9\"" },
		{ { "\xc3(", 2 }, "\"\\ufffd(\"" }, /* broken sequence */
		{ { "\xc0\xaf", 2 }, "\"\\ufffd\\ufffd\"" }, /* overlong */
		{ { "\xed\xa0\x80", 3 }, "\"\\ufffd\\ufffd\\ufffd\"" }, /* surrogate */
		{ { "\xf4\x90\x80\x80", 4 }, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ { "\xe2\x82", 2 }, "\"\\ufffd\\ufffd\"" }, /* cut off */
	};

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(cases); i++) {
		struct pol_buf b = { 0 };

		pol_buf_json(&b, cases[i].in);
		assert_string_equal(b.p, cases[i].out);
		pol_buf_free(&b);
	}
}

static void long_formats_fit(void **state)
{
	struct pol_buf b = { 0 };

	(void)state;
	pol_buf_addc(&b, 'x');
	pol_buf_printf(&b, "%2000d", 7);
	assert_int_equal(b.n, 2001);
	assert_int_equal(strlen(b.p), 2001);
	assert_int_equal(b.p[2000], '7');
	pol_buf_free(&b);
}

static void first_error_is_kept(void **state)
{
	struct pol_err e = { 0 };

	(void)state;
	assert_int_equal(pol_err(&e, -ENOENT, "map '%s'", "ct"), -ENOENT);
	assert_int_equal(pol_err(&e, -EIO, "outer"), -EIO);
	assert_string_equal(e.text, "map 'ct'");
	assert_int_equal(e.code, -ENOENT);
	assert_int_equal(pol_err(NULL, -EIO, "nobody listens"), -EIO);
}

static void files_appear_whole(void **state)
{
	char dir[] = "/tmp/polc-base-XXXXXX", path[64];
	struct pol_err e = { 0 };
	char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	assert_int_equal(pol_write_file(path, "one", 3, &e), 0);
	assert_int_equal(pol_write_file(path, "two!", 4, &e), 0);
	assert_int_equal(pol_read_file(path, 100, &text, &n, &e), 0);
	assert_string_equal(text, "two!");
	assert_int_equal(n, 4);
	free(text);
	assert_int_equal(pol_read_file(path, 3, &text, &n, &e), -EFBIG);
	e = (struct pol_err){ 0 };
	assert_int_equal(pol_read_file(dir, 100, &text, &n, &e), -EISDIR);
	e = (struct pol_err){ 0 };
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pol_read_file(path, 100, &text, &n, &e), -ENOENT);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(rmdir(dir), 0); /* fails if a temporary was left behind */
}

static void prefixes_are_strict(void **state)
{
	static const struct {
		const char *text;
		enum pol_ip_error e;
		const char *again;
	} cases[] = {
		{ "10.0.0.0/8", POL_IP_OK, "10.0.0.0/8" },
		{ "192.0.2.1", POL_IP_OK, "192.0.2.1" },
		{ "192.0.2.1/32", POL_IP_OK, "192.0.2.1" },
		{ "0.0.0.0/0", POL_IP_OK, "0.0.0.0/0" },
		{ "::/0", POL_IP_OK, "::/0" },
		{ "2001:db8::1", POL_IP_OK, "2001:db8::1" },
		{ "2001:DB8:0:0:1:0:0:1", POL_IP_OK, "2001:db8::1:0:0:1" },
		{ "64:ff9b::192.0.2.1", POL_IP_OK, "64:ff9b::c000:201" },
		{ "fe80::/10", POL_IP_OK, "fe80::/10" },
		{ "10.0.0.1/8", POL_IP_HOST_BITS, NULL },
		{ "2001:db8::1/64", POL_IP_HOST_BITS, NULL },
		{ "10.0.0.01", POL_IP_LEADING_ZERO, NULL },
		{ "10.0.0.256", POL_IP_RANGE, NULL },
		{ "10.0.0", POL_IP_SYNTAX, NULL },
		{ "10.0.0.0.0", POL_IP_SYNTAX, NULL },
		{ "10.0.0.0/33", POL_IP_LENGTH, NULL },
		{ "::/129", POL_IP_LENGTH, NULL },
		{ "::ffff:1.2.3.4", POL_IP_MAPPED, NULL },
		{ "1:2:3:4:5:6:7:8:9", POL_IP_SYNTAX, NULL },
		{ "1::2::3", POL_IP_SYNTAX, NULL },
		{ ":::", POL_IP_SYNTAX, NULL },
		{ "12345::", POL_IP_SYNTAX, NULL },
		{ "", POL_IP_SYNTAX, NULL },
		{ "1.2.3.4/", POL_IP_SYNTAX, NULL },
		{ "1.2.3.4 ", POL_IP_SYNTAX, NULL },
	};

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(cases); i++) {
		char text[POL_IP_TEXT];
		struct pol_prefix p;
		enum pol_ip_error e = pol_prefix_parse(pol_str(cases[i].text), &p);

		if (e != cases[i].e)
			fail_msg("%s: error %d, expected %d", cases[i].text, e, cases[i].e);
		if (e == POL_IP_OK)
			assert_string_equal(pol_prefix_format(p, text), cases[i].again);
		else
			assert_non_null(pol_ip_error_text(e));
	}
}

static void a_service_manager_is_told(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "\0polc-test-notify" };
	socklen_t n = offsetof(struct sockaddr_un, sun_path) + sizeof("@polc-test-notify") - 1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char said[32];

	(void)state;
	assert_int_equal(bind(fd, (void *)&at, n), 0);
	unsetenv("NOTIFY_SOCKET");
	pol_notify_ready();
	assert_int_equal(recv(fd, said, sizeof(said), 0), -1);
	setenv("NOTIFY_SOCKET", "@polc-test-notify", 1);
	pol_notify_ready();
	assert_int_equal(recv(fd, said, sizeof(said), 0), strlen("READY=1"));
	assert_memory_equal(said, "READY=1", strlen("READY=1"));
	unsetenv("NOTIFY_SOCKET");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_memory_is_zero_and_apart),
		cmocka_unit_test(interning_gives_one_copy),
		cmocka_unit_test(strings_compare_bytewise),
		cmocka_unit_test(vectors_grow_with_zeroes),
		cmocka_unit_test(json_is_escaped),
		cmocka_unit_test(long_formats_fit),
		cmocka_unit_test(first_error_is_kept),
		cmocka_unit_test(files_appear_whole),
		cmocka_unit_test(prefixes_are_strict),
		cmocka_unit_test(a_service_manager_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
