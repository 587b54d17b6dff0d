/* Puts faults under a process: calls on chosen files fail, or hang, for as long as a control file says so.
 *
 *   LD_PRELOAD=shim.so
 *   BAUTA_FAULT_PATH      only files whose path holds this text
 *   BAUTA_FAULT_CONTROL   the control file: "OP ERRNO" or "OP hang"; empty or absent: no fault
 *
 * OP is write, short (half is written, then it fails), sync, open or truncate; several lines may stand there. It is read
 * at each call, so a test switches faults while the process runs. System calls are made directly: nothing is looked up, and
 * the shim does not meet itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int path_matches(const char *path) {
    const char *wanted = getenv("BAUTA_FAULT_PATH");
    return wanted && path && strstr(path, wanted) != NULL;
}

static int fd_matches(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return path_matches(path);
}

/* What the control file says of an operation: 0 nothing, -1 hang, else an errno. */
static int said(const char *op) {
    char text[512];
    const char *control = getenv("BAUTA_FAULT_CONTROL");
    int fd = control ? (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY, 0) : -1;
    if (fd < 0)
        return 0;
    ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t name = strlen(op);
        if (strncmp(line, op, name) == 0 && line[name] == ' ')
            return strcmp(line + name + 1, "hang") == 0 ? -1 : atoi(line + name + 1);
    }
    return 0;
}

/* Waits while the operation hangs. Returns whether it is to fail then, with errno set. */
static int fails(const char *op) {
    int saved = errno, error;
    while ((error = said(op)) < 0) {
        struct timespec pause = {0, 5 * 1000 * 1000};
        syscall(SYS_nanosleep, &pause, NULL);
    }
    errno = error ? error : saved;
    return error != 0;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (fd_matches(fd)) {
        if (fails("write"))
            return -1;
        if (said("short") && count > 1) {
            if (count < 64 && fails("short"))
                return -1;
            count /= 2;
        }
    }
    return syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    if (fd_matches(fd) && fails("write"))
        return -1;
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (fd_matches(fd) && fails("write"))
        return -1;
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    if (fd_matches(fd) && fails("write"))
        return -1;
    return syscall(SYS_writev, fd, pieces, count);
}

int fsync(int fd) {
    if (fd_matches(fd) && fails("sync"))
        return -1;
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (fd_matches(fd) && fails("sync"))
        return -1;
    return syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t length) {
    if (fd_matches(fd) && fails("truncate"))
        return -1;
    return syscall(SYS_ftruncate, fd, length);
}

int ftruncate64(int fd, off64_t length) {
    if (fd_matches(fd) && fails("truncate"))
        return -1;
    return syscall(SYS_ftruncate, fd, length);
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    if (path_matches(path) && fails("open"))
        return -1;
    return syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags, mode)                                                                                                  \
    mode_t mode = 0;                                                                                                       \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                                 \
        va_list rest;                                                                                                      \
        va_start(rest, flags);                                                                                             \
        mode = va_arg(rest, mode_t);                                                                                       \
        va_end(rest);                                                                                                      \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_at(folder, path, flags, mode);
}
