// io_uring as the kernel has it (linux/io_uring.h, io_uring_setup(2), io_uring_enter(2)): just enough to flush many files with
// one call. Measured by `plastron bench flush`; nothing else uses it.
#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct plastron_uring {
  int fd;
  unsigned entries;
  unsigned *sq_tail, *sq_mask, *sq_array;
  unsigned *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

/// Returns 0, or the error number.
static inline int plastron_uring_open(struct plastron_uring *ring, unsigned entries) {
  struct io_uring_params p;
  memset(&p, 0, sizeof p);
  ring->fd = (int)syscall(SYS_io_uring_setup, entries, &p);
  if (ring->fd < 0) return errno;
  ring->entries = p.sq_entries;
  char *sq = mmap(0, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                  ring->fd, IORING_OFF_SQ_RING);
  char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_CQ_RING);
  void *sqes = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                    ring->fd, IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED) return errno;
  ring->sq_tail = (unsigned *)(sq + p.sq_off.tail);
  ring->sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
  ring->sq_array = (unsigned *)(sq + p.sq_off.array);
  ring->cq_head = (unsigned *)(cq + p.cq_off.head);
  ring->cq_tail = (unsigned *)(cq + p.cq_off.tail);
  ring->cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
  ring->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
  ring->sqes = sqes;
  return 0;
}

/// Flushes the data of `count` files, at most `entries` of them, and waits for all; returns 0, or the first error number.
static inline int plastron_uring_fdatasync(struct plastron_uring *ring, const int *files, unsigned count) {
  unsigned tail = *ring->sq_tail;
  for (unsigned i = 0; i < count; i++) {
    unsigned index = (tail + i) & *ring->sq_mask;
    struct io_uring_sqe *sqe = &ring->sqes[index];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_FSYNC;
    sqe->fd = files[i];
    sqe->fsync_flags = IORING_FSYNC_DATASYNC;
    ring->sq_array[index] = index;
  }
  __atomic_store_n(ring->sq_tail, tail + count, __ATOMIC_RELEASE);
  int error = 0;
  unsigned done = 0, submitted = 0;
  while (done < count) {
    long entered = syscall(SYS_io_uring_enter, ring->fd, count - submitted, count - done, IORING_ENTER_GETEVENTS, 0, 0);
    if (entered < 0 && errno != EINTR) return errno;
    if (entered > 0) submitted += (unsigned)entered;
    unsigned head = *ring->cq_head;
    while (head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
      int result = ring->cqes[head & *ring->cq_mask].res;
      if (result < 0 && error == 0) error = -result;
      head++;
      done++;
    }
    __atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
  }
  return error;
}

static inline void plastron_uring_close(struct plastron_uring *ring) { close(ring->fd); }
