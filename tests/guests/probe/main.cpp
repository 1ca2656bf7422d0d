// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/start.hpp"
void guest::run(const start_info_t&) {}
