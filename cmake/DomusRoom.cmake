# SPDX-License-Identifier: GPL-2.0-or-later
# domus_room(NAME [SOURCES files…] [USES rooms…]): one room of the house as a library.
#
# The include path of a room holds exactly the rooms that it USES (and what those use): each room is published under
# build/rooms/NAME/NAME, a link to its folder, so that `#include "mm/frame.hpp"` resolves only for targets that link mm.
# A dependency that the plan forbids therefore does not compile.
function(domus_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES" ${ARGN})
  set(published ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${published})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${published}/${name} SYMBOLIC)
  if(ROOM_SOURCES)
    add_library(${name} OBJECT ${ROOM_SOURCES})
    target_link_libraries(${name} PRIVATE domus_flags PUBLIC ${ROOM_USES})
    target_include_directories(${name} PUBLIC ${published})
    set_property(GLOBAL APPEND PROPERTY DOMUS_ROOM_OBJECTS $<TARGET_OBJECTS:${name}>)
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${ROOM_USES})
    target_include_directories(${name} INTERFACE ${published})
  endif()
  set_property(GLOBAL APPEND PROPERTY DOMUS_ROOMS ${name})
endfunction()
