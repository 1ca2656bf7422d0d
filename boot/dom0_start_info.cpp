// SPDX-License-Identifier: GPL-2.0-or-later
// Filling in start_info, field by field.
#include "boot/dom0_start_info.hpp"

#include "abi/xen.hpp"
#include "base/log.hpp"

namespace domus {
namespace {

constexpr usize kVideoOffset = sizeof(start_info_t);
static_assert(kVideoOffset + sizeof(dom0_vga_console_info_t) <= kPageSize);
static_assert(kVideoOffset % alignof(dom0_vga_console_info_t) == 0);

// Returns false if dom0 is told of no screen.
bool fill_video(const VideoMode& v, bool efi, dom0_vga_console_info_t& out) {
    switch (v.kind) {
        case VideoMode::Kind::none: return false;
        case VideoMode::Kind::text:
            out.video_type = XEN_VGATYPE_TEXT_MODE_3;
            out.u.text_mode_3.font_height = v.font_height;
            out.u.text_mode_3.cursor_x = v.cursor_x;
            out.u.text_mode_3.cursor_y = v.cursor_y;
            out.u.text_mode_3.rows = static_cast<u16>(v.height);
            out.u.text_mode_3.columns = static_cast<u16>(v.width);
            return true;
        case VideoMode::Kind::linear: break;
    }
    out.video_type = efi ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
    auto& l = out.u.vesa_lfb;
    l.width = static_cast<u16>(v.width);
    l.height = static_cast<u16>(v.height);
    l.bytes_per_line = static_cast<u16>(v.pitch);
    l.bits_per_pixel = v.bits_per_pixel;
    l.lfb_base = static_cast<u32>(v.address);
    l.ext_lfb_base = static_cast<u32>(v.address >> 32);
    l.lfb_size = static_cast<u32>((u64{v.pitch} * v.height + 0xffff) >> 16);  // in 64 KiB
    l.red_pos = v.red_position, l.red_size = v.red_size;
    l.green_pos = v.green_position, l.green_size = v.green_size;
    l.blue_pos = v.blue_position, l.blue_size = v.blue_size;
    const unsigned used = l.red_size + l.green_size + l.blue_size;
    if (used < l.bits_per_pixel) {
        l.rsvd_size = static_cast<u8>(l.bits_per_pixel - used);
        l.rsvd_pos = static_cast<u8>(used);
    }
    return true;
}

void fill_command_line(std::string_view line, std::string_view extra,
                       std::span<int8_t, MAX_GUEST_CMDLINE> out) {
    usize n = 0;
    bool cut = false;
    const auto append = [&](std::string_view text) {
        for (char c : text) {
            if (n + 1 == out.size()) {
                cut = true;
                return;
            }
            out[n++] = static_cast<int8_t>(c);
        }
    };
    append(line);
    if (!line.empty() && !extra.empty()) append(" ");
    append(extra);
    out[n] = 0;
    if (cut) log(Level::warning, "dom0: its command line is longer than {} bytes: cut", out.size() - 1);
}

}  // namespace

void write_start_info(const Dom0Request& q, void* page) {
    const Dom0Layout& l = *q.layout;
    start_info_t& si = *static_cast<start_info_t*>(page);
    static constexpr char kMagic[] = "xen-3.0-x86_64";
    __builtin_memcpy(si.magic, kMagic, sizeof kMagic);
    si.nr_pages = l.pages;
    si.shared_info = q.shared_info.v;
    si.flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    si.pt_base = l.tables.start;
    si.nr_pt_frames = l.tables.pages();
    si.mfn_list = l.frame_list.start;
    si.first_p2m_pfn = l.frame_list_frames.start.v;
    si.nr_p2m_frames = l.frame_list_frames.count + l.frame_list_tables.count;
    if (q.initrd_bytes != 0) {
        si.mod_len = q.initrd_bytes;
        si.mod_start = l.initrd_by_frame ? l.initrd_frames.start.v : l.initrd.start;
        if (l.initrd_by_frame) si.flags |= SIF_MOD_START_PFN;
    }
    fill_command_line(q.command_line, q.extra, si.cmd_line);
    auto& video = *reinterpret_cast<dom0_vga_console_info_t*>(static_cast<u8*>(page) + kVideoOffset);
    if (fill_video(q.video, q.efi, video)) {
        si.console.dom0.info_off = kVideoOffset;
        si.console.dom0.info_size = sizeof video;
    }
}

}  // namespace domus
