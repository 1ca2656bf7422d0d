# SPDX-License-Identifier: GPL-2.0-or-later
# Compiler flags. `domus_flags` is what every room of ours is compiled with; third-party code takes
# `domus_machine_flags` alone (the ABI of the image, without our warnings).

add_library(domus_machine_flags INTERFACE)
add_library(domus_flags INTERFACE)
target_link_libraries(domus_flags INTERFACE domus_machine_flags)

if(DOMUS_TARGET STREQUAL hypervisor)
  # The image lives at a fixed address of the ABI's hypervisor range, outside the top 2 GiB that -mcmodel=kernel wants:
  # position independent code with hidden symbols reaches everything relative to RIP, and needs no GOT.
  # General registers only: the vector state always belongs to a guest. With clang, -mgeneral-regs-only would refuse even the
  # declarations of long double in libstdc++'s headers.
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    set(general_registers_only -mno-avx -mno-sse -mno-mmx)
  else()
    set(general_registers_only -mgeneral-regs-only)
  endif()
  target_compile_options(domus_machine_flags INTERFACE
    -ffreestanding -fpie -fvisibility=hidden -mno-red-zone ${general_registers_only} -fno-stack-protector
    -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fcf-protection=none -ffunction-sections -fdata-sections
    -fno-strict-aliasing -O2 -g)
  target_compile_options(domus_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fno-threadsafe-statics>)
  target_compile_definitions(domus_flags INTERFACE DOMUS_HYPERVISOR=1)
else()
  target_compile_options(domus_machine_flags INTERFACE -O1 -g)
  if(DOMUS_SANITIZE)
    target_compile_options(domus_machine_flags INTERFACE -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all)
    target_link_options(domus_machine_flags INTERFACE -fsanitize=address,undefined)
  endif()
endif()

target_compile_options(domus_flags INTERFACE
  -Wall -Wextra -Werror -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -Wconversion -Wnon-virtual-dtor>)
if(DOMUS_ASSERTIONS OR DOMUS_TARGET STREQUAL host)
  target_compile_definitions(domus_flags INTERFACE DOMUS_ASSERTIONS=1)
endif()
