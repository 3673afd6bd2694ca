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
          --start-group $<TARGET_FILE:worker> $<TARGET_FILE:config> $<TARGET_FILE:common> --end-group
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
