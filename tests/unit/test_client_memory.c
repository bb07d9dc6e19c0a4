/* libfutured without memory: the nth allocation fails, for every n, in flows that touch all of the core. Nothing crashes, nothing
 * leaks, and whoever was promised a call is called. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "client/connection.h"
#include "client/core.h"
#include "client/follow.h"
#include "client/future.h"
#include "client/packer.h"
#include "client/resume.h"
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

/* ---- handles, iterators, a map and a lost connection ---- */

static void
on_future(struct futured_future *f, void *data)
{
	(void)data;
	assert_non_null(futured_future_outcome(f));
	told++;
}

static int
three_items(struct futured_pack *args, void *data)
{
	futured_packf(args, "[i]", 1);
	return (*(int *)data)++ < 3;
}

/* The daemon accepts the first request as future 5 and is done with it, and refuses the second. */
static void
prepare_futures(struct buf *b)
{
	message_result(b, 1);
	pack_int(b, 5);
	message_result(b, 2);
	pack_int(b, 6);
	message_notification(b, "progress");
	pack_array(b, 4);
	pack_int(b, 5);
	pack_int(b, 1);
	pack_nil(b);
	pack_cstr(b, "");
	message_notification(b, "done");
	pack_array(b, 4);
	pack_int(b, 5);
	pack_cstr(b, "FINISHED");
	pack_nil(b);
	pack_int(b, 7);
}

/* A connection that needs no descriptor: what would be read is said, what would be written is dropped. */
static struct futured *
pretend(bool keep)
{
	struct futured *c = futured_new();

	if (c == NULL)
		return NULL;
	c->fd = 1000000;
	c->core.keep = keep;
	if (futured_set_keys(c, true) == FUTURED_OK)
		return c;
	c->fd = -1;
	futured_free(c);
	return NULL;
}

static void
drive(struct futured *c, struct futured_future **fs, struct buf *said, bool keep)
{
	struct futured_as_completed *i = NULL;
	struct futured_mapping *m;
	int items = 0;

	for (int k = 0; k < 3; k++) {
		fs[k] = k < 2 ? futured_future_submit(c, "cpu", "add", "ii", k, 1) : futured_future_attach(c, 9);
		promised += fs[k] != NULL && futured_future_add_done_callback(fs[k], on_future, NULL) == FUTURED_OK;
	}
	if (fs[0] != NULL && fs[1] != NULL && fs[2] != NULL)
		i = futured_as_completed_new(fs, 3, 0);
	m = futured_mapping_new(c, "cpu", "add", three_items, &items, NULL, 2, 0);
	if (fs[0] != NULL && fs[1] != NULL)
		say(&c->core, said);
	if (keep && c->core.ended == FUTURED_OK) {
		core_sent(&c->core, core_unsent(&c->core));
		core_hold(&c->core, "lost");
		if (core_resume(&c->core) != FUTURED_OK || watch_resume(&c->core) != FUTURED_OK || follow_resume(&c->core) != FUTURED_OK)
			core_end(&c->core, FUTURED_NO_MEMORY, NULL);
	}
	futured_mapping_free(m);
	core_end(&c->core, FUTURED_LOST, NULL);
	futured_as_completed_free(i);
}

static void
futures_flow(struct buf *said, bool keep)
{
	struct futured_future *fs[3] = { NULL, NULL, NULL };
	struct futured *c = pretend(keep);

	if (c == NULL)
		return;
	promised = told = 0;
	drive(c, fs, said, keep);
	assert_int_equal(told, promised);
	assert_int_equal(futured_pending_futures(c), 0);
	for (int k = 0; k < 3; k++)
		futured_future_free(fs[k]);
	c->fd = -1;
	futured_free(c);
}

static void
every_failed_allocation_of_handles_is_an_outcome(void **state)
{
	struct buf said = { 0 };

	(void)state;
	prepare_futures(&said);
	for (int keep = 0; keep < 2; keep++) {
		long n = 0;

		do {
			failed = false;
			left = n++;
			futures_flow(&said, keep);
		} while (failed);
		left = -1;
		assert_true(n > 40);
	}
	buf_clear(&said);
}

static int
any_item(struct futured_pack *args, void *data)
{
	(void)data;
	futured_packf(args, "[i]", 1);
	return 1;
}

/* Nothing else is wrong with the item, nor with the arguments. */
static void
a_map_that_has_no_memory_says_so(void **state)
{
	long n = 0;

	(void)state;
	do {
		struct futured *c = pretend(false);
		struct futured_mapping *m = futured_mapping_new(c, "cpu", "add", any_item, NULL, NULL, 2, 0);
		const struct futured_reply *reply;
		enum futured_status status;

		assert_non_null(m);
		failed = false;
		left = n++;
		c->core.dispatching = true; /* what it waits for does not come here */
		status = futured_mapping_next(m, &reply);
		left = -1;
		assert_int_equal(status, failed ? FUTURED_NO_MEMORY : FUTURED_INVALID_STATE);
		futured_mapping_free(m);
		c->fd = -1;
		futured_free(c);
	} while (failed);
	assert_true(n > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_failed_allocation_is_survived),
		cmocka_unit_test(every_failed_allocation_of_handles_is_an_outcome), cmocka_unit_test(a_map_that_has_no_memory_says_so) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
