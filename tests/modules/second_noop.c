/* A module with a function that the module `work` has as well. */
#include <futured_task.h>

static int
noop(struct futured_task *t)
{
	(void)t;
	return FUTURED_OK;
}

static const struct futured_function functions[] = {{"noop", noop, NULL}, {NULL, NULL, NULL}};

FUTURED_MODULE("second_noop", functions, NULL, NULL);
