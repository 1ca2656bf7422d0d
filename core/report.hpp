// SPDX-License-Identifier: GPL-2.0-or-later
// Reports for people, by debug key: lines that are formatted on the stack and written one by one.
#pragma once

#include "base/format.hpp"

namespace domus::core {

class Report {
  public:
    explicit Report(void (*write)(std::string_view)) : write_(write) {}
    template <class... Args>
    void line(FormatString<Args...> fmt, const Args&... args) const {
        char text[160];
        write_(std::string_view(text, format_to(text, fmt, args...)));
    }

  private:
    void (*write_)(std::string_view);
};

}  // namespace domus::core
