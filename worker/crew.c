/* One seat per slot. A seat's thread moves it on:
 *
 *	OPENING ──runtime's open, initializer──► SERVING ──end of file, `end`──► ENDED ──joined by the main thread──► gone
 *	   └── failed: ["failed", error], and the process ends
 *
 * and wakes the main thread by an eventfd after each step. Only the main thread touches the list of seats, and it alone closes a
 * slot's socket, after the join: so it may shut one down without fear that the number stands for something else by now. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/pack.h"
#include "worker/crew.h"

enum seat_state { SEAT_OPENING, SEAT_SERVING, SEAT_ENDED };

struct seat {
	struct crew *crew;
	struct slot slot;
	pthread_t thread;
	_Atomic int state; /* enum seat_state */
	struct seat *next;
};

struct crew {
	struct host *host;
	const struct crew_runtime *runtime;
	int event;            /* eventfd: a seat's state has changed */
	_Atomic bool ending;  /* claim nothing more */
	bool ready;           /* said so */
	struct seat *seats;
};

/* ---- a seat's thread ---- */

static void
say_failed(struct host *h, const struct buf *error)
{
	struct buf b;

	buf_init(&b);
	pack_array(&b, 2);
	pack_cstr(&b, "failed");
	pack_raw(&b, error->data, error->len);
	host_say(h, &b);
	buf_clear(&b);
}

static void
seat_move(struct seat *seat, enum seat_state state)
{
	uint64_t one = 1;

	atomic_store(&seat->state, state);
	if (write(seat->crew->event, &one, sizeof one) < 0)
		host_complain("cannot wake the main thread: %s", strerror(errno)); /* cannot happen: the counter is 64 bits */
}

static bool
seat_open(struct seat *seat, struct buf *error)
{
	static const uint8_t no_args = 0x90;
	struct crew *crew = seat->crew;
	struct host *h = crew->host;
	const void *args = &no_args;
	size_t len = 1;

	if (!crew->runtime->open(crew->runtime->shared, h, &seat->slot, error))
		return false;
	if (h->initializer == NULL)
		return true;
	if (!reader_is_at_end(&h->initargs)) {
		args = h->initargs.at;
		len = (size_t)(h->initargs.end - h->initargs.at);
	}
	return slot_initialize(&seat->slot, h->initializer, args, len, error);
}

/* A task that ends its thread would leave its slot without an answer for ever: so it ends the host, as a crash does. */
static void
on_thread_exit(void *arg)
{
	struct seat *seat = arg;

	host_complain("slot %u: a task ended the thread that it ran on", seat->slot.number);
	_exit(1);
}

static void
seat_serve(struct seat *seat)
{
	const char *why = NULL;
	bool ok;

	pthread_cleanup_push(on_thread_exit, seat);
	ok = slot_serve(&seat->slot, &why);
	pthread_cleanup_pop(0);
	if (!ok) {
		host_complain("slot %u: %s", seat->slot.number, why);
		_exit(1);
	}
}

static void *
seat_main(void *arg)
{
	struct seat *seat = arg;
	struct buf error;

	buf_init(&error);
	if (!seat_open(seat, &error)) {
		say_failed(seat->crew->host, &error);
		_exit(1);
	}
	buf_clear(&error);
	seat_move(seat, SEAT_SERVING);
	seat_serve(seat);
	seat->crew->runtime->close(&seat->slot);
	seat_move(seat, SEAT_ENDED);
	return NULL;
}

/* ---- the main thread ---- */

/* Takes fd. */
static bool
seat_start(struct crew *crew, uint32_t number, int fd)
{
	struct seat *seat = calloc(1, sizeof *seat);
	char name[16];
	int rc;

	if (seat == NULL) {
		close(fd);
		return false;
	}
	seat->crew = crew;
	slot_init(&seat->slot, number, fd, host_board(crew->host, number), host_ring(crew->host, number), crew->host->message, &crew->ending);
	rc = pthread_create(&seat->thread, NULL, seat_main, seat);
	if (rc != 0) {
		slot_clear(&seat->slot);
		free(seat);
		return false;
	}
	snprintf(name, sizeof name, "slot-%u", number);
	pthread_setname_np(seat->thread, name);
	seat->next = crew->seats;
	crew->seats = seat;
	return true;
}

