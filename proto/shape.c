/* The table behind shape.h, in the order of the MessagePack specification. */
#include "proto/shape.h"

const struct shape shape_of[256] = {
	[0x00 ... 0x7f] = { 0, 0, 0, SHAPE_BYTES },     /* positive fixint */
	[0x80 ... 0x8f] = { 0, 0, 0x0f, SHAPE_MAP },    /* fixmap */
	[0x90 ... 0x9f] = { 0, 0, 0x0f, SHAPE_ARRAY },  /* fixarray */
	[0xa0 ... 0xbf] = { 0, 0, 0x1f, SHAPE_BYTES },  /* fixstr */
	[0xc0] = { 0, 0, 0, SHAPE_BYTES },              /* nil */
	[0xc1] = { 0, 0, 0, SHAPE_BAD },                /* never used */
	[0xc2 ... 0xc3] = { 0, 0, 0, SHAPE_BYTES },     /* false, true */
	[0xc4] = { 1, 0, 0, SHAPE_BYTES },              /* bin 8, 16, 32 */
	[0xc5] = { 2, 0, 0, SHAPE_BYTES },
	[0xc6] = { 4, 0, 0, SHAPE_BYTES },
	[0xc7] = { 1, 1, 0, SHAPE_BYTES },              /* ext 8, 16, 32 */
	[0xc8] = { 2, 1, 0, SHAPE_BYTES },
	[0xc9] = { 4, 1, 0, SHAPE_BYTES },
	[0xca] = { 0, 4, 0, SHAPE_BYTES },              /* float 32, 64 */
	[0xcb] = { 0, 8, 0, SHAPE_BYTES },
	[0xcc] = { 0, 1, 0, SHAPE_BYTES },              /* uint 8, 16, 32, 64 */
	[0xcd] = { 0, 2, 0, SHAPE_BYTES },
	[0xce] = { 0, 4, 0, SHAPE_BYTES },
	[0xcf] = { 0, 8, 0, SHAPE_BYTES },
	[0xd0] = { 0, 1, 0, SHAPE_BYTES },              /* int 8, 16, 32, 64 */
	[0xd1] = { 0, 2, 0, SHAPE_BYTES },
	[0xd2] = { 0, 4, 0, SHAPE_BYTES },
	[0xd3] = { 0, 8, 0, SHAPE_BYTES },
	[0xd4] = { 0, 2, 0, SHAPE_BYTES },              /* fixext 1, 2, 4, 8, 16 */
	[0xd5] = { 0, 3, 0, SHAPE_BYTES },
	[0xd6] = { 0, 5, 0, SHAPE_BYTES },
	[0xd7] = { 0, 9, 0, SHAPE_BYTES },
	[0xd8] = { 0, 17, 0, SHAPE_BYTES },
	[0xd9] = { 1, 0, 0, SHAPE_BYTES },              /* str 8, 16, 32 */
	[0xda] = { 2, 0, 0, SHAPE_BYTES },
	[0xdb] = { 4, 0, 0, SHAPE_BYTES },
	[0xdc] = { 2, 0, 0, SHAPE_ARRAY },              /* array 16, 32 */
	[0xdd] = { 4, 0, 0, SHAPE_ARRAY },
	[0xde] = { 2, 0, 0, SHAPE_MAP },                /* map 16, 32 */
	[0xdf] = { 4, 0, 0, SHAPE_MAP },
	[0xe0 ... 0xff] = { 0, 0, 0, SHAPE_BYTES },     /* negative fixint */
};
