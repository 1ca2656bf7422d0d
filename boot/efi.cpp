// SPDX-License-Identifier: GPL-2.0-or-later
// Reading UEFI's system table, at addresses that the boot loader handed over.
#include "boot/efi.hpp"

#include "abi/efi.hpp"
#include "base/log.hpp"

namespace domus {
namespace {

template <class T>
bool get(EfiView view, u64 at, T& value) {
    const void* p = at == 0 || at + sizeof(T) < at ? nullptr : view(Maddr(at), sizeof(T));
    if (p != nullptr) __builtin_memcpy(&value, p, sizeof(T));
    return p != nullptr;
}

}  // namespace

std::optional<EfiInfo> read_efi(Maddr system_table, EfiView view) {
    abi::EfiSystemTable table;
    if (!get(view, system_table.v, table) || table.header.signature != abi::kEfiSystemTable ||
        table.header.size < sizeof table) {
        log(Level::warning, "EFI: no system table at {:x}: dom0 is not told of EFI", system_table);
        return std::nullopt;
    }
    EfiInfo info;
    info.version = table.header.revision;
    info.firmware_revision = table.firmware_revision;
    // A configuration table that nobody could read helps nobody.
    constexpr u64 kMostTables = 1024;
    const u64 bytes = table.table_count * abi::kEfiConfigurationEntry;
    if (table.table_count == 0 || table.table_count > kMostTables || table.tables + bytes < bytes ||
        view(Maddr(table.tables), bytes) == nullptr) {
        log(Level::warning, "EFI: {} configuration tables at {:x}: dom0 is not told of EFI",
            u64{table.table_count}, u64{table.tables});
        return std::nullopt;
    }
    info.tables = table.tables;
    info.table_count = static_cast<u32>(table.table_count);
    for (usize i = 0; i + 1 < info.vendor.size(); i++) {
        const u64 at = table.firmware_vendor + i * sizeof(char16_t);
        if (table.firmware_vendor == 0 || !get(view, at, info.vendor[i]) || info.vendor[i] == 0) break;
    }
    info.vendor.back() = 0;
    return info;
}

}  // namespace domus
