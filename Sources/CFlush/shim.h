// What the C library shows to GNU sources only, by system call.
#include <sys/syscall.h>
#include <unistd.h>

/// sync_file_range(2) over a whole file: starts writing what is dirty and waits for nothing.
static inline int plastron_begin_writing(int file) { return (int)syscall(SYS_sync_file_range, file, 0L, 0L, 2U); }

/// syncfs(2): the whole file system that a file lies on.
static inline int plastron_syncfs(int file) { return (int)syscall(SYS_syncfs, file); }
