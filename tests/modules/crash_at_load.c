/* A module that takes its host with it while it is loaded. */
#include <signal.h>
#include <stdio.h>

#include <futured_task.h>

static int
noop(struct futured_task *t)
{
	(void)t;
	return FUTURED_OK;
}

__attribute__((constructor)) static void
crash(void)
{
	fprintf(stderr, "crash_at_load: here it comes\n");
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static const struct futured_function functions[] = {{"noop", noop, NULL}, {NULL, NULL, NULL}};

FUTURED_MODULE("crash_at_load", functions, NULL, NULL);
