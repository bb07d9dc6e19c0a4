/* libfutured without memory: the nth allocation fails, for every n, in a flow that touches all of the core. Nothing crashes, nothing
 * leaks, and whoever was promised a call is called. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "client/core.h"
#include "client/follow.h"
#include "client/packer.h"
#include "client/watch.h"
#include "proto/pack.h"

/* The linker sends the library's allocations here (--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long left = -1; /* allocations until one fails; negative: none does */
static bool failed;

static bool
fails(void)
{
	if (left < 0 || left-- > 0)
		return false;
	left = -1;
	failed = true;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

static size_t promised, told;

static void
on_reply(struct futured *c, const struct futured_reply *reply, void *data)
{
	(void)c;
	(void)data;
	told++;
	futured_reply_free(futured_reply_copy(reply));
}

static void
on_done(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data)
{
	(void)id;
	on_reply(c, reply, data);
}

static void
on_output(struct futured *c, uint64_t id, const struct futured_output *o, void *data)
{
	(void)c;
	(void)id;
	(void)data;
	told += o->error != NULL;
}

static void
say(struct core *k, const struct buf *b)
{
	size_t room;
	uint8_t *to = core_room(k, b->len, &room);

	if (to == NULL)
		return;
	memcpy(to, b->data, b->len);
	core_input(k, b->len);
}

/* What a daemon would say to the requests below, made before anything fails. */
static void
prepare(struct buf *b)
{
	message_result(b, 1);
	pack_int(b, 5);
	message_result(b, 2);
	pack_map(b, 1);
	pack_cstr(b, "done");
	pack_array(b, 2);
	pack_int(b, 4);
	pack_int(b, 6);
	message_result(b, 3);
	pack_bin(b, "out", 3);
	message_notification(b, "done");
	pack_array(b, 4);
	pack_int(b, 5);
	pack_cstr(b, "FINISHED");
	pack_nil(b);
	pack_int(b, 7);
}

static void
flow(struct buf *said)
{
	static const uint64_t ids[] = { 4, 5, 6 };
	struct futured_options *o = futured_options_new();
	struct futured_pack p;
	struct core k;

	core_init(&k, NULL);
	packer_init(&p);
	promised = told = 0;
	if (o != NULL) {
		futured_options_set(o, "name", "s", "something");
		futured_packf(&p, "ss[s]", "shell", "echo", "hi");
		futured_options_pack(o, &p);
		promised += core_request(&k, "submit", &p, on_reply, NULL, NULL) == FUTURED_OK;
	}
	promised += 3 * (size_t)(watch_add(&k, ids, 3, true, on_done, NULL, NULL) == FUTURED_OK);
	promised += follow_add(&k, 5, "stdout", 0, on_output, NULL) == FUTURED_OK;
	say(&k, said);
	core_end(&k, FUTURED_LOST, NULL);
	assert_int_equal(told, promised);
	core_clear(&k);
	packer_clear(&p);
	futured_options_free(o);
}

static void
every_failed_allocation_is_survived(void **state)
{
	struct buf said = { 0 };
	long n = 0;

	(void)state;
	prepare(&said);
	do {
		failed = false;
		left = n++;
		flow(&said);
	} while (failed);
	left = -1;
	assert_true(n > 15);
	buf_clear(&said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_failed_allocation_is_survived) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
