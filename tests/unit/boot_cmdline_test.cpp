// SPDX-License-Identifier: GPL-2.0-or-later
// The hypervisor's options: every row of the table, values in every form, and the documentation made from the
// table.
#include "boot/cmdline.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/log.hpp"

namespace domus {
namespace {

struct Logged {
    Level level;
    std::string text;
};
std::vector<Logged> logged;

class CommandLine : public testing::Test {
  protected:
    CommandLine() {
        logged.clear();
        set_log_sink(
            [](Level level, bool, std::string_view line) { logged.push_back({level, std::string(line)}); });
    }
    ~CommandLine() override { set_log_sink(nullptr); }

    BootOptions parse(const char* line) {
        BootOptions o;
        report = parse_command_line(line, o);
        return o;
    }
    CommandLineReport report;
};

TEST_F(CommandLine, WhatAnOperatorTypes) {
    const BootOptions o = parse(
        "console=com1 com1=57600,8n1 dom0_mem=1G,max:2G  loglvl=all guest_loglvl=error/all nosmp "
        "dom0_max_vcpus=2 noreboot dom0-vcpus-pin=yes no-smep conring-size=64k maxcpus=3");
    EXPECT_EQ(report.unknown + report.malformed, 0u);
    EXPECT_TRUE(logged.empty());
    EXPECT_EQ(o.console, "com1");
    EXPECT_TRUE(o.com1_given);
    EXPECT_EQ(o.com1.baud, 57600u);
    EXPECT_FALSE(o.com2_given);
    EXPECT_EQ(o.dom0_mem.amount->bytes, kGiB);
    EXPECT_EQ(o.dom0_mem.max->bytes, 2 * kGiB);
    EXPECT_FALSE(o.dom0_mem.min);
    EXPECT_EQ(o.dom0_max_vcpus, (VcpuRange{2, 2}));
    EXPECT_TRUE(o.nosmp && o.noreboot && o.dom0_vcpus_pin);
    EXPECT_FALSE(o.smep);
    EXPECT_TRUE(o.xsave) << "on unless told otherwise";
    EXPECT_EQ(o.conring_size, 64 * kKiB);
    EXPECT_EQ(o.maxcpus, 3u);
}

TEST_F(CommandLine, DebiansGrubLineIsQuiet) {
    parse("placeholder no-real-mode edd=off");
    EXPECT_EQ(report.unknown + report.malformed, 0u);
    for (const Logged& l : logged) EXPECT_EQ(l.level, Level::debug) << l.text;
    EXPECT_EQ(logged.size(), 3u);
}

TEST_F(CommandLine, UnknownAndMalformedAreSaid) {
    const BootOptions o =
        parse("dom0_mme=1G dom0_mem=1Q nosmp=perhaps no-dom0_mem no-such =3 loglvl= iommu=on");
    EXPECT_EQ(report.unknown, 4u);
    EXPECT_EQ(report.malformed, 3u);
    ASSERT_EQ(logged.size(), 8u);
    EXPECT_EQ(logged[0].text, "options: unknown option 'dom0_mme=1G': not used");
    EXPECT_EQ(
        logged[1].text,
        "options: 'dom0_mem=1Q' is not understood: expected dom0_mem=[min:<amount>,][max:<amount>,]<amount>");
    EXPECT_EQ(logged[7].text, "options: 'iommu=on' is not implemented in this version: no effect");
    for (const Logged& l : logged) EXPECT_EQ(l.level, Level::warning);
    EXPECT_FALSE(o.dom0_mem.amount);
    EXPECT_FALSE(o.nosmp);
}

TEST_F(CommandLine, RestIsDom0s) {
    EXPECT_EQ(parse("nosmp --  root=/dev/sda nosmp=3").dom0_extra, "root=/dev/sda nosmp=3");
    EXPECT_EQ(report.malformed, 0u);
    EXPECT_EQ(parse("nosmp --").dom0_extra, "");
}

TEST_F(CommandLine, LastOneCounts) {
    const BootOptions o =
        parse("smep=off smep maxcpus=1 maxcpus=2 dom0_mem=min:1M dom0_mem=2M dom0_mem=min:3M");
    EXPECT_TRUE(o.smep);
    EXPECT_EQ(o.maxcpus, 2u);
    EXPECT_EQ(o.dom0_mem.min->bytes, 3 * kMiB);
    EXPECT_EQ(o.dom0_mem.amount->bytes, 2 * kMiB);
}

TEST_F(CommandLine, VcpuRanges) {
    EXPECT_EQ(parse("dom0_max_vcpus=1-4").dom0_max_vcpus, (VcpuRange{1, 4}));
    EXPECT_EQ(parse("dom0_max_vcpus=2-").dom0_max_vcpus, (VcpuRange{2, ~u32{0}}));
    EXPECT_EQ(parse("dom0_max_vcpus=-3").dom0_max_vcpus, (VcpuRange{1, 3}));
    for (const char* bad : {"0", "", "-", "4-2", "0-1", "a", "1-b", "1-2-3", "99999999999999999999"}) {
        parse((std::string("dom0_max_vcpus=") + bad).c_str());
        EXPECT_EQ(report.malformed, 1u) << bad;
    }
}

TEST_F(CommandLine, Reboot) {
    EXPECT_EQ(parse("reboot=k").reboot, "k");
    EXPECT_TRUE(parse("reboot=no").noreboot);
    parse("reboot=efi");
    EXPECT_EQ(report.malformed, 1u);
}

TEST_F(CommandLine, SchedulerIsAChoice) {
    EXPECT_EQ(parse("sched=null").sched, "null");
    EXPECT_EQ(parse("sched=").sched, "credit2");
    EXPECT_EQ(report.malformed, 1u);
    parse("sched=credit2|null");
    EXPECT_EQ(report.malformed, 1u);
    parse("sched_ratelimit_us=50");
    EXPECT_EQ(report.malformed, 1u);
    EXPECT_EQ(parse("sched_ratelimit_us=0").sched_ratelimit_us, 0u);
}

// Every row: named once, documented, refuses nonsense, and (booleans) takes every spelling.
TEST_F(CommandLine, EveryRowOfTheTable) {
    std::set<std::string> names;
    for (const Option& o : option_table()) {
        const std::string name(o.name);
        std::string folded = name;
        for (char& c : folded) c = c == '-' ? '_' : c;
        EXPECT_TRUE(names.insert(folded).second) << name << " is there twice";
        EXPECT_TRUE(o.help.ends_with('.')) << name;
        EXPECT_EQ(o.set == nullptr, o.kind == OptionKind::no_use || o.kind == OptionKind::missing) << name;
        if (o.set == nullptr) continue;
        EXPECT_FALSE(o.form.empty()) << name;
        EXPECT_FALSE(o.default_text.empty()) << name;
        parse((name + "=").c_str());
        EXPECT_EQ(report.malformed, 1u) << name;
        if (o.kind == OptionKind::boolean) {
            for (const char* form :
                 {"", "=on", "=yes", "=true", "=1", "=enable", "=off", "=no", "=false", "=0", "=disable"}) {
                parse((name + form).c_str());
                EXPECT_EQ(report.malformed + report.unknown, 0u) << name << form;
            }
            parse(("no-" + name).c_str());
            EXPECT_EQ(report.malformed + report.unknown, 0u) << name;
            parse((name + "=junk").c_str());
            EXPECT_EQ(report.malformed, 1u) << name;
        }
    }
}

TEST_F(CommandLine, SurvivesGarbage) {
    std::mt19937 random(5);
    const char alphabet[] = "dom0_mem=-,:%+GMk1 90x./nocsle\xff\x01";
    for (int round = 0; round < 20000; round++) {
        std::string line;
        if (round % 2) line = std::string(option_table()[random() % option_table().size()].name) + "=";
        for (unsigned n = random() % 40; n > 0; n--) line += alphabet[random() % (sizeof alphabet - 1)];
        const std::vector<char> exact(line.begin(), line.end());  // no terminator: an overrun is seen
        BootOptions o;
        parse_command_line({exact.data(), exact.size()}, o);
    }
}

TEST(MemoryAmount, Forms) {
    EXPECT_EQ(parse_memory_amount("512M"), (MemoryAmount{512 * kMiB, 0, false}));
    EXPECT_EQ(parse_memory_amount("1024"), (MemoryAmount{kMiB, 0, false}));
    EXPECT_EQ(parse_memory_amount("0x10b"), (MemoryAmount{0x10b * kKiB, 0, false}));
    EXPECT_EQ(parse_memory_amount("4096b"), (MemoryAmount{4096, 0, false}));
    EXPECT_EQ(parse_memory_amount("-256M"), (MemoryAmount{256 * kMiB, 0, true}));
    EXPECT_EQ(parse_memory_amount("50%"), (MemoryAmount{0, 50, false}));
    EXPECT_EQ(parse_memory_amount("1G+10%"), (MemoryAmount{kGiB, 10, false}));
    for (const char* bad :
         {"", "-", "%", "101%", "G", "1GG", "1G+%", "+1%", "--1", "-5%", "1 G", "99999999999T"})
        EXPECT_FALSE(parse_memory_amount(bad)) << bad;
}

TEST(Dom0Memory, Choice) {
    const u64 gib = kGiB / kPageSize, mib = kMiB / kPageSize;
    const auto choose = [](const char* text, u64 available) {
        BootOptions o;
        parse_command_line(text, o);
        return choose_dom0_memory(o.dom0_mem, available);
    };
    EXPECT_EQ(choose("", 4 * gib).pages, 4 * gib - 128 * mib);
    EXPECT_EQ(choose("", gib).pages, gib - 64 * mib);
    EXPECT_EQ(choose("", gib).max_pages, ~u64{0});
    EXPECT_EQ(choose("dom0_mem=1G", 4 * gib).pages, gib);
    EXPECT_EQ(choose("dom0_mem=8G", 4 * gib).pages, 8 * gib);  // more than there is: refused later
    EXPECT_EQ(choose("dom0_mem=1G,max:2G", 4 * gib).max_pages, 2 * gib);
    EXPECT_EQ(choose("dom0_mem=max:512M", 4 * gib).pages, 512 * mib);
    EXPECT_EQ(choose("dom0_mem=min:3G,50%", 4 * gib).pages, 3 * gib);
    EXPECT_EQ(choose("dom0_mem=50%", 4 * gib).pages, 2 * gib);
    EXPECT_EQ(choose("dom0_mem=-1G", 4 * gib).pages, 3 * gib);
    EXPECT_EQ(choose("dom0_mem=-5G", 4 * gib).pages, 0u);
    EXPECT_EQ(choose("dom0_mem=16777215T+100%", gib).pages, gib + (u64{16777215} << 28));
}

std::string document() {
    std::ostringstream md;
    md << "# Command line\n\n"
          "Made from the table in `boot/options.cpp` by the unit tests (`DOMUS_UPDATE_DOCS=1 "
          "build/host/unit_tests`).\n"
          "Change the table, not this page.\n\n"
          "Options are words of the form `name` or `name=value`, separated by spaces; in names `-` and `_` "
          "are the same.\n"
          "A boolean takes `on`, `yes`, `true`, `enable`, `1` or `off`, `no`, `false`, `disable`, `0`; the "
          "name alone\n"
          "means on, and `no-` in front of the name means off. A size takes the suffixes `B`, `K`, `M`, `G`, "
          "`T`; without\n"
          "one it counts KiB. Of an option given twice the last one counts. What follows ` -- ` is appended "
          "to the\n"
          "command line of dom0's kernel. An unknown option or a malformed value is reported in the log and "
          "not used.\n";
    for (const Option& o : option_table()) {
        if (o.set == nullptr) continue;
        md << "\n## " << o.name << "\n\n`" << o.name << "=" << o.form << "`, by default: " << o.default_text
           << "\n\n"
           << o.help << "\n";
    }
    md << "\n## Accepted without effect\n\n";
    for (const Option& o : option_table())
        if (o.kind == OptionKind::no_use) md << "- `" << o.name << "`: " << o.help << "\n";
    md << "\n## Options of Xen that this version does not implement\n\nThey leave a warning in the log.\n\n";
    for (const Option& o : option_table())
        if (o.kind == OptionKind::missing) md << "- `" << o.name << "`: " << o.help << "\n";
    return md.str();
}

TEST(CommandLineDocs, AreUpToDate) {
    const std::string path = std::string(DOMUS_SOURCE_DIR) + "/docs/command-line.md";
    if (std::getenv("DOMUS_UPDATE_DOCS") != nullptr) std::ofstream(path) << document();
    std::ostringstream there;
    there << std::ifstream(path).rdbuf();
    EXPECT_EQ(there.str(), document())
        << "docs/command-line.md is out of date: run DOMUS_UPDATE_DOCS=1 unit_tests";
}

}  // namespace
}  // namespace domus
