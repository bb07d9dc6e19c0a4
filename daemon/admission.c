#include "daemon/admission.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/errors.h"
#include "daemon/fault.h"
#include "daemon/log.h"
#include "proto/error.h"
#include "proto/message.h"

enum {
	RESERVED_PART = 16,  /* one in so many descriptors is not for connections, … */
	RESERVED_LEAST = 32, /* … and never fewer than so many */
};

static uint64_t refused;

void
admission_refuse(int fd, bool plain, const char *why, uint64_t limit)
{
	static uint64_t told_us;
	static unsigned untold;
	struct buf b, error;

	refused++;
	untold++;
	if (!told_us || clock_now() - told_us >= SECOND) {
		log_warn("conn", "refused: %s (%llu); %u since the last such line", why, (unsigned long long)limit, untold);
		told_us = clock_now();
		untold = 0;
	}
	buf_init(&b);
	buf_init(&error);
	error_pack(&error, STATUS_LIMIT, 0, "%s: there may be %llu, and so many there are", why, (unsigned long long)limit);
	message_error(&b, 0, error.data, error.len);
	if (plain && !b.failed)
		send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_clear(&b);
	buf_clear(&error);
	close(fd);
}

bool
admission_leaves_reserve(int fd)
{
	static rlim_t most;
	struct rlimit rl;

	if (!most)
		most = getrlimit(RLIMIT_NOFILE, &rl) == 0 ? rl.rlim_cur : RLIM_INFINITY;
	rlim_t reserve = most / RESERVED_PART > RESERVED_LEAST ? most / RESERVED_PART : RESERVED_LEAST;
	return most == RLIM_INFINITY || (rlim_t)fd + reserve < most || FAULT(no_reserve);
}

uint64_t
admission_refused(void)
{
	return refused;
}
