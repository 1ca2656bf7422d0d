// SPDX-License-Identifier: GPL-2.0-or-later
// The formatter behind format_to() and log().
#include "base/format.hpp"

namespace domus {

namespace {

struct Spec {
    bool hex = false, prefix = false, zero = false, left = false;
    unsigned width = 0;
};

class Sink {
  public:
    explicit Sink(std::span<char> out) : out_(out) {}
    void put(char c) {
        if (n_ + 1 < out_.size()) out_[n_++] = c;
    }
    void put(std::string_view s) {
        for (char c : s) put(c);
    }
    void fill(char c, usize n) {
        while (n-- > 0) put(c);
    }
    usize finish() {
        if (!out_.empty()) out_[n_] = '\0';
        return n_;
    }

  private:
    std::span<char> out_;
    usize n_ = 0;
};

Spec parse_spec(std::string_view s) {
    Spec spec;
    for (char c : s) {
        if (c == '#') {
            spec.prefix = true;
        } else if (c == '<') {
            spec.left = true;
        } else if (c == 'x') {
            spec.hex = true;
        } else if (c == '0' && spec.width == 0) {
            spec.zero = true;
        } else if (c >= '0' && c <= '9') {
            spec.width = spec.width * 10 + static_cast<unsigned>(c - '0');
        }
    }
    return spec;
}

void put_padded(Sink& sink, const Spec& spec, std::string_view sign, std::string_view body) {
    const usize len = sign.size() + body.size();
    const usize pad = spec.width > len ? spec.width - len : 0;
    if (!spec.left && !spec.zero) sink.fill(' ', pad);
    sink.put(sign);
    if (!spec.left && spec.zero) sink.fill('0', pad);
    sink.put(body);
    if (spec.left) sink.fill(' ', pad);
}

void put_number(Sink& sink, const Spec& spec, bool hex, bool negative, u64 n) {
    char digits[20];
    usize at = sizeof digits;
    const u64 base = hex ? 16 : 10;
    if (negative) n = 0 - n;
    do {
        digits[--at] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n != 0);
    const std::string_view sign = negative ? "-" : hex && spec.prefix ? "0x" : "";
    put_padded(sink, spec, sign, std::string_view(digits + at, sizeof digits - at));
}

void put_arg(Sink& sink, const Spec& spec, const FormatArg& arg) {
    using K = FormatArg::Kind;
    switch (arg.kind) {
        case K::text: put_padded(sink, spec, "", arg.text.data() == nullptr ? "(null)" : arg.text); break;
        case K::character: {
            const char c = static_cast<char>(arg.number);
            put_padded(sink, spec, "", std::string_view(&c, 1));
            break;
        }
        case K::boolean: put_padded(sink, spec, "", arg.number != 0 ? "yes" : "no"); break;
        case K::pointer: put_number(sink, {.prefix = true}, true, false, arg.number); break;
        case K::signed_int:
            put_number(sink, spec, spec.hex, !spec.hex && static_cast<s64>(arg.number) < 0, arg.number);
            break;
        case K::unsigned_int:
            put_number(sink, spec, spec.hex || arg.hex_by_default, false, arg.number);
            break;
    }
}

}  // namespace

namespace detail {

usize vformat(std::span<char> out, std::string_view fmt, std::span<const FormatArg> args) {
    Sink sink(out);
    usize next = 0;
    for (usize i = 0; i < fmt.size(); i++) {
        const char c = fmt[i];
        const bool doubled = i + 1 < fmt.size() && fmt[i + 1] == c;
        if ((c == '{' || c == '}') && doubled) {
            sink.put(c);
            i++;
        } else if (c == '{') {
            const usize end = fmt.find('}', i);
            Spec spec;
            if (end > i + 1) spec = parse_spec(fmt.substr(i + 2, end - i - 2));
            if (next < args.size()) put_arg(sink, spec, args[next++]);
            i = end;
        } else {
            sink.put(c);
        }
    }
    return sink.finish();
}

}  // namespace detail

std::string_view error_name(Error e) {
    switch (e) {
        case Error::perm: return "EPERM";
        case Error::noent: return "ENOENT";
        case Error::srch: return "ESRCH";
        case Error::intr: return "EINTR";
        case Error::io: return "EIO";
        case Error::nxio: return "ENXIO";
        case Error::toobig: return "E2BIG";
        case Error::noexec: return "ENOEXEC";
        case Error::badf: return "EBADF";
        case Error::again: return "EAGAIN";
        case Error::nomem: return "ENOMEM";
        case Error::access: return "EACCES";
        case Error::fault: return "EFAULT";
        case Error::busy: return "EBUSY";
        case Error::exist: return "EEXIST";
        case Error::xdev: return "EXDEV";
        case Error::nodev: return "ENODEV";
        case Error::inval: return "EINVAL";
        case Error::nospc: return "ENOSPC";
        case Error::rofs: return "EROFS";
        case Error::range: return "ERANGE";
        case Error::deadlk: return "EDEADLK";
        case Error::nosys: return "ENOSYS";
        case Error::nodata: return "ENODATA";
        case Error::time: return "ETIME";
        case Error::overflow: return "EOVERFLOW";
        case Error::ilseq: return "EILSEQ";
        case Error::restart: return "ERESTART";
        case Error::nobufs: return "ENOBUFS";
        case Error::isconn: return "EISCONN";
        case Error::notconn: return "ENOTCONN";
        case Error::timedout: return "ETIMEDOUT";
        case Error::opnotsupp: return "EOPNOTSUPP";
        case Error::addrinuse: return "EADDRINUSE";
        case Error::addrnotavail: return "EADDRNOTAVAIL";
    }
    return "E?";
}

}  // namespace domus
