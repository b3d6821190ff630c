/* A disk that fails when it is told: loaded into a node before the C library, so that what the node writes passes here.
 *
 * The file that MATRIX_TEST_DISK names holds one order. It is carried out once, and the file is gone then:
 *
 *     ACTION PART WORD
 *
 * It concerns files whose path contains PART, and of what is written to them, what contains WORD (`-`: anything).
 *
 *     lose         What is written does not come to the disk, and the file's next sync fails. Syncs after that
 *                  succeed, as Linux has it: what could not be written is marked as clean, and is gone.
 *     refuse       The write fails.
 *     kill-before  The process ends before the write, as by `kill -9`.
 *     kill-after   After it.
 *     kill-synced  After the sync that follows it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX 4096

typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);
typedef int (*sync_fn)(int);

struct order {
    char action[16], part[128], word[128];
};

/* What the next sync of a file is to do. */
enum { NOTHING, FAIL, KILL };
static atomic_int at_sync[FILES_MAX];

static void *real(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) {
        abort();
    }
    return function;
}

static const char *orders(void) {
    return getenv("MATRIX_TEST_DISK");
}

/* The order that concerns this file and these bytes; 0: there is none. */
static int read_order(int fd, const void *bytes, size_t length, struct order *order) {
    char text[320], link[64], path[1024];
    int kept = errno, found = 0;
    int file = orders() == NULL || fd < 0 || fd >= FILES_MAX ? -1 : open(orders(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t read_bytes = read(file, text, sizeof text - 1);
        close(file);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t path_bytes = readlink(link, path, sizeof path - 1);
        if (read_bytes > 0 && path_bytes > 0) {
            text[read_bytes] = path[path_bytes] = 0;
            found = sscanf(text, "%15s %127s %127s", order->action, order->part, order->word) == 3
                && strstr(path, order->part) != NULL
                && (strcmp(order->word, "-") == 0 || memmem(bytes, length, order->word, strlen(order->word)) != NULL);
        }
    }
    errno = kept;
    return found;
}

static void done(void) {
    unlink(orders());
}

static void die(void) {
    done();
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

/* Writes as `offset` says; -1: where the file is. */
static ssize_t put(int fd, const void *bytes, size_t length, off_t offset) {
    static _Atomic(write_fn) next_write;
    static _Atomic(pwrite_fn) next_pwrite;
    if (offset < 0) {
        if (next_write == NULL) {
            next_write = (write_fn)real("write");
        }
        return next_write(fd, bytes, length);
    }
    if (next_pwrite == NULL) {
        next_pwrite = (pwrite_fn)real("pwrite64");
    }
    return next_pwrite(fd, bytes, length, offset);
}

static ssize_t written(int fd, const void *bytes, size_t length, off_t offset) {
    struct order order;
    if (!read_order(fd, bytes, length, &order)) {
        return put(fd, bytes, length, offset);
    }
    if (strcmp(order.action, "refuse") == 0) {
        done();
        errno = EIO;
        return -1;
    }
    if (strcmp(order.action, "lose") == 0) {
        at_sync[fd] = FAIL;
        void *nothing = calloc(1, length);
        ssize_t put_bytes = nothing == NULL ? -1 : put(fd, nothing, length, offset);
        free(nothing);
        return put_bytes;
    }
    if (strcmp(order.action, "kill-before") == 0) {
        die();
    }
    ssize_t put_bytes = put(fd, bytes, length, offset);
    if (strcmp(order.action, "kill-after") == 0) {
        die();
    }
    if (strcmp(order.action, "kill-synced") == 0) {
        at_sync[fd] = KILL;
    }
    return put_bytes;
}

static int synced(int fd, sync_fn next) {
    int what = fd >= 0 && fd < FILES_MAX ? atomic_exchange(&at_sync[fd], NOTHING) : NOTHING;
    if (what == FAIL) {
        done();
        errno = EIO;
        return -1;
    }
    int result = next(fd);
    if (what == KILL) {
        die();
    }
    return result;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return written(fd, bytes, length, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return written(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    return written(fd, bytes, length, offset);
}

int fsync(int fd) {
    static _Atomic(sync_fn) next;
    if (next == NULL) {
        next = (sync_fn)real("fsync");
    }
    return synced(fd, next);
}

int fdatasync(int fd) {
    static _Atomic(sync_fn) next;
    if (next == NULL) {
        next = (sync_fn)real("fdatasync");
    }
    return synced(fd, next);
}
