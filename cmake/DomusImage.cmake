# SPDX-License-Identifier: GPL-2.0-or-later
# The image, build/<preset>/domus.elf.
#
# Two links: the first gives the addresses of all functions, from which the symbol table of crash reports is made; it lies behind
# the code, so that the second link moves no function.
get_property(objects GLOBAL PROPERTY DOMUS_ROOM_OBJECTS)
get_property(third_party GLOBAL PROPERTY DOMUS_THIRD_PARTY)
set(link_script ${CMAKE_SOURCE_DIR}/arch/x86_64/domus.lds)
function(domus_image name)
  add_executable(${name} ${ARGN})
  target_sources(${name} PRIVATE ${objects})
  target_link_libraries(${name} PRIVATE ${third_party})
  target_link_options(${name} PRIVATE -nostdlib -static -no-pie -Wl,--build-id=sha1 -Wl,-T,${link_script}
    -Wl,--gc-sections -Wl,--no-relax -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -Wl,--orphan-handling=place)
  set_target_properties(${name} PROPERTIES LINK_DEPENDS ${link_script} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} SUFFIX .elf)
endfunction()

file(WRITE ${CMAKE_BINARY_DIR}/empty.S 
  ".globl symbol_count, symbol_offsets, symbol_names, symbol_pool\n"
  ".section .symbols, \"a\"\nsymbol_count: .long 0\nsymbol_offsets:\nsymbol_names:\nsymbol_pool:\n"
  ".section .note.GNU-stack, \"\", @progbits\n")
domus_image(domus-unnamed ${CMAKE_BINARY_DIR}/empty.S)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/symbols.S
  COMMAND ${CMAKE_SOURCE_DIR}/tools/make-symbols $<TARGET_FILE:domus-unnamed> ${CMAKE_NM} > ${CMAKE_BINARY_DIR}/symbols.S
  DEPENDS domus-unnamed ${CMAKE_SOURCE_DIR}/tools/make-symbols VERBATIM)
domus_image(domus ${CMAKE_BINARY_DIR}/symbols.S)
