// SPDX-License-Identifier: GPL-2.0-or-later
// A QEMU TCG plugin that counts the guest's instructions: all, and apart those that run in the hypervisor's
// part of the address space (0xffff800000000000 to 0xffff87ffffffffff, xen/arch-x86/xen-x86_64.h).
//
//   qemu-system-x86_64 ... -plugin insn-count.so,out=FILE      writes "TOTAL HYPERVISOR\n" to FILE at exit
//
// A translation block counts whole when it is entered; one that a fault leaves in the middle is counted too
// high. That is so for every hypervisor alike. Debian packages no qemu-plugin.h, so what is used of version 1
// of the interface (QEMU docs/devel/tcg-plugins.rst) is declared here.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t PluginId;
typedef struct qemu_plugin_tb Block;
enum { kInlineAdd64 = 0, kInterfaceVersion = 1, kPathSize = 4096 };
#define EXPORTED __attribute__((visibility("default")))

extern void qemu_plugin_register_vcpu_tb_trans_cb(PluginId id, void (*translated)(PluginId, Block*));
extern void qemu_plugin_register_vcpu_tb_exec_inline(Block* block, int operation, void* counter,
                                                     uint64_t addend);
extern void qemu_plugin_register_atexit_cb(PluginId id, void (*at_exit)(PluginId, void*), void* data);
extern size_t qemu_plugin_tb_n_insns(const Block* block);
extern uint64_t qemu_plugin_tb_vaddr(const Block* block);

EXPORTED int qemu_plugin_version = kInterfaceVersion;

static const uint64_t kHypervisorStart = 0xffff800000000000u;
static const uint64_t kHypervisorEnd = 0xffff880000000000u;

static uint64_t total;
static uint64_t hypervisor;
static char out_path[kPathSize];

static void translated(PluginId id, Block* block) {
    (void)id;
    const uint64_t length = qemu_plugin_tb_n_insns(block);
    const uint64_t address = qemu_plugin_tb_vaddr(block);
    qemu_plugin_register_vcpu_tb_exec_inline(block, kInlineAdd64, &total, length);
    if (address >= kHypervisorStart && address < kHypervisorEnd)
        qemu_plugin_register_vcpu_tb_exec_inline(block, kInlineAdd64, &hypervisor, length);
}

static void write_counts(PluginId id, void* data) {
    (void)id;
    (void)data;
    FILE* file = fopen(out_path, "w");
    if (file == NULL) {
        perror(out_path);
        return;
    }
    fprintf(file, "%" PRIu64 " %" PRIu64 "\n", total, hypervisor);
    if (fclose(file) != 0) perror(out_path);
}

EXPORTED int qemu_plugin_install(PluginId id, const void* info, int count, char** arguments) {
    (void)info;
    for (int i = 0; i < count; ++i)
        if (strncmp(arguments[i], "out=", 4) == 0)
            snprintf(out_path, sizeof out_path, "%s", arguments[i] + 4);
    if (out_path[0] == '\0') {
        fputs("insn-count: out=FILE is missing\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, write_counts, NULL);
    return 0;
}
