/* Compiled with FAULTS=1 only. The environment is read once, at the first question: hosts do not inherit these variables' effect, since they are
 * other programs. */
#include "daemon/fault.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POINTS_MAX = 128 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *faults, *points;
static char crash[64];
static atomic_long left;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of passed */
static const char *passed[POINTS_MAX];

static void
read_environment(void)
{
	const char *point = getenv("FUTURED_CRASH"), *colon;

	faults = getenv("FUTURED_FAULT");
	points = getenv("FUTURED_POINTS");
	if (!point)
		return;
	colon = strchr(point, ':');
	snprintf(crash, sizeof crash, "%.*s", colon ? (int)(colon - point) : (int)strlen(point), point);
	left = colon ? atol(colon + 1) : 1;
}

bool
fault_is(const char *name)
{
	size_t len = strlen(name);

	pthread_once(&once, read_environment);
	for (const char *at = faults; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
		if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

static void
note(const char *point)
{
	int fd, i = 0;

	pthread_mutex_lock(&lock);
	while (i < POINTS_MAX && passed[i] && strcmp(passed[i], point) != 0)
		i++;
	if (i < POINTS_MAX && !passed[i] && (fd = open(points, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) >= 0) {
		passed[i] = point;
		dprintf(fd, "%s\n", point);
		close(fd);
	}
	pthread_mutex_unlock(&lock);
}

void
fault_pass(const char *point)
{
	pthread_once(&once, read_environment);
	if (points)
		note(point);
	if (strcmp(point, crash) == 0 && atomic_fetch_sub(&left, 1) == 1)
		kill(getpid(), SIGKILL);
}
