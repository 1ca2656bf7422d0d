// SPDX-License-Identifier: GPL-2.0-or-later
// A 32-bit process that makes system calls by each of the instructions there are, as the kernel's vDSO makes
// them, and says how each ended: with the result, or with a signal. Without a library: gcc -m32 -nostdlib.
static int int80(int n, int a, const void* b, int c) {
    int r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
    return r;
}

// After either instruction the kernel returns to the end of its vDSO's call, which pops three registers and
// returns.
static int by_syscall(void) {
    int r;
    __asm__ volatile(
        "call 1f; jmp 2f; 1: pushl %%ecx; pushl %%edx; pushl %%ebp; movl %%ecx, %%ebp; syscall; int3; 2:"
        : "=a"(r)
        : "a"(20)
        : "ecx", "memory");
    return r;
}
static int by_sysenter(void) {
    int r;
    __asm__ volatile(
        "call 1f; jmp 2f; 1: pushl %%ecx; pushl %%edx; pushl %%ebp; movl %%esp, %%ebp; sysenter; int3; 2:"
        : "=a"(r)
        : "a"(20)
        : "memory");
    return r;
}
// The same with the nested-task flag set, which must not follow the guest into the hypervisor's IRETQ.
static int by_sysenter_nested(void) {
    int r;
    __asm__ volatile(
        "call 1f; jmp 2f; 1: pushl %%ecx; pushl %%edx; pushl %%ebp; movl %%esp, %%ebp; pushfl; orl $0x4000, "
        "(%%esp);"
        "popfl; sysenter; int3; 2:"
        : "=a"(r)
        : "a"(20)
        : "memory");
    return r;
}

static void say(const char* text) {
    int n = 0;
    while (text[n]) n++;
    int80(4, 1, text, n);
}
static void say_number(int value) {
    char text[12] = "           ";
    int at = 11;
    text[at] = 0;
    do text[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    say(text + at);
}

static volatile int signal_seen;
static volatile unsigned resume_ip, resume_sp, resume_bp;
__asm__(".globl restore\nrestore: movl $173, %eax; int $0x80");  // rt_sigreturn
extern void restore(void);

// Goes on at resume_ip instead of at what failed. The context: flags, link, stack (3 words), then the
// registers.
static void on_signal(int number, void* info, unsigned* context) {
    (void)info;
    signal_seen = number;
    context[5 + 6] = resume_bp, context[5 + 7] = resume_sp, context[5 + 14] = resume_ip;
}

static void attempt(const char* name, int (*call)(void), int pid) {
    signal_seen = 0;
    int result = 0;
    __asm__ volatile("movl %%esp, %0; movl %%ebp, %1; movl $1f, %2; 1:"
                     : "=m"(resume_sp), "=m"(resume_bp), "=m"(resume_ip)::"eax", "ebx", "ecx", "edx", "esi",
                       "edi", "memory");
    if (signal_seen == 0) result = call();
    say("@@ ");
    say(name);
    if (signal_seen != 0) {
        say(" signal ");
        say_number(signal_seen);
        say("\n");
    } else {
        say(result == pid ? " works\n" : " wrong\n");
    }
}

__asm__(".globl _start\n_start: andl $-16, %esp; call run; hlt");
__attribute__((used)) void run(void) {
    struct {
        void* handler;
        unsigned flags;
        void* restorer;
        unsigned mask[2];
    } action = {(void*)on_signal, 0x44000004, (void*)restore, {0, 0}};  // SA_NODEFER, SA_RESTORER, SA_SIGINFO
    for (int number = 4; number <= 11; number++) {
        int result = 174;  // rt_sigaction
        if (number != 9)
            __asm__ volatile("int $0x80"
                             : "+a"(result)
                             : "b"(number), "c"(&action), "d"(0), "S"(8)
                             : "memory");
    }
    const int pid = int80(20, 0, 0, 0);
    attempt("syscall", by_syscall, pid);
    attempt("sysenter", by_sysenter, pid);
    attempt("sysenter with NT", by_sysenter_nested, pid);
    int80(1, 0, 0, 0);
}
