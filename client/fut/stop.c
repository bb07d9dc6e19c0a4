/* Signals arrive as bytes in a pipe, so that the loop meets them where it can act on them. */
#include "client/fut/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "client/fut/fut.h"

static int ends[2] = { -1, -1 };

static void
on_signal(int signal)
{
	unsigned char byte = (unsigned char)signal;
	int error = errno;

	if (write(ends[1], &byte, 1) < 0)
		errno = error; /* the pipe is full of signals already */
	errno = error;
}

static void
catch(int signal)
{
	struct sigaction old, sa = { .sa_handler = on_signal };

	if (sigaction(signal, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(signal, &sa, NULL);
}

int
stop_begin(void)
{
	if (ends[0] >= 0)
		return ends[0];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		need(NULL);
	catch(SIGINT);
	catch(SIGTERM);
	catch(SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	return ends[0];
}

void
stop_also(int signal)
{
	catch(signal);
}

void
stop_for(int signal)
{
	struct sigaction caught, sa = { .sa_handler = SIG_DFL };

	sigaction(signal, &sa, &caught);
	raise(signal);
	sigaction(signal, &caught, NULL);
}

int
stop_take(void)
{
	unsigned char byte;

	return read(ends[0], &byte, 1) == 1 ? byte : 0;
}
