// SPDX-License-Identifier: GPL-2.0-or-later
// The FIFO event layout (public event_channel.h): one word of state for each port in an array that the guest
// gives page by page, and for each vCPU a control block with the heads of sixteen queues, one a priority,
// through which the words of pending ports are linked.
//
// Who may change what. Words are changed by the guest and by us, always atomically: we set PENDING, LINKED
// and, in the word of a queue's last port, the link to the next; the guest clears LINKED together with the
// link when it takes a port off its queue, then PENDING. A queue's tail is ours alone. Nothing that the guest
// writes is believed further than its own events: links are only written, never followed, and no loop waits
// for it.
#pragma once

#include <atomic>

#include "abi/xen.hpp"
#include "base/result.hpp"
#include "base/types.hpp"
#include "core/quiesce.hpp"
#include "mm/box.hpp"
#include "port/lock.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

struct FifoQueue {
    SpinLock lock{Rank::leaf};
    u32 tail = 0;  // under the lock: the port linked last; perhaps the guest has taken it off
};

struct FifoVcpu {
    evtchn_fifo_control_block_t* block = nullptr;  // in the guest's page
    Mfn frame = kNoMfn;
    FifoQueue queues[EVTCHN_FIFO_MAX_QUEUES];
};

struct FifoEvents {
    static constexpr u32 kWordsPerPage = kPageSize / sizeof(event_word_t);
    static constexpr u32 kMaxPages = EVTCHN_FIFO_NR_CHANNELS / kWordsPerPage;

    std::atomic<event_word_t*> pages[kMaxPages] = {};
    u32 page_count = 0;  // under EventChannels::lock
    u32 generation = 0;  // tells this set-up from earlier ones in FifoMark
    Array<std::atomic<FifoVcpu*>> vcpus;
    Deferred deferred;

    // Null: the guest has not given the page of this port yet.
    event_word_t* word(EvtPort port) const {
        if (port.v >= EVTCHN_FIFO_NR_CHANNELS) return nullptr;
        event_word_t* page = pages[port.v / kWordsPerPage].load(std::memory_order_acquire);
        return page == nullptr ? nullptr : page + port.v % kWordsPerPage;
    }
    // Null: the vCPU has no control block.
    FifoVcpu* vcpu(u32 id) const {
        return id < vcpus.size() ? vcpus[id].load(std::memory_order_acquire) : nullptr;
    }
};

// What a channel remembers for this layout, in one word: the queue that its port was linked to last, because
// it may still be that queue's tail; or that it became pending before it had a word.
struct FifoMark {
    static constexpr u32 kGenerations = 1u << 13;

    u32 generation = 0;
    bool linked = false;  // to the queue (vcpu, priority)
    bool pending = false;
    u32 vcpu = 0, priority = 0;

    constexpr u32 pack() const {
        return generation | u32{linked} << 13 | u32{pending} << 14 | priority << 15 | vcpu << 19;
    }
    static constexpr FifoMark unpack(u32 v) {
        return {v & (kGenerations - 1), ((v >> 13) & 1) != 0, ((v >> 14) & 1) != 0, v >> 19, (v >> 15) & 15};
    }
};

// EVTCHNOP_init_control: the vCPU's control block is at `offset` in this page of d's. The domain's first one
// makes it leave the two-level layout; ports that are pending stay so. ENOENT: no such vCPU. EINVAL: page or
// offset are no place for it, or the vCPU has one. ENOMEM.
Result<> init_fifo_control(Domain& d, VcpuId vcpu, Mfn frame, u32 offset);
// EVTCHNOP_expand_array: the words of the next 1024 ports. EINVAL: no page of d's to write to. ENOSPC: all
// ports have words. EOPNOTSUPP: no control block was given before.
Result<> expand_fifo_array(Domain& d, Mfn frame);
// Back to two levels. The pages are the guest's alone again after a grace period.
void leave_fifo(Domain& d);

}  // namespace domus::core
