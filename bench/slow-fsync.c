// Stands in front of fsync and fdatasync: each sleeps for 1 ms in place of flushing. Files lie on tmpfs, so
// that nothing but the sleep is measured: a usual cloud volume, on a machine that has none.
#include <time.h>

static int slow(void) {
  struct timespec one_ms = {0, 1000000};
  nanosleep(&one_ms, 0);
  return 0;
}

int fsync(int fd) { (void)fd; return slow(); }
int fdatasync(int fd) { (void)fd; return slow(); }
