# sockserver_plugin(NAME SOURCE...)
#
# Compiles a plugin for sockserverd: a target NAME that makes NAME.so in the build folder (or in
# CMAKE_LIBRARY_OUTPUT_DIRECTORY). C or C++. target_link_libraries() adds what it needs, as usual.
#
#     find_package(sockserver REQUIRED)
#     sockserver_plugin(upper upper.c)
#     install(TARGETS upper DESTINATION ${SOCKSERVER_PLUGIN_DIR})

function(sockserver_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE sockserver::plugin)
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX .so C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
endfunction()