/* Joins and frees those that have ended; says `ready` when the first ones are all open. */
static void
look_at_seats(struct crew *crew)
{
	struct seat **at = &crew->seats;
	bool opening = false;

	while (*at != NULL) {
		struct seat *seat = *at;

		if (atomic_load(&seat->state) == SEAT_ENDED) {
			pthread_join(seat->thread, NULL);
			*at = seat->next;
			slot_clear(&seat->slot);
			free(seat);
			continue;
		}
		opening = opening || atomic_load(&seat->state) == SEAT_OPENING;
		at = &seat->next;
	}
	if (!opening && !crew->ready) {
		crew->ready = true;
		host_ready(crew->host, &crew->runtime->ready);
	}
}

static void
begin_to_end(struct crew *crew)
{
	atomic_store(&crew->ending, true);
	for (struct seat *seat = crew->seats; seat != NULL; seat = seat->next)
		shutdown(seat->slot.channel.fd, SHUT_RD); /* wakes a thread that waits for a task */
}

static void
add_slot(struct crew *crew, const struct control *c)
{
	if (!crew->runtime->ready.grow || atomic_load(&crew->ending)) {
		close(c->fd);
		host_complain("slot %u came to a host that takes no more", c->slot);
		return;
	}
	if (!seat_start(crew, c->slot, c->fd))
		host_log(crew->host, "error", "no memory or thread for slot %u", c->slot);
}

/* All that has come. A running function cannot be stopped, so the end of the daemon is the end of the process. */
static void
hear(struct crew *crew)
{
	struct control c;

	for (;;) {
		switch (host_control(crew->host, CHANNEL_NOW, &c)) {
		case CONTROL_NONE: return;
		case CONTROL_GONE: _exit(0);
		case CONTROL_BAD: _exit(1);
		case CONTROL_SLOT: add_slot(crew, &c); break;
		case CONTROL_END: begin_to_end(crew); break;
		case CONTROL_STOP:
		case CONTROL_INPUT: host_complain("this host said stop: false, but was told to stop a task or to feed it"); break;
		}
	}
}

static void
wait_for_news(struct crew *crew)
{
	struct pollfd fds[] = {{.fd = crew->host->control.fd, .events = POLLIN}, {.fd = crew->event, .events = POLLIN}};
	uint64_t count;

	if (poll(fds, 2, -1) > 0 && fds[1].revents != 0 && read(crew->event, &count, sizeof count) < 0)
		host_complain("cannot read an eventfd: %s", strerror(errno));
}

static void
on_sigpipe(int number)
{
	(void)number;
}

/* A task that writes to a closed socket gets EPIPE. A handler, not SIG_IGN: the programs that tasks start get the default. */
static void
survive_sigpipe(void)
{
	struct sigaction action = {.sa_handler = on_sigpipe, .sa_flags = SA_RESTART};

	sigaction(SIGPIPE, &action, NULL);
}

int
crew_serve(struct host *h, const struct crew_runtime *runtime)
{
	struct crew crew = {.host = h, .runtime = runtime};

	survive_sigpipe();
	crew.event = eventfd(0, EFD_CLOEXEC);
	if (crew.event < 0) {
		host_failed(h, "OSError", "cannot make an eventfd: %s", strerror(errno));
		return 1;
	}
	for (uint32_t n = 0; n < h->slots; n++)
		if (!seat_start(&crew, n, host_slot_fd(h, n))) {
			host_failed(h, "OSError", "no memory or thread for slot %u of %u", n, h->slots);
			_exit(1);
		}
	while (crew.seats != NULL || !atomic_load(&crew.ending)) {
		hear(&crew);
		look_at_seats(&crew);
		if (crew.seats != NULL || !atomic_load(&crew.ending))
			wait_for_news(&crew);
	}
	close(crew.event);
	return 0;
}
