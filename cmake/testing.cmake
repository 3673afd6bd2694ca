# What <sockserver/test.h> declares: lib/libsockserver-test.a.
#
# It is made of the daemon's own rooms, with another clock, another log and other transports. As a
# plugin is free to call its functions what it likes, all of it is one object in which only ss_* is
# global.

file(GLOB testing_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/daemon/testing/*.c)
add_library(testing OBJECT ${testing_sources})
target_link_libraries(testing PRIVATE worker config options)
target_compile_options(testing PRIVATE -fexceptions) # a test may throw in ss_test_on_failure()

set(testing_library ${PROJECT_BINARY_DIR}/lib/libsockserver-test.a)
set(testing_object ${PROJECT_BINARY_DIR}/CMakeFiles/sockserver-test.o)
find_program(OBJCOPY NAMES objcopy ${CMAKE_OBJCOPY} REQUIRED)
add_custom_command(
  OUTPUT ${testing_library}
  COMMAND ${CMAKE_LINKER} -r -o ${testing_object} $<TARGET_OBJECTS:testing>
          --whole-archive $<TARGET_FILE:worker> --no-whole-archive
          --start-group $<TARGET_FILE:config> $<TARGET_FILE:common> --end-group
  COMMAND ${OBJCOPY} --wildcard --keep-global-symbol=ss_* ${testing_object}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${testing_library}
  COMMAND ${CMAKE_AR} qcs ${testing_library} ${testing_object}
  DEPENDS testing $<TARGET_OBJECTS:testing> worker config common
  COMMAND_EXPAND_LISTS VERBATIM
  COMMENT "Making libsockserver-test.a")
add_custom_target(testing_archive ALL DEPENDS ${testing_library})

# What a test links with: plugins that it loads find the calls in the program.
set(testing_exports ${PROJECT_SOURCE_DIR}/daemon/testing/exports.list)
add_library(sockserver_test INTERFACE)
add_library(sockserver::test ALIAS sockserver_test)
target_link_libraries(sockserver_test INTERFACE sockserver::plugin ${testing_library}
                      ${CMAKE_DL_LIBS} Threads::Threads m)
target_link_options(sockserver_test INTERFACE -Wl,--dynamic-list=${testing_exports})
add_dependencies(sockserver_test testing_archive)

# sockserverd-fuzz: libFuzzer, which is a part of clang, over the same library. It exports the calls, and
# what instrumented plugins call. gcc's instrumentation is not clang's.
find_program(FUZZ_CLANG NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14)
set(fuzz_flags -g -O1 -fsanitize=fuzzer,address -D_GNU_SOURCE -I${PROJECT_SOURCE_DIR}/include)
set(fuzz_missing)
if(NOT FUZZ AND (NOT SANITIZE STREQUAL "" OR COVERAGE))
  set(fuzz_missing "it is not built with SANITIZE or COVERAGE")
elseif(NOT FUZZ_CLANG)
  set(fuzz_missing "clang is missing")
elseif(NOT DEFINED FUZZ_WORKS)
  file(WRITE ${PROJECT_BINARY_DIR}/CMakeFiles/try_fuzz.c
       "int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d == 0 && n; }\n")
  execute_process(COMMAND ${FUZZ_CLANG} ${fuzz_flags} -o ${PROJECT_BINARY_DIR}/CMakeFiles/try_fuzz
                          ${PROJECT_BINARY_DIR}/CMakeFiles/try_fuzz.c
                  RESULT_VARIABLE fuzz_status OUTPUT_QUIET ERROR_QUIET)
  if(fuzz_status EQUAL 0)
    set(FUZZ_WORKS ON CACHE INTERNAL "Whether clang has libFuzzer")
  endif()
endif()
if(NOT fuzz_missing AND NOT FUZZ_WORKS)
  set(fuzz_missing "libFuzzer (libclang-rt-dev) is missing")
endif()

if(fuzz_missing)
  message(STATUS "sockserverd-fuzz is left out: ${fuzz_missing}")
else()
  set(fuzz_program ${PROJECT_BINARY_DIR}/bin/sockserverd-fuzz)
  set(fuzz_source ${PROJECT_SOURCE_DIR}/daemon/fuzz_main.c)
  add_custom_command(
    OUTPUT ${fuzz_program}
    COMMAND ${FUZZ_CLANG} ${fuzz_flags} -Wall -Wextra -o ${fuzz_program} ${fuzz_source}
            ${testing_library} -rdynamic -pthread -lm -ldl
    DEPENDS ${fuzz_source} ${PROJECT_SOURCE_DIR}/include/sockserver/test.h
            ${PROJECT_SOURCE_DIR}/include/sockserver/plugin.h ${testing_library}
    VERBATIM COMMENT "Linking sockserverd-fuzz")
  add_custom_target(fuzz_program ALL DEPENDS ${fuzz_program})
  add_dependencies(fuzz_program testing_archive) # or both would make the library, at the same time
endif()
