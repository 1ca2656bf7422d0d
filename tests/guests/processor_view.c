// SPDX-License-Identifier: GPL-2.0-or-later
// dom0's first process in the system tests of processors: says on the console what a PV guest sees of its
// CPU, whether vector registers stay what they are while others run, and how 32-bit system calls go
// (processor_view32.c).
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

// The ABI's forced emulation (public arch-x86/xen.h).
static void cpuid(uint32_t leaf, uint32_t sub) {
    uint32_t a = leaf, b, c = sub, d;
    __asm__ volatile("ud2a; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    printf("@@ leaf %08x.%x %08x %08x %08x %08x\n", leaf, sub, a, b, c, d);
}

static void flags(void) {
    char line[4096];
    FILE* f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "flags", 5) == 0) {
            printf("@@ %s", line);
            break;
        }
}

// Fills YMM0 to YMM7, sleeps without another instruction that could touch them, and compares.
__attribute__((target("avx"))) static int keeps_vectors(unsigned seed, int rounds) {
    uint8_t before[256], after[256];
    for (int i = 0; i < 256; i++) before[i] = (uint8_t)(seed * 31 + (unsigned)i);
    for (int round = 0; round < rounds; round++) {
        struct {
            int64_t seconds, nanoseconds;
        } pause = {0, 1000000};
        long number = 35;  // nanosleep
        __asm__ volatile(
            "vmovdqu (%[from]), %%ymm0; vmovdqu 32(%[from]), %%ymm1; vmovdqu 64(%[from]), %%ymm2; vmovdqu "
            "96(%[from]), %%ymm3\n"
            "vmovdqu 128(%[from]), %%ymm4; vmovdqu 160(%[from]), %%ymm5; vmovdqu 192(%[from]), %%ymm6; "
            "vmovdqu 224(%[from]), %%ymm7\n"
            "syscall\n"
            "vmovdqu %%ymm0, (%[to]); vmovdqu %%ymm1, 32(%[to]); vmovdqu %%ymm2, 64(%[to]); vmovdqu %%ymm3, "
            "96(%[to])\n"
            "vmovdqu %%ymm4, 128(%[to]); vmovdqu %%ymm5, 160(%[to]); vmovdqu %%ymm6, 192(%[to]); vmovdqu "
            "%%ymm7, 224(%[to])\n"
            : "+a"(number)
            : [from] "b"(before), [to] "d"(after), "D"(&pause), "S"(0)
            : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
        if (memcmp(before, after, sizeof before) != 0) return 0;
    }
    return 1;
}

static void vectors(void) {
    enum { kProcesses = 6, kRounds = 200 };
    int good = 0;
    fflush(stdout);
    for (unsigned i = 0; i < kProcesses; i++)
        if (fork() == 0) _exit(keeps_vectors(i, kRounds) ? 0 : 1);
    for (int i = 0; i < kProcesses; i++) {
        int status;
        wait(&status);
        good += status == 0;
    }
    printf("@@ vectors %d of %d\n", good, kProcesses);
}

int main(void) {
    mount("proc", "/proc", "proc", 0, 0);
    mount("dev", "/dev", "devtmpfs", 0, 0);
    const int console = open("/dev/hvc0", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(console, i);
    setvbuf(stdout, 0, _IOLBF, 0);
    flags();
    static const uint32_t leaves[][2] = {{0, 0},          {1, 0},          {7, 0},
                                         {0xb, 0},        {0xd, 1},        {0x40000000, 0},
                                         {0x80000000, 0}, {0x80000001, 0}, {0x80000008, 0}};
    for (unsigned i = 0; i < sizeof leaves / sizeof *leaves; i++) cpuid(leaves[i][0], leaves[i][1]);
    if (__builtin_cpu_supports("avx")) vectors();
    if (fork() == 0) {
        execl("/processor_view32", "processor_view32", (char*)0);
        _exit(1);
    }
    wait(0);
    printf("@@ processor complete\n");
    sleep(1);
    reboot(RB_POWER_OFF);
}
