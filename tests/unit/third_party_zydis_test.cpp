// SPDX-License-Identifier: GPL-2.0-or-later
// The reduced Zydis still tells what PV emulation must know: the privileged instructions and their operands.
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <span>

namespace domus {
namespace {

struct Decoded {
    ZyanStatus status;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

Decoded decode(std::initializer_list<unsigned char> bytes) {
    Decoded d{};
    ZydisDecoder decoder;
    EXPECT_TRUE(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
    d.status = ZydisDecoderDecodeFull(&decoder, bytes.begin(), bytes.size(), &d.insn, d.operands);
    return d;
}

TEST(Zydis, ControlRegisters) {
    const Decoded d = decode({0x41, 0x0f, 0x22, 0xd9});  // mov %r9,%cr3
    ASSERT_TRUE(ZYAN_SUCCESS(d.status));
    EXPECT_EQ(d.insn.mnemonic, ZYDIS_MNEMONIC_MOV);
    EXPECT_EQ(d.insn.length, 4);
    ASSERT_EQ(d.insn.operand_count_visible, 2);
    EXPECT_EQ(d.operands[0].reg.value, ZYDIS_REGISTER_CR3);
    EXPECT_EQ(d.operands[1].reg.value, ZYDIS_REGISTER_R9);
}

TEST(Zydis, PortsAndRepeat) {
    Decoded d = decode({0x66, 0xed});  // in (%dx),%ax
    ASSERT_TRUE(ZYAN_SUCCESS(d.status));
    EXPECT_EQ(d.insn.mnemonic, ZYDIS_MNEMONIC_IN);
    EXPECT_EQ(d.operands[0].size, 16);
    d = decode({0xf3, 0x6e});  // rep outsb
    ASSERT_TRUE(ZYAN_SUCCESS(d.status));
    EXPECT_EQ(d.insn.mnemonic, ZYDIS_MNEMONIC_OUTSB);
    EXPECT_TRUE(d.insn.attributes & ZYDIS_ATTRIB_HAS_REP);
    d = decode({0xe6, 0x80});  // out %al,$0x80
    ASSERT_TRUE(ZYAN_SUCCESS(d.status));
    EXPECT_EQ(d.operands[0].imm.value.u, 0x80u);
}

TEST(Zydis, MemoryOperands) {
    const Decoded d = decode({0x65, 0x48, 0x89, 0x84, 0xcb, 0x78, 0x56, 0x34, 0x12});
    ASSERT_TRUE(ZYAN_SUCCESS(d.status));  // mov %rax,%gs:0x12345678(%rbx,%rcx,8)
    ASSERT_EQ(d.operands[0].type, ZYDIS_OPERAND_TYPE_MEMORY);
    EXPECT_EQ(d.operands[0].mem.segment, ZYDIS_REGISTER_GS);
    EXPECT_EQ(d.operands[0].mem.base, ZYDIS_REGISTER_RBX);
    EXPECT_EQ(d.operands[0].mem.index, ZYDIS_REGISTER_RCX);
    EXPECT_EQ(d.operands[0].mem.scale, 8);
    EXPECT_EQ(d.operands[0].mem.disp.value, 0x12345678);
    EXPECT_EQ(d.insn.operand_width, 64);
}

TEST(Zydis, InstructionsByName) {
    EXPECT_EQ(decode({0x0f, 0xa2}).insn.mnemonic, ZYDIS_MNEMONIC_CPUID);
    EXPECT_EQ(decode({0x0f, 0x30}).insn.mnemonic, ZYDIS_MNEMONIC_WRMSR);
    EXPECT_EQ(decode({0x0f, 0x32}).insn.mnemonic, ZYDIS_MNEMONIC_RDMSR);
    EXPECT_EQ(decode({0xfa}).insn.mnemonic, ZYDIS_MNEMONIC_CLI);
    EXPECT_EQ(decode({0xf4}).insn.mnemonic, ZYDIS_MNEMONIC_HLT);
    EXPECT_EQ(decode({0x0f, 0x01, 0xd1}).insn.mnemonic, ZYDIS_MNEMONIC_XSETBV);
    EXPECT_EQ(decode({0x0f, 0x01, 0x38}).insn.mnemonic, ZYDIS_MNEMONIC_INVLPG);
    EXPECT_EQ(decode({0x0f, 0x0b}).insn.mnemonic, ZYDIS_MNEMONIC_UD2);
}

TEST(Zydis, RefusesWhatIsCutShortOrUndefined) {
    EXPECT_EQ(decode({0x0f}).status, ZYDIS_STATUS_NO_MORE_DATA);
    EXPECT_TRUE(ZYAN_FAILED(decode({}).status));
    EXPECT_TRUE(ZYAN_FAILED(decode({0x06}).status));  // push %es: not in 64-bit mode
    EXPECT_TRUE(ZYAN_FAILED(decode({0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                    0x66, 0x66, 0x66, 0x90})
                                .status));  // longer than 15 bytes
}

}  // namespace
}  // namespace domus
