/* A module that uses a function which no host has yet. */
#include <futured_task.h>

FUTURED_API void futured_from_the_future(struct futured_task *t);

static int
call(struct futured_task *t)
{
	futured_from_the_future(t);
	return FUTURED_OK;
}

static const struct futured_function functions[] = {{"call", call, NULL}, {NULL, NULL, NULL}};

FUTURED_MODULE("from_the_future", functions, NULL, NULL);
