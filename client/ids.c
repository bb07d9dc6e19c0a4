/* Arrays of ids on the wire. */
#include "client/futured.h"

/* How many ids from here on are consecutive. */
static size_t
run_length(const uint64_t *ids, size_t n)
{
	size_t len = 1;

	while (len < n && ids[len] == ids[0] + len)
		len++;
	return len;
}

/* Below three a pair is not shorter. */
static size_t
element_length(const uint64_t *ids, size_t n)
{
	size_t len = run_length(ids, n);

	return len >= 3 ? len : 1;
}

void
futured_pack_ids(struct futured_pack *p, const uint64_t *ids, size_t n)
{
	size_t elements = 0;

	for (size_t i = 0; i < n; i += element_length(ids + i, n - i))
		elements++;
	futured_pack_array(p, elements);
	for (size_t i = 0, len; i < n; i += len) {
		len = element_length(ids + i, n - i);
		if (len > 1)
			futured_packf(p, "[uu]", ids[i], (uint64_t)len);
		else
			futured_pack_uint(p, ids[i]);
	}
}
