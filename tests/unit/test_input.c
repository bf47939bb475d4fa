/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that decide: read once, and only if nobody else can have written them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/input/input.h"

struct place {
	char top[32], folder[64], file[96], link[96];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->top, "/tmp/polload-input-XXXXXX");
	if (!mkdtemp(p->top))
		return -1;
	snprintf(p->folder, sizeof(p->folder), "%s/folder", p->top);
	snprintf(p->file, sizeof(p->file), "%s/file", p->folder);
	snprintf(p->link, sizeof(p->link), "%s/link", p->top);
	*state = p;
	return mkdir(p->folder, 0700) || symlink(p->file, p->link) ||
	       pol_write_file(p->file, "abc", 3, NULL);
}

static int teardown(void **state)
{
	struct place *p = *state;

	unlink(p->link);
	unlink(p->file);
	rmdir(p->folder);
	rmdir(p->top);
	free(p);
	return 0;
}

static int check(const char *path, const char *says)
{
	struct prt_input in = { 0 };
	struct pol_err e = { 0 };
	int r;

	assert_int_equal(prt_input_read(path, PRT_INPUT_REGULAR, 100, &in, &e), 0);
	r = prt_input_owner_check(&in, &e);
	if (says) {
		assert_int_equal(r, -EPERM);
		assert_true(e.help[0]);
		if (!strstr(e.text, says))
			fail_msg("`%s` is not in: %s", says, e.text);
	} else if (r) {
		fail_msg("%s", e.text);
	}
	prt_input_free(&in);
	assert_null(in.data);
	return r;
}

static void test_modes(void **state)
{
	struct place *p = *state;

	check(p->file, NULL);
	check(p->link, NULL);
	chmod(p->file, 0664);
	check(p->file, "mode 0664");
	chmod(p->file, 0602);
	check(p->link, "mode 0602");
	chmod(p->file, 0644);
	chmod(p->folder, 0770);
	check(p->file, "can write to folder");
	check(p->link, "can write to folder"); /* by its real place */
	chmod(p->folder, 01777);
	check(p->file, NULL);
	chmod(p->folder, 0700);
	chmod(p->top, 0777);
	check(p->link, "can write to folder"); /* by the name given */
}

static void test_relative(void **state)
{
	struct place *p = *state;
	char cwd[4096];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(p->folder), 0);
	check("file", NULL);
	check("./../folder//file", NULL);
	chmod(p->top, 0777);
	check("file", "can write to folder");
	assert_int_equal(chdir(cwd), 0);
}

static void test_owners(void **state)
{
	struct place *p = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(p->file, 1234, 0), 0);
	check(p->file, "belongs to user 1234");
	assert_int_equal(chown(p->file, 0, 1234), 0);
	check(p->file, NULL);
	assert_int_equal(chown(p->folder, 1234, 0), 0);
	check(p->file, "belongs to user 1234");
	assert_int_equal(chown(p->folder, 0, 0), 0);
	assert_int_equal(lchown(p->link, 1234, 0), 0);
	check(p->file, NULL);
	check(p->link, "symbolic link");
}

static void test_reading(void **state)
{
	struct place *p = *state;
	struct prt_input in = { 0 };
	struct pol_err e = { 0 };
	char fifo[96];
	int end[2];

	assert_int_equal(prt_input_read(p->file, PRT_INPUT_ANY, 3, &in, &e), 0);
	assert_int_equal(in.size, 3);
	assert_string_equal(in.data, "abc");
	prt_input_free(&in);
	assert_int_equal(prt_input_read(p->file, PRT_INPUT_ANY, 2, &in, &e), -EFBIG);
	assert_int_equal(prt_input_read(p->folder, PRT_INPUT_ANY, 9, &in, &e), -EISDIR);
	assert_int_equal(prt_input_read("/nowhere", PRT_INPUT_ANY, 9, &in, &e), -ENOENT);
	snprintf(fifo, sizeof(fifo), "%s/fifo", p->top);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(prt_input_read(fifo, PRT_INPUT_REGULAR, 9, &in, &e), -EINVAL);
	unlink(fifo);
	assert_int_equal(pipe(end), 0);
	assert_int_equal(write(end[1], "0123456789", 10), 10);
	close(end[1]);
	snprintf(fifo, sizeof(fifo), "/proc/self/fd/%d", end[0]);
	e = (struct pol_err){ 0 };
	assert_int_equal(prt_input_read(fifo, PRT_INPUT_ANY, 100, &in, &e), 0);
	assert_string_equal(in.data, "0123456789");
	assert_int_equal(prt_input_owner_check(&in, &e), 0);
	prt_input_free(&in);
	close(end[0]);
}

/* Another file under the name, after it was read: the bytes and their owner stay. */
static void test_swapped(void **state)
{
	struct place *p = *state;
	struct prt_input in = { 0 };
	struct pol_err e = { 0 };

	assert_int_equal(prt_input_read(p->file, PRT_INPUT_REGULAR, 100, &in, &e), 0);
	assert_int_equal(pol_write_file(p->file, "evil", 4, NULL), 0);
	chmod(p->file, 0666);
	assert_int_equal(prt_input_owner_check(&in, &e), 0);
	assert_string_equal(in.data, "abc");
	prt_input_free(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relative, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_swapped, setup, teardown),
	};

	return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
