// SPDX-License-Identifier: GPL-2.0-or-later
// A small program that full-root compiles and runs in dom0: forks, maps, faults and signals, and checks its
// own sums.
#define _GNU_SOURCE 1
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kChildren = 200, kPages = 256, kPageSize = 4096 };

static volatile sig_atomic_t signals_seen;
static void count_signal(int number) { signals_seen += number == SIGUSR1; }

static volatile sig_atomic_t faults_seen;
static char* guarded;
static void on_fault(int number, siginfo_t* info, void* context) {
    (void)number;
    (void)context;
    if ((char*)info->si_addr != guarded) _exit(3);
    ++faults_seen;
    if (mprotect(guarded, kPageSize, PROT_READ | PROT_WRITE) != 0) _exit(4);
}

// A private copy-on-write view of `shared` must stay the child's own.
static int child(uint32_t* shared, uint32_t number) {
    uint32_t sum = 0;
    for (uint32_t page = 0; page < kPages; ++page) {
        uint32_t* word = shared + page * (kPageSize / sizeof *shared);
        sum += *word;
        *word = number;
    }
    for (uint32_t page = 0; page < kPages; ++page)
        if (shared[page * (kPageSize / sizeof *shared)] != number) return 1;
    return sum == kPages * (kPages - 1) / 2 ? 0 : 2;
}

int main(void) {
    uint32_t* memory =
        mmap(NULL, kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return perror("mmap"), 1;
    for (uint32_t page = 0; page < kPages; ++page) memory[page * (kPageSize / sizeof *memory)] = page;

    for (uint32_t number = 1000; number < 1000 + kChildren; ++number) {
        pid_t pid = fork();
        if (pid < 0) return perror("fork"), 1;
        if (pid == 0) _exit(child(memory, number));
        int status = 0;
        if (waitpid(pid, &status, 0) != pid || status != 0)
            return printf("child %u: status %x\n", number, status), 1;
    }
    for (uint32_t page = 0; page < kPages; ++page)
        if (memory[page * (kPageSize / sizeof *memory)] != page)
            return puts("a child wrote to its parent"), 1;

    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = count_signal;
    sigaction(SIGUSR1, &act, NULL);
    for (int i = 0; i < 10000; ++i) raise(SIGUSR1);
    if (signals_seen != 10000) return printf("%d signals\n", (int)signals_seen), 1;

    act.sa_handler = NULL;
    act.sa_sigaction = on_fault;
    act.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &act, NULL);
    guarded = mmap(NULL, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 1000; ++i) {
        if (mprotect(guarded, kPageSize, PROT_NONE) != 0) return perror("mprotect"), 1;
        *(volatile char*)guarded = (char)i;
    }
    if (faults_seen != 1000) return printf("%d faults\n", (int)faults_seen), 1;

    for (int i = 0; i < 300; ++i) {
        size_t size = (size_t)(1 + i % 64) * kPageSize;
        char* block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) return perror("mmap"), 1;
        memset(block, i, size);
        block = mremap(block, size, 2 * size, MREMAP_MAYMOVE);
        if (block == MAP_FAILED || block[size - 1] != (char)i || block[size] != 0)
            return puts("mremap lost data"), 1;
        munmap(block, 2 * size);
    }
    printf("load: %d forks, %d signals, %d faults, 300 mappings: all as expected\n", kChildren,
           (int)signals_seen, (int)faults_seen);
    return 0;
}
