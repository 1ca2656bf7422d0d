// SPDX-License-Identifier: GPL-2.0-or-later
// Marking ports pending in the FIFO layout. Always with the channel's lock held, so that one port is linked
// by one CPU at a time; a queue's lock orders the ports that are linked to it.
#include "core/event_fifo.hpp"

#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/event_abi.hpp"
#include "core/evtchn.hpp"

namespace domus::core {

namespace {

using Word = std::atomic_ref<event_word_t>;

constexpr u32 kPending = 1u << EVTCHN_FIFO_PENDING, kMasked = 1u << EVTCHN_FIFO_MASKED,
              kLinked = 1u << EVTCHN_FIFO_LINKED, kBusy = 1u << EVTCHN_FIFO_BUSY,
              kLink = EVTCHN_FIFO_LINK_MASK;

// Links `port` behind the port of this word, the tail of its queue. False: the guest has taken the tail off,
// so the queue is empty.
bool append(const Domain& d, event_word_t& tail, EvtPort port) {
    const Word word(tail);
    // The word changes under our hands when the guest takes the tail off, or changes its mask or pending
    // bits. BUSY asks it to leave the mask alone; what else it may rightly do is soon done.
    constexpr unsigned kFreely = 4, kInAll = 64;
    u32 seen = word.load(std::memory_order_relaxed);
    for (unsigned tries = 0; tries < kInAll; tries++) {
        if (tries == kFreely) seen = word.fetch_or(kBusy) | kBusy;
        if ((seen & kLinked) == 0) {
            if (tries >= kFreely) word.fetch_and(~kBusy);
            return false;
        }
        if (word.compare_exchange_strong(seen, (seen & ~(kLink | kBusy)) | port.v)) return true;
    }
    word.fetch_and(~kBusy);
    guest_log(Level::warning,
              "d{}: it changes the event word of a linked port all the time: events behind are lost", d.id);
    return false;
}

// The port's word shows neither MASKED nor LINKED: it goes behind the queue of its vCPU and priority.
void link(Domain& d, const FifoEvents& f, Channel& c, event_word_t& word, EvtPort port, Vcpu& v) {
    FifoVcpu* to = f.vcpu(v.id.v);
    if (to == nullptr) return;  // it will be linked when it is unmasked or sent to again
    const u32 priority = c.state().priority;
    const FifoMark mark = FifoMark::unpack(c.fifo.load(std::memory_order_relaxed));
    if (mark.linked && mark.generation == f.generation &&
        (mark.vcpu != v.id.v || mark.priority != priority)) {
        // Off its old queue, but perhaps still its tail: there nothing may be linked behind it any more.
        if (FifoVcpu* from = f.vcpu(mark.vcpu)) {
            FifoQueue& old = from->queues[mark.priority];
            LockGuard guard(old.lock);
            if (old.tail == port.v) old.tail = 0;
        }
    }
    FifoQueue& queue = to->queues[priority];
    bool was_empty = false;
    {
        LockGuard guard(queue.lock);
        if ((Word(word).fetch_or(kLinked) & kLinked) != 0) return;  // the guest did that
        event_word_t* tail = queue.tail == 0 ? nullptr : f.word(EvtPort(queue.tail));
        // As its own predecessor the port has been taken off: the bit that shows is the one just set.
        was_empty = tail == nullptr || queue.tail == port.v || !append(d, *tail, port);
        if (was_empty) std::atomic_ref(to->block->head[priority]).store(port.v);
        queue.tail = port.v;
    }
    c.fifo.store(
        FifoMark{.generation = f.generation, .linked = true, .vcpu = v.id.v, .priority = priority}.pack(),
        std::memory_order_relaxed);
    if (!was_empty) return;
    const u32 bit = 1u << priority;
    if ((std::atomic_ref(to->block->ready).fetch_or(bit) & bit) == 0) mark_upcall_pending(v);
}

void note_pending(const FifoEvents& f, Channel& c) {
    c.fifo.store(FifoMark{.generation = f.generation, .pending = true}.pack(), std::memory_order_relaxed);
}

void set_pending(Domain& d, Channel& c, EvtPort port, Vcpu& v) {
    const FifoEvents* f = d.events.fifo.load(std::memory_order_acquire);
    if (f == nullptr) return;  // just being reset
    event_word_t* word = f->word(port);
    if (word == nullptr) {
        note_pending(*f, c);
        return;
    }
    const u32 before = Word(*word).fetch_or(kPending);
    if ((before & (kMasked | kLinked)) == 0) link(d, *f, c, *word, port, v);
    if ((before & kPending) == 0) wake_pollers(d, port);
}

void clear_pending(Domain& d, Channel& c, EvtPort port) {
    const FifoEvents* f = d.events.fifo.load(std::memory_order_acquire);
    if (f == nullptr) return;
    if (event_word_t* word = f->word(port)) {
        Word(*word).fetch_and(~kPending);
    } else {
        c.fifo.store(0, std::memory_order_relaxed);  // without a word it was never linked
    }
}

void unmask(Domain& d, Channel& c, EvtPort port, Vcpu& v) {
    const FifoEvents* f = d.events.fifo.load(std::memory_order_acquire);
    event_word_t* word = f == nullptr ? nullptr : f->word(port);
    if (word == nullptr) return;
    const u32 before = Word(*word).fetch_and(~kMasked);
    if ((before & (kPending | kLinked)) == kPending) link(d, *f, c, *word, port, v);
}

bool is_pending(const Domain& d, const Channel& c, EvtPort port) {
    const FifoEvents* f = d.events.fifo.load(std::memory_order_acquire);
    if (f == nullptr) return false;
    if (event_word_t* word = f->word(port)) return (Word(*word).load() & kPending) != 0;
    const FifoMark mark = FifoMark::unpack(c.fifo.load(std::memory_order_relaxed));
    return mark.pending && mark.generation == f->generation;
}

bool is_masked(const Domain& d, const Channel&, EvtPort port) {
    const FifoEvents* f = d.events.fifo.load(std::memory_order_acquire);
    event_word_t* word = f == nullptr ? nullptr : f->word(port);
    return word == nullptr || (Word(*word).load() & kMasked) != 0;
}

}  // namespace

constinit const EventAbi kFifoEvents = {
    .max_ports = EVTCHN_FIFO_NR_CHANNELS,
    .set_pending = set_pending,
    .clear_pending = clear_pending,
    .unmask = unmask,
    .is_pending = is_pending,
    .is_masked = is_masked,
};

}  // namespace domus::core
