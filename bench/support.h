/*
 * What every floor and driver needs around the few lines it is about: clocks, pinning, loopback
 * sockets, a receiver in a process of its own.
 *
 * The convention of all of them: the side that is measured runs on CPU 0, the other side on CPU 1
 * (on a machine with one CPU both share it); the result is one line of JSON on stdout; whatever
 * goes wrong ends the program with a message and a status other than 0, since a benchmark has
 * nothing to recover to.
 */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#define CPU_MEASURED 0
#define CPU_LOAD     1

/* Prints `what` with errno's text, exit status 1. */
noreturn void die(const char *what);
/* The same without errno. */
noreturn void die_text(const char *text);
/* Something is wrong with an answer. */
noreturn void die_answer(const char *fault);

/* "[1, 2, 3]" to stdout. */
void print_array(const uint64_t *values, size_t count);
/* Quietly does nothing where that CPU isn't there. */
void pin_to(int cpu);
void limit_descriptors_to_max(void);
/* CPU time of this process, user and system. Its children are not in it. */
uint64_t cpu_ns(void);
uint64_t wall_ns(void);

/* A whole number in [min, max], or the end of the program. */
uint64_t parse_number(const char *text, uint64_t min, uint64_t max);

void set_nonblocking(int fd, bool on);
void set_nodelay(int fd);
void wait_for(int fd, short poll_events);
/* On 127.0.0.1; port 0: a free one, told in *port. */
int listen_loopback(uint16_t *port);
int connect_loopback(uint16_t port);
int accept_one(int listener);

/* Forks a process on CPU_LOAD that discards what arrives on `fd` until its end: recv(2) with
 * MSG_TRUNC drops the bytes without copying them, so the receiver costs the sender as little as a
 * receiver can. Its status is 0 if it got exactly `expected` bytes. */
pid_t fork_discard(int fd, uint64_t expected);
/* Forks a process on CPU_LOAD that sends `total` bytes of memory. */
pid_t fork_source(int fd, uint64_t total);
/* Waits for one of them; dies if it failed. */
void join(pid_t child);

#endif
