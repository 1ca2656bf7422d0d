// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt lines of message-signalled interrupts.
#include "arch_devices/irq_table.hpp"
#include "base/log.hpp"

namespace domus::x86 {

using Kind = IrqLine::Kind;

bool IrqTable::device_has_lines(const PciAddress& device) const {
    for (u32 i = gsi_count_; i < lines_.size(); i++)
        if (lines_[i].kind != Kind::free && lines_[i].msi.device == device) return true;
    return false;
}

// A free run of lines for the request. EEXIST: the device's entry has one already.
Result<u32> IrqTable::find_msi_lines(const MsiRequest& request, u32 count) {
    u32 found = kNoLine, run = 0;
    for (u32 i = gsi_count_; i < lines_.size(); i++) {
        const IrqLine& l = lines_[i];
        if (l.kind == Kind::free) {
            if (++run == count && found == kNoLine) found = i + 1 - count;
            continue;
        }
        run = 0;
        if (l.msi.device == request.device &&
            (request.table_base == 0 || l.kind == Kind::msi || l.msi.entry == request.entry))
            return fail(Error::exist);
    }
    if (found == kNoLine) return fail(Error::nospc);
    return found;
}

Result<volatile void*> IrqTable::map_table(u64 at) {
    const u64 page = round_down(at, kPageSize);
    for (Mapping& m : mappings_) {
        if (m.at == nullptr) {
            m.at = TRY(c_.map_page(Maddr(page), kPageSize));
            m.page = page;
        }
        if (m.page == page) return static_cast<u8*>(m.at) + (at - page);
    }
    // Mappings stay: most devices are there for good, and come back to the same place.
    guest_log(Level::error,
              "MSI-X: {} pages of tables are mapped, the most there can be: none for the one at {:#x}; fewer "
              "devices or virtual functions, or interrupts without MSI-X, would do",
              std::size(mappings_), at);
    return fail(Error::nospc);
}

Result<> IrqTable::allocate_msi(const MsiRequest& request, std::span<IrqId> out) {
    const u32 count = static_cast<u32>(out.size());
    const bool msix = request.table_base != 0;
    if (c_.pci == nullptr) return fail(Error::nodev);
    if (count == 0 || count > 32 || (count & (count - 1)) != 0 || (msix && count != 1))
        return fail(Error::inval);

    LockGuard guard(lock_);
    const u32 first = TRY(find_msi_lines(request, count));
    MsiPlace place = TRY(msix ? msix_find(*c_.pci, request.device, request.entry, request.table_base)
                              : msi_find(*c_.pci, request.device));
    if (msix)
        place.table_entry = TRY(map_table(place.table_entry_address));
    else if (count > place.max_messages)
        return fail(Error::inval);

    Result<> taken = fail(Error::nospc);
    for (u32 cpu = 0; !taken && cpu < cpus(); cpu++) taken = take_vectors(first, count, CpuId(cpu));
    TRY(taken);
    for (u32 i = 0; i < count; i++) {
        IrqLine& l = lines_[first + i];
        LockGuard line_guard(l.lock);
        l.kind = msix ? Kind::msix : Kind::msi;
        l.trigger = Trigger::edge;
        l.polarity = Polarity::high;
        l.masked = l.hardware_masked = true;
        // Without a mask bit the device may send as soon as it is told where to.
        l.opened = !msix && !place.maskable;
        l.in_service = l.replay = l.move_wanted = l.claimed = false;
        l.old_vector = 0;
        l.deliveries = 0;
        l.msi = place;
        l.group_size = static_cast<u8>(count);
        l.group_index = static_cast<u8>(i);
        out[i] = IrqId(first + i);
    }
    const IrqLine& l = lines_[first];
    msi_write(*c_.pci, place, msi_message(static_cast<u8>(c_.apic_id(l.cpu)), l.vector), true);
    msi_enable(*c_.pci, place, count);
    return {};
}

}  // namespace domus::x86
