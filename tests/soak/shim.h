/* What the preloaded shims share: a page that the test maps too, named by FUTURED_SHIM, and the rule that they act in the daemon alone. */
#ifndef FUTURED_SOAK_SHIM_H
#define FUTURED_SOAK_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SHIM_BYTES = 4096 };

/* Maps the page; NULL in any other program than futured. */
static inline void *
shim_page(void)
{
	const char *path = getenv("FUTURED_SHIM");
	int fd;
	void *page;

	if (!path || strcmp(program_invocation_short_name, "futured") != 0 || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return NULL;
	page = mmap(NULL, SHIM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

#endif
