// SPDX-License-Identifier: GPL-2.0-or-later
// The memory functions that a compiler or libstdc++'s headers call in freestanding code. REP string
// instructions: every CPU we run on has the fast-string microcode, and they keep the vector registers the
// guest's.
#include <cstddef>

extern "C" {

void* memcpy(void* __restrict dst, const void* __restrict src, std::size_t n) {
    void* d = dst;
    std::size_t words = n >> 3, rest = n & 7;
    asm volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words) : : "memory");
    asm volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(rest) : : "memory");
    return dst;
}

void* memset(void* dst, int value, std::size_t n) {
    void* d = dst;
    std::size_t words = n >> 3, rest = n & 7;
    const unsigned long pattern = static_cast<unsigned char>(value) * 0x0101010101010101ul;
    asm volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    asm volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
    return dst;
}

void* memmove(void* dst, const void* src, std::size_t n) {
    auto* d = static_cast<unsigned char*>(dst);
    const auto* s = static_cast<const unsigned char*>(src);
    if (d <= s || d >= s + n) {
        void* to = d;
        asm volatile("rep movsb" : "+D"(to), "+S"(s), "+c"(n) : : "memory");
    } else {
        while (n-- > 0) d[n] = s[n];
    }
    return dst;
}

int memcmp(const void* a, const void* b, std::size_t n) {
    const auto* x = static_cast<const unsigned char*>(a);
    const auto* y = static_cast<const unsigned char*>(b);
    for (std::size_t i = 0; i < n; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

void* memchr(const void* s, int c, std::size_t n) {
    const auto* p = static_cast<const unsigned char*>(s);
    for (std::size_t i = 0; i < n; i++)
        if (p[i] == static_cast<unsigned char>(c)) return const_cast<unsigned char*>(p + i);
    return nullptr;
}

std::size_t strlen(const char* s) {
    std::size_t n = 0;
    while (s[n] != '\0') n++;
    return n;
}

}  // extern "C"
