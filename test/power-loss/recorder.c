// Records what a process does to the files of one folder, for test/power-loss: every write with its data, every
// truncation, creation, deletion and fsync, in the order in which they took effect. Loaded with LD_PRELOAD.
//
// A record is a head (struct head) and `size` bytes. Only what succeeded is recorded. A call and its record are one
// step under a lock, so that the order in the log is the order of the effects. An fsync is two records: it covers what
// was written before it began, and counts from when it has returned; the lock is free meanwhile, so that a process that
// acknowledges something before its fsync has returned is seen to do so.
//
// TENURE_RECORD_FOLDER names the folder (a real path), TENURE_RECORD_LOG the log.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// What the letters mean is written down where they are read, in recording.ts.
struct head {
  int32_t kind;
  int32_t fd;
  int64_t at;
  int64_t size;
};

enum { MAX_FDS = 65536, MAX_PATH = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static size_t folder_length;
static int log_fd = -1;
static char watched[MAX_FDS];

static void die(const char *why) {
  fprintf(stderr, "recorder: %s: %s\n", why, strerror(errno));
  abort();
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TENURE_RECORD_LOG");
  folder = getenv("TENURE_RECORD_FOLDER");
  if (path == NULL || folder == NULL) die("TENURE_RECORD_LOG and TENURE_RECORD_FOLDER are needed");
  folder_length = strlen(folder);
  log_fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) die(path);
}

static void record(char kind, int fd, int64_t at, const void *data, size_t size) {
  struct head head = {kind, fd, at, (int64_t)size};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, size}};
  if (syscall(SYS_writev, log_fd, parts, 2) != (long)(sizeof head + size)) die("the log cannot be written");
}

static int is_watched(int fd) { return fd >= 0 && fd < MAX_FDS && watched[fd]; }

static int is_ours(const char *path) {
  return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || path[folder_length] == 0);
}

// The absolute path, where it is one of the folder's: all that are opened below it are given in full.
static const char *ours(int at, const char *path) {
  if (path[0] == '/') return is_ours(path) ? path : NULL;
  if (at != AT_FDCWD) return NULL;
  static __thread char absolute[MAX_PATH];
  if (getcwd(absolute, sizeof absolute) == NULL) return NULL;
  size_t length = strlen(absolute);
  if (snprintf(absolute + length, sizeof absolute - length, "/%s", path) < 0) return NULL;
  return is_ours(absolute) ? absolute : NULL;
}

enum { CREATED = 1, EMPTIED = 2 };

static int open_it(int at, const char *path, int flags, mode_t mode) {
  const char *file = ours(at, path);
  if (file == NULL || (flags & O_TMPFILE) == O_TMPFILE) return syscall(SYS_openat, at, path, flags, mode);
  pthread_mutex_lock(&lock);
  int was = syscall(SYS_faccessat, at, path, F_OK) == 0;
  int fd = syscall(SYS_openat, at, path, flags, mode);
  int error = errno;
  if (fd >= MAX_FDS) die("too many files");
  if (fd >= 0) {
    watched[fd] = 1;
    record('O', fd, (was ? 0 : CREATED) | (flags & O_TRUNC ? EMPTIED : 0), file, strlen(file));
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                  \
  int name(const char *path, int flags, ...) {      \
    va_list arguments;                              \
    va_start(arguments, flags);                     \
    mode_t mode = mode_of(flags, arguments);        \
    va_end(arguments);                              \
    return open_it(AT_FDCWD, path, flags, mode);    \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                \
  int name(int at, const char *path, int flags, ...) { \
    va_list arguments;                              \
    va_start(arguments, flags);                     \
    mode_t mode = mode_of(flags, arguments);        \
    va_end(arguments);                              \
    return open_it(at, path, flags, mode);          \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  if (is_watched(fd)) {
    pthread_mutex_lock(&lock);
    watched[fd] = 0;
    pthread_mutex_unlock(&lock);
  }
  return syscall(SYS_close, fd);
}

// Runs a call and records it in one step, when it succeeds.
#define STEP(type, call, ...)             \
  do {                                    \
    pthread_mutex_lock(&lock);            \
    type result = call;                   \
    int error = errno;                    \
    if (result >= 0) record(__VA_ARGS__); \
    pthread_mutex_unlock(&lock);          \
    errno = error;                        \
    return result;                        \
  } while (0)

ssize_t write(int fd, const void *data, size_t size) {
  if (!is_watched(fd)) return syscall(SYS_write, fd, data, size);
  STEP(ssize_t, syscall(SYS_write, fd, data, size), 'W', fd, lseek(fd, 0, SEEK_CUR) - result, data, result);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  if (!is_watched(fd)) return syscall(SYS_pwrite64, fd, data, size, at);
  STEP(ssize_t, syscall(SYS_pwrite64, fd, data, size, at), 'W', fd, at, data, result);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return pwrite(fd, data, size, at); }

int ftruncate(int fd, off_t size) {
  if (!is_watched(fd)) return syscall(SYS_ftruncate, fd, size);
  STEP(int, syscall(SYS_ftruncate, fd, size), 'T', fd, size, NULL, 0);
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static void record_sync(char kind, int fd) {
  if (!is_watched(fd)) return;
  pthread_mutex_lock(&lock);
  record(kind, fd, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
}

static int sync_it(int number, int fd) {
  record_sync('B', fd);
  int result = syscall(number, fd);
  if (result == 0) record_sync('E', fd);
  return result;
}

int fsync(int fd) { return sync_it(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_it(SYS_fdatasync, fd); }

int unlink(const char *path) {
  const char *file = ours(AT_FDCWD, path);
  if (file == NULL) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  STEP(int, syscall(SYS_unlinkat, AT_FDCWD, path, 0), 'U', -1, 0, file, strlen(file));
}

int mkdir(const char *path, mode_t mode) {
  const char *file = ours(AT_FDCWD, path);
  if (file == NULL) return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  STEP(int, syscall(SYS_mkdirat, AT_FDCWD, path, mode), 'M', -1, 0, file, strlen(file));
}

// Nobody does these to a hub's files. Should that change, the test must learn them, not miss them.
#define UNKNOWN(fd, what) \
  if (is_watched(fd)) die(what " of a recorded file")

ssize_t writev(int fd, const struct iovec *parts, int count) {
  UNKNOWN(fd, "writev");
  return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  UNKNOWN(fd, "pwritev");
  return syscall(SYS_pwritev, fd, parts, count, at, 0);
}

int rename(const char *from, const char *to) {
  if (ours(AT_FDCWD, from) != NULL || ours(AT_FDCWD, to) != NULL) die("rename of a recorded file");
  return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
