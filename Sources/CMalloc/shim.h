// glibc's own settings of its allocator: mallopt(3).
#include <malloc.h>
