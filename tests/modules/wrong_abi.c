/* A module of another time: built for an ABI that does not exist yet. */
#include <futured_task.h>

static int
noop(struct futured_task *t)
{
	(void)t;
	return FUTURED_OK;
}

static const struct futured_function functions[] = {{"noop", noop, NULL}, {NULL, NULL, NULL}};

const struct futured_module futured_module = {FUTURED_TASK_ABI + 7, sizeof(struct futured_module), "wrong_abi", functions, NULL,
	NULL};
