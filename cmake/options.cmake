# How the daemon, the plugins and the tests are compiled: warnings, hardening, instrumentation.

include(CheckCCompilerFlag)
include(CheckPIESupported)

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported(LANGUAGES C)

add_library(options INTERFACE)
target_compile_definitions(options INTERFACE _GNU_SOURCE)
target_compile_options(options INTERFACE
  -Wall -Wextra -Wconversion -Wvla -fno-omit-frame-pointer
  # C++ lets a function hide a type's name, as plugin.h's do, and has no other prototypes.
  $<$<COMPILE_LANGUAGE:C>:-Wshadow> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>)
target_link_options(options INTERFACE -Wl,-z,relro,-z,now)

# Adds a flag where the compiler and the processor know it.
function(add_flag_if_known flag)
  string(MAKE_C_IDENTIFIER known${flag} known)
  check_c_compiler_flag("${flag} -Werror" ${known})
  if(${known})
    target_compile_options(options INTERFACE ${flag})
  endif()
endfunction()

# The sanitizers bring checks of their own, which the fortified functions would hide from them.
if(SANITIZE STREQUAL "")
  target_compile_options(options INTERFACE -fstack-protector-strong)
  add_flag_if_known(-fstack-clash-protection)
  add_flag_if_known(-fcf-protection)
  target_compile_options(options INTERFACE
    $<$<NOT:$<OR:$<CONFIG:Debug>,$<BOOL:${COVERAGE}>>>:-U_FORTIFY_SOURCE>
    $<$<NOT:$<OR:$<CONFIG:Debug>,$<BOOL:${COVERAGE}>>>:-D_FORTIFY_SOURCE=2>)
elseif(SANITIZE STREQUAL "address")
  set(instrumentation -fsanitize=address,undefined -fno-sanitize-recover=undefined)
elseif(SANITIZE STREQUAL "thread")
  set(instrumentation -fsanitize=thread)
else()
  message(FATAL_ERROR "SANITIZE is \"${SANITIZE}\"; it can be address, thread or empty")
endif()

if(COVERAGE)
  # Threads of one process count the same lines, and a lost addition makes a counter negative.
  list(APPEND instrumentation --coverage -fprofile-update=atomic)
  target_compile_definitions(options INTERFACE SOCKSERVERD_COVERAGE)
  add_library(pause_faults STATIC ${PROJECT_SOURCE_DIR}/tests/coverage/pause_faults.c)
  target_compile_definitions(pause_faults PRIVATE _GNU_SOURCE)
  target_link_libraries(options INTERFACE pause_faults)
  target_link_options(options INTERFACE -Wl,--wrap=__gcov_exit,--wrap=__gcov_dump)
endif()
if(FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "FUZZ needs clang: add -DCMAKE_C_COMPILER=clang")
  endif()
  list(APPEND instrumentation -fsanitize=fuzzer-no-link)
endif()
target_compile_options(options INTERFACE ${instrumentation})
if(FUZZ)
  # It asks the run-time library of C++, which the fuzzer, a C program, is linked without.
  target_compile_options(options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
endif()
target_link_options(options INTERFACE ${instrumentation})
