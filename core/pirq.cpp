// SPDX-License-Identifier: GPL-2.0-or-later
// Mapping and binding interrupts, and what happens when one fires.
#include "core/pirq.hpp"

#include "abi/xen.hpp"
#include "core/domain.hpp"
#include "port/memory.hpp"

namespace domus::core {

namespace {

constexpr u32 kMaxMessages = 32;  // of one MSI capability (PCI 3.0, 6.8.1.3)

// A line has fired. Interrupts are off; any CPU. The entry stays while its handler is attached.
void fired(IrqId irq, void* arg) {
    auto& e = *static_cast<PirqEntry*>(arg);
    if (port::irq_trigger(irq) == Trigger::level) e.in_service.store(true, std::memory_order_release);
    if (const u32 p = e.port.load(std::memory_order_acquire)) send_pirq(*e.domain, EvtPort(p), e.number);
}

// With the table's lock held, as everything below.
PirqEntry* mapped_entry(PirqTable& t, Pirq pirq) {
    PirqEntry* e = t.entries.find(pirq.v);
    return e != nullptr && e->mapped ? e : nullptr;
}

void show_need(PirqTable& t, const PirqEntry& e) {
    if (t.eoi_page == kNoMfn || e.number.v >= kPageSize * 8) return;
    const u64 bit = u64{1} << (e.number.v % 64);
    std::atomic_ref word(port::frame_ptr<u64>(t.eoi_page)[e.number.v / 64]);
    if (e.mapped && port::irq_trigger(e.irq) == Trigger::level)
        word.fetch_or(bit);
    else
        word.fetch_and(~bit);
}

void unbind(PirqEntry& e) {
    if (e.port.exchange(0) == 0) return;
    port::irq_detach(e.irq);
    e.in_service.store(false, std::memory_order_relaxed);
}

PirqEntry* entry_of_line(PirqTable& t, IrqId irq) {
    for (u32 i = t.entries.next_present(0); i < kMaxPirqs; i = t.entries.next_present(i + 1))
        if (PirqEntry* e = mapped_entry(t, Pirq(i)); e != nullptr && e->irq == irq) return e;
    return nullptr;
}

bool is_free(PirqTable& t, u32 pirq, u32 count) {
    for (u32 i = 0; i < count; i++)
        if (pirq + i >= kMaxPirqs || mapped_entry(t, Pirq(pirq + i)) != nullptr) return false;
    return true;
}

// The first of `count` consecutive unused numbers in [from, to).
Result<Pirq> find_free(PirqTable& t, u32 from, u32 to, u32 count) {
    for (u32 i = from; i + count <= to; i++)
        if (is_free(t, i, count)) return Pirq(i);
    return fail(Error::nospc);
}

Result<Pirq> find_free_msi(PirqTable& t, u32 count) {
    return find_free(t, port::gsi_count(), kMaxPirqs, count);
}

void fill(Domain& d, PirqEntry& e, Pirq number, IrqId irq, bool msi) {
    e.domain = &d;
    e.number = number;
    e.irq = irq;
    e.msi = msi;
    e.mapped = true;
    show_need(d.pirqs, e);
}

bool may_use(Domain& d, Gsi gsi) { return d.hardware || d.irq_caps.contains(gsi.v); }

void unmap(PirqTable& t, PirqEntry& e) {
    unbind(e);
    e.mapped = false;
    show_need(t, e);
    if (e.msi) port::irq_free(e.irq);
}

}  // namespace

Result<Pirq> map_gsi(Domain& d, Gsi gsi, s32 wanted) {
    if (!may_use(d, gsi)) return fail(Error::perm);
    if (wanted >= static_cast<s32>(kMaxPirqs)) return fail(Error::inval);
    PirqTable& t = d.pirqs;
    LockGuard guard(t.lock);
    const IrqId irq = TRY(port::irq_allocate_gsi(gsi));
    if (const PirqEntry* e = entry_of_line(t, irq)) {
        if (wanted >= 0 && e->number.v != static_cast<u32>(wanted)) return fail(Error::exist);
        return e->number;
    }
    Pirq number(static_cast<u32>(wanted));
    if (wanted < 0)
        number = is_free(t, gsi.v, 1) ? Pirq(gsi.v) : TRY(find_free(t, 16, port::gsi_count(), 1));
    else if (!is_free(t, number.v, 1))
        return fail(Error::exist);
    fill(d, *TRY(t.entries.require(number.v)), number, irq, false);
    return number;
}

Result<Pirq> map_msi(Domain& d, const MsiRequest& request, u32 count, s32 wanted) {
    if (count == 0 || count > kMaxMessages || wanted >= static_cast<s32>(kMaxPirqs))
        return fail(Error::inval);
    PirqTable& t = d.pirqs;
    LockGuard guard(t.lock);
    if (wanted >= 0 && !is_free(t, static_cast<u32>(wanted), count)) return fail(Error::exist);
    const Pirq first = wanted >= 0 ? Pirq(static_cast<u32>(wanted)) : TRY(find_free_msi(t, count));
    for (u32 i = 0; i < count; i++) TRY(t.entries.require(first.v + i));
    IrqId lines[kMaxMessages];
    TRY(port::irq_allocate_msi(request, std::span(lines, count)));
    for (u32 i = 0; i < count; i++) fill(d, *t.entries.find(first.v + i), first + i, lines[i], true);
    return first;
}

Result<> unmap_pirq(Domain& d, Pirq pirq) {
    LockGuard guard(d.pirqs.lock);
    PirqEntry* e = mapped_entry(d.pirqs, pirq);
    if (e == nullptr) return fail(Error::inval);
    unmap(d.pirqs, *e);
    return {};
}

void unmap_all_pirqs(Domain& d) {
    PirqTable& t = d.pirqs;
    LockGuard guard(t.lock);
    for (u32 i = t.entries.next_present(0); i < kMaxPirqs; i = t.entries.next_present(i + 1))
        if (PirqEntry* e = mapped_entry(t, Pirq(i))) unmap(t, *e);
}

Result<Pirq> free_pirq(Domain& d, bool msi) {
    LockGuard guard(d.pirqs.lock);
    return msi ? find_free_msi(d.pirqs, 1) : find_free(d.pirqs, 16, port::gsi_count(), 1);
}

Result<> end_pirq(Domain& d, Pirq pirq) {
    EvtPort port{};
    {
        LockGuard guard(d.pirqs.lock);
        PirqEntry* e = mapped_entry(d.pirqs, pirq);
        if (e == nullptr) return fail(Error::inval);
        if (e->in_service.exchange(false)) port::irq_eoi(e->irq);
        if (d.pirqs.eoi_unmasks) port = EvtPort(e->port.load());
    }
    // The port may have been closed since; that is not the caller's mistake.
    if (port.v != 0) static_cast<void>(unmask_port(d, port));
    return {};
}

Result<u32> pirq_status(Domain& d, Pirq pirq) {
    if (pirq.v >= kMaxPirqs) return fail(Error::inval);
    LockGuard guard(d.pirqs.lock);
    const PirqEntry* e = mapped_entry(d.pirqs, pirq);
    return e != nullptr && port::irq_trigger(e->irq) == Trigger::level ? XENIRQSTAT_needs_eoi : 0u;
}

Result<> register_eoi_page(Domain& d, Mfn page, bool unmasks) {
    PirqTable& t = d.pirqs;
    TRY(hold_writable_page(d, page));
    bool taken = false;
    {
        LockGuard guard(t.lock);
        taken = t.eoi_page != kNoMfn;
        if (!taken) {
            t.eoi_page = page;
            t.eoi_unmasks = unmasks;
            for (u32 i = t.entries.next_present(0); i < kMaxPirqs; i = t.entries.next_present(i + 1))
                if (PirqEntry* e = mapped_entry(t, Pirq(i))) show_need(t, *e);
        }
    }
    if (!taken) return {};
    release_writable_page(page);
    return fail(Error::busy);
}

void forget_eoi_page(Domain& d) {
    Mfn page = kNoMfn;
    {
        LockGuard guard(d.pirqs.lock);
        page = std::exchange(d.pirqs.eoi_page, kNoMfn);
        d.pirqs.eoi_unmasks = false;
    }
    if (page != kNoMfn) release_writable_page(page);
}

Result<> bind_pirq_line(Domain& d, Pirq pirq, EvtPort port) {
    LockGuard guard(d.pirqs.lock);
    PirqEntry* e = mapped_entry(d.pirqs, pirq);
    if (e == nullptr) return fail(Error::inval);
    if (e->port.load() != 0) return fail(Error::exist);
    TRY(port::irq_attach(e->irq, {fired, e}));
    e->port.store(port.v);
    show_need(d.pirqs, *e);  // its trigger mode may have been set since it was mapped
    return {};
}

void start_pirq(Domain& d, Pirq pirq, EvtPort port) {
    LockGuard guard(d.pirqs.lock);
    PirqEntry* e = mapped_entry(d.pirqs, pirq);
    if (e != nullptr && e->port.load() == port.v) port::irq_unmask(e->irq);
}

void unbind_pirq(Domain& d, Pirq pirq, EvtPort port) {
    LockGuard guard(d.pirqs.lock);
    PirqEntry* e = mapped_entry(d.pirqs, pirq);
    if (e != nullptr && e->port.load() == port.v) unbind(*e);
}

void aim_pirq(Domain& d, Pirq pirq, VcpuId vcpu) {
    const Vcpu* v = d.vcpu(vcpu);
    LockGuard guard(d.pirqs.lock);
    const PirqEntry* e = mapped_entry(d.pirqs, pirq);
    // Only a preference: where that CPU has no vector left the interrupt stays where it is.
    if (v != nullptr && e != nullptr) static_cast<void>(port::irq_set_affinity(e->irq, v->sched.cpu));
}

}  // namespace domus::core
