#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

/* prctl is variadic and the filter's macros are C: what Swift cannot call is here, and nothing else. */

/* Limits that hold for the rest of the process: seconds of CPU, bytes of memory, no core dump. */
static inline int plastron_limit(unsigned long cpu_s, unsigned long memory_bytes) {
  struct rlimit cpu = {cpu_s, cpu_s}, memory = {memory_bytes, memory_bytes}, none = {0, 0};
  return setrlimit(RLIMIT_CPU, &cpu) | setrlimit(RLIMIT_AS, &memory) |
         setrlimit(RLIMIT_CORE, &none) | prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* From here on the process computes, reads and writes what it has open, and ends. Any other call fails with EPERM. */
static inline int plastron_seal(void) {
#define PLASTRON_ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
  struct sock_filter filter[] = {
#if defined(__x86_64__)
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#elif defined(__aarch64__)
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_AARCH64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      PLASTRON_ALLOW(read), PLASTRON_ALLOW(write), PLASTRON_ALLOW(close), PLASTRON_ALLOW(exit),
      PLASTRON_ALLOW(exit_group), PLASTRON_ALLOW(brk), PLASTRON_ALLOW(mmap), PLASTRON_ALLOW(munmap),
      PLASTRON_ALLOW(mremap), PLASTRON_ALLOW(mprotect), PLASTRON_ALLOW(madvise), PLASTRON_ALLOW(futex),
      PLASTRON_ALLOW(rt_sigreturn), PLASTRON_ALLOW(rt_sigprocmask), PLASTRON_ALLOW(clock_gettime),
      PLASTRON_ALLOW(getrandom), PLASTRON_ALLOW(sched_yield), PLASTRON_ALLOW(gettid), PLASTRON_ALLOW(getpid),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA)),
  };
#undef PLASTRON_ALLOW
  struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* Whether the seal holds: both must fail with EPERM. */
static inline int plastron_can_open(void) { return open("/etc/hostname", O_RDONLY) >= 0; }
static inline int plastron_can_connect(void) { return socket(AF_INET, SOCK_STREAM, 0) >= 0; }
