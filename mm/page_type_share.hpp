// SPDX-License-Identifier: GPL-2.0-or-later
// Using a page as what it is, whatever that is.
#pragma once

#include "mm/page_type.hpp"

namespace domus {

// One more use of a type other than writable that the page has now: false if it has not. Never changes the
// page, nor its type. Given up by put_page_type().
bool share_page_type(Frame& f, PageType t);

}  // namespace domus
