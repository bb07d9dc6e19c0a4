/* give ─► the thread commits ─► an eventfd brings the news back into the loop. The thread does what may wait, a backup's steps and giving space back,
 * while it has no batch. */
#include "daemon/committer.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/batch.h"
#include "daemon/batch_files.h"
#include "daemon/clock.h"
#include "daemon/fault.h"
#include "daemon/payload.h"
#include "daemon/store.h"
#include "daemon/turn.h"

enum { TIDY_AFTER_MS = 1000, TIDY_STEP_MS = 20 };

static const struct engine *engine;
static void (*on_commit)(const struct committer_news *news);
static void (*on_backup)(bool good, const char *why);
static pthread_t thread;
static bool no_thread;
static int news = -1;
static struct event *news_event;

/* Shared with the thread. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct {
	const struct batch *batch; /* to be committed; NULL: none */
	bool again, done, end;
	struct committer_news news; /* done: of that */
	char *backup;              /* path of a copy to be made; owned */
	bool backup_over, backup_good;
	char backup_why[256];
} shared;

/* ---- the thread ---- */

static void
tell_loop(void)
{
	uint64_t one = 1;
	while (write(news, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* All of it, or nothing. */
static bool
commit_all(const struct batch *b, bool again, char *why, size_t size)
{
	if (!batch_files_write(b, why, size) || !engine->commit(b, again, why, size))
		return false;
	if (b->large || b->hosts)
		batch_files_remove(b);
	return true;
}

static void
commit_shared(void)
{
	const struct batch *b = shared.batch;
	bool again = shared.again;
	struct committer_news told = { .why = "" };

	pthread_mutex_unlock(&mutex);
	uint64_t before = clock_read();
	if (FAULT(commit_late))
		usleep(300000);
	told.good = commit_all(b, again, told.why, sizeof told.why);
	told.us = clock_read() - before;
	told.bytes = engine->size() + payload_bytes();
	pthread_mutex_lock(&mutex);
	shared.batch = NULL;
	shared.done = true;
	shared.news = told;
	tell_loop();
}

static void
backup_shared(void)
{
	char why[256] = "", *path = shared.backup;
	bool over = false;

	pthread_mutex_unlock(&mutex);
	bool good = engine->backup(path, &over, why, sizeof why);
	pthread_mutex_lock(&mutex);
	if (!over)
		return;
	free(shared.backup);
	shared.backup = NULL;
	shared.backup_over = true;
	shared.backup_good = good;
	snprintf(shared.backup_why, sizeof shared.backup_why, "%s", why);
	tell_loop();
}

/* True if there was none in that time. */
static bool
wait_for_work(unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_cond_clockwait(&work, &mutex, CLOCK_MONOTONIC, &until) == ETIMEDOUT;
}

static void *
run(void *arg)
{
	bool untidy = false;
	unsigned pause = TIDY_AFTER_MS;
	(void)arg;

	pthread_mutex_lock(&mutex);
	while (!shared.end || shared.batch) {
		if (shared.batch) {
			commit_shared();
			untidy = true;
			pause = TIDY_AFTER_MS;
		} else if (shared.backup) {
			backup_shared();
		} else if (untidy) {
			if (wait_for_work(pause) && !shared.batch) {
				pthread_mutex_unlock(&mutex);
				untidy = engine->tidy();
				pthread_mutex_lock(&mutex);
				pause = TIDY_STEP_MS;
			}
		} else {
			pthread_cond_wait(&work, &mutex);
		}
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* ---- in the loop ---- */

static void
hear_commit(void)
{
	pthread_mutex_lock(&mutex);
	bool done = shared.done;
	struct committer_news told = shared.news;
	shared.done = false;
	pthread_mutex_unlock(&mutex);
	if (done)
		on_commit(&told);
}

static void
hear_backup(void)
{
	char why[256];

	pthread_mutex_lock(&mutex);
	bool over = shared.backup_over, good = shared.backup_good;
	shared.backup_over = false;
	snprintf(why, sizeof why, "%s", shared.backup_why);
	pthread_mutex_unlock(&mutex);
	if (over)
		on_backup(good, why);
}

static void
on_news(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;
	(void)what, (void)arg;

	if (read(fd, &count, sizeof count) < 0)
		return;
	hear_commit();
	hear_backup();
}

void
committer_use_no_thread(void)
{
	no_thread = true;
}

bool
committer_start(const struct engine *with, void (*committed)(const struct committer_news *news), void (*backed_up)(bool good, const char *why))
{
	sigset_t all, before;

	engine = with;
	on_commit = committed;
	on_backup = backed_up;
	news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (news < 0 || !(news_event = event_new(turn_base(), news, EV_READ | EV_PERSIST, on_news, NULL)) || event_add(news_event, NULL))
		return false;
	if (no_thread)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	bool started = pthread_create(&thread, NULL, run, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

void
committer_end(void)
{
	pthread_mutex_lock(&mutex);
	shared.end = true;
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&mutex);
	if (!no_thread)
		pthread_join(thread, NULL);
	event_free(news_event);
	close(news);
	news_event = NULL;
	free(shared.backup);
	memset(&shared, 0, sizeof shared);
}

void
committer_give(const struct batch *b, bool again)
{
	pthread_mutex_lock(&mutex);
	shared.batch = b;
	shared.again = again;
	if (no_thread)
		commit_shared();
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&mutex);
}

bool
committer_backup(const char *path)
{
	pthread_mutex_lock(&mutex);
	bool taken = !shared.backup && !shared.backup_over && (shared.backup = strdup(path));
	if (taken)
		pthread_cond_signal(&work);
	pthread_mutex_unlock(&mutex);
	return taken;
}

void
committer_wait(void)
{
	struct pollfd p = { .fd = news, .events = POLLIN };

	pthread_mutex_lock(&mutex);
	while (shared.batch || shared.done) { /* news may be of a copy */
		pthread_mutex_unlock(&mutex);
		while (poll(&p, 1, -1) < 0 && errno == EINTR)
			;
		on_news(news, EV_READ, NULL);
		pthread_mutex_lock(&mutex);
	}
	pthread_mutex_unlock(&mutex);
}
