/* Preloaded: the nth allocation of the daemon, whoever asks for it, is refused. Page: left, count, failed (int64 each): with left = n > 0 the
 * nth from now is the first of `count` that fail, and failed says how many did. */
#include "tests/soak/shim.h"

struct page {
	_Atomic int64_t left, count, failed;
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);

static struct page *page;

__attribute__((constructor)) static void
begin(void)
{
	page = shim_page();
}

static int
refused(void)
{
	if (!page || atomic_load(&page->left) == 0)
		return 0;
	int64_t left = atomic_load(&page->left);
	if (left > 1) {
		atomic_fetch_sub(&page->left, 1);
		return 0;
	}
	if (atomic_fetch_sub(&page->count, 1) <= 1)
		atomic_store(&page->left, 0);
	atomic_fetch_add(&page->failed, 1);
	errno = ENOMEM;
	return 1;
}

__attribute__((visibility("default"))) void *
malloc(size_t size)
{
	return refused() ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *
calloc(size_t n, size_t size)
{
	return refused() ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *
realloc(void *p, size_t size)
{
	return refused() ? NULL : __libc_realloc(p, size);
}
