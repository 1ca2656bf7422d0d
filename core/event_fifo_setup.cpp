// SPDX-License-Identifier: GPL-2.0-or-later
// Setting up the FIFO layout: the pages that the guest gives for it, the change from two levels and back.
// Senders look things up without the domain's lock: what they can still see is freed after a grace period.
#include <utility>

#include "core/domain.hpp"
#include "core/event_abi.hpp"
#include "core/event_fifo.hpp"
#include "core/evtchn.hpp"
#include "core/pages.hpp"
#include "port/memory.hpp"

namespace domus::core {

namespace {

// A page held for writing; given back unless it is kept.
class HeldPage {
  public:
    static Result<HeldPage> take(Domain& d, Mfn m) {
        TRY(hold_writable_page(d, m));
        return HeldPage(m);
    }
    HeldPage(HeldPage&& o) noexcept : frame_(std::exchange(o.frame_, kNoMfn)) {}
    HeldPage(const HeldPage&) = delete;
    HeldPage& operator=(const HeldPage&) = delete;
    HeldPage& operator=(HeldPage&&) = delete;
    ~HeldPage() {
        if (frame_ != kNoMfn) release_writable_page(frame_);
    }
    Mfn keep() { return std::exchange(frame_, kNoMfn); }

  private:
    explicit HeldPage(Mfn m) : frame_(m) {}
    Mfn frame_;
};

void free_fifo(void* arg) {
    const Box<FifoEvents> f = Box<FifoEvents>::adopt(static_cast<FifoEvents*>(arg));
    for (auto& slot : f->vcpus) {
        const Box<FifoVcpu> v = Box<FifoVcpu>::adopt(slot.load(std::memory_order_relaxed));
        if (v) release_writable_page(v->frame);
    }
    for (u32 i = 0; i < f->page_count; i++) {
        release_writable_page(mfn(port::direct_map_address(f->pages[i].load(std::memory_order_relaxed))));
    }
}

// With the domain's lock. Ports that are pending in the old layout, and will not be told of there any more,
// become pending in the new one.
void take_over_pending(Domain& d, FifoEvents& f) {
    EventChannels& e = d.events;
    for (u32 p = e.ports.next_present(1); p < EVTCHN_2L_NR_CHANNELS; p = e.ports.next_present(p + 1)) {
        Channel* c = e.ports.find(p);
        LockGuard guard(c->lock);  // no sender is now on its way by the old layout
        if (!event_state::in_use(c->state()) || !two_level_events(d).is_pending(d, *c, EvtPort(p))) continue;
        c->fifo.store(FifoMark{.generation = f.generation, .pending = true}.pack(),
                      std::memory_order_relaxed);
    }
}

}  // namespace

Result<> init_fifo_control(Domain& d, VcpuId vcpu, Mfn frame, u32 offset) {
    if (d.vcpu(vcpu) == nullptr) return fail(Error::noent);
    if (offset > kPageSize - sizeof(evtchn_fifo_control_block_t) || offset % 8 != 0)
        return fail(Error::inval);
    Box<FifoVcpu> control = TRY(make<FifoVcpu>());
    Box<FifoEvents> fresh;
    EventChannels& e = d.events;
    if (e.fifo.load(std::memory_order_acquire) == nullptr) {
        fresh = TRY(make<FifoEvents>());
        fresh->vcpus = TRY(make_array<std::atomic<FifoVcpu*>>(d.max_vcpus));
    }
    HeldPage page = TRY(HeldPage::take(d, frame));
    control->block = reinterpret_cast<evtchn_fifo_control_block_t*>(port::frame_ptr<u8>(frame) + offset);
    control->frame = frame;

    LockGuard guard(e.lock);
    if (d.dying.load(std::memory_order_relaxed) != Dying::no) return fail(Error::inval);
    FifoEvents* f = e.fifo.load(std::memory_order_relaxed);
    if (f == nullptr && !fresh) return fail(Error::again);  // reset at the same time
    const bool first = f == nullptr;
    if (first) f = fresh.get();
    if (f->vcpu(vcpu.v) != nullptr) return fail(Error::inval);
    page.keep();
    f->vcpus[vcpu.v].store(control.release(), std::memory_order_release);
    if (!first) return {};
    f->generation = e.fifo_generation++ % FifoMark::kGenerations;
    e.fifo.store(fresh.release(), std::memory_order_release);
    e.abi.store(&kFifoEvents, std::memory_order_release);
    take_over_pending(d, *f);
    return {};
}

Result<> expand_fifo_array(Domain& d, Mfn frame) {
    EventChannels& e = d.events;
    if (e.fifo.load(std::memory_order_acquire) == nullptr) return fail(Error::opnotsupp);
    HeldPage page = TRY(HeldPage::take(d, frame));
    u32 first = 0;
    {
        LockGuard guard(e.lock);
        FifoEvents* f = e.fifo.load(std::memory_order_relaxed);
        if (f == nullptr) return fail(Error::opnotsupp);
        if (f->page_count == FifoEvents::kMaxPages) return fail(Error::nospc);
        first = f->page_count * FifoEvents::kWordsPerPage;
        f->pages[f->page_count].store(port::frame_ptr<event_word_t>(page.keep()), std::memory_order_release);
        f->page_count++;
    }
    // What has become pending before it had a word.
    const u32 end = first + FifoEvents::kWordsPerPage;
    for (u32 p = e.ports.next_present(first); p < end; p = e.ports.next_present(p + 1)) {
        Channel* c = e.ports.find(p);
        LockGuard guard(c->lock);
        const FifoEvents* f = e.fifo.load(std::memory_order_acquire);
        const FifoMark mark = FifoMark::unpack(c->fifo.load(std::memory_order_relaxed));
        if (f == nullptr || !mark.pending || mark.generation != f->generation) continue;
        c->fifo.store(0, std::memory_order_relaxed);
        const ChannelState s = c->state();
        if (!event_state::in_use(s)) continue;
        if (Vcpu* v = d.vcpu(VcpuId(s.notify))) kFifoEvents.set_pending(d, *c, EvtPort(p), *v);
    }
    return {};
}

void leave_fifo(Domain& d) {
    EventChannels& e = d.events;
    FifoEvents* f = nullptr;
    {
        LockGuard guard(e.lock);
        e.abi.store(&two_level_events(d), std::memory_order_release);
        f = e.fifo.exchange(nullptr);
        if (e.lowest_free > EVTCHN_2L_NR_CHANNELS) e.lowest_free = EVTCHN_2L_NR_CHANNELS;
    }
    if (f != nullptr) defer(f->deferred, free_fifo, f);
}

}  // namespace domus::core
