# Where everything goes. All but the configuration lies under the prefix and may be moved with it.

include(CMakePackageConfigHelpers)

set(plugin_dir lib/sockserverd/plugins) # the same on every distribution
install(TARGETS sockserverd sockserverctl DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS worker_program DESTINATION lib/sockserverd) # found from beside bin
if(TARGET tls_module)
  install(TARGETS tls_module DESTINATION lib/sockserverd) # found from beside the worker's program
endif()
install(TARGETS ${installed_plugins} DESTINATION ${plugin_dir})
install(DIRECTORY include/sockserver DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN *.h)

# For authors: pkg-config, CMake, and something to start from.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_DATADIR}/pkgconfig /)
configure_file(cmake/sockserver.pc.in sockserver.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sockserver.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)

configure_file(cmake/sockserver-test.pc.in sockserver-test.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sockserver-test.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
install(FILES ${testing_library} DESTINATION lib) # beside lib/sockserverd, everywhere
install(FILES ${testing_exports} DESTINATION lib/sockserverd
        RENAME test-exports.list)

if(TARGET fuzz_program)
  install(PROGRAMS ${fuzz_program} DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/sockserver)
configure_package_config_file(cmake/sockserver-config.cmake.in sockserver-config.cmake
  INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR plugin_dir)
write_basic_package_version_file(sockserver-config-version.cmake
  COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES cmake/sockserver.cmake ${PROJECT_BINARY_DIR}/sockserver-config.cmake
              ${PROJECT_BINARY_DIR}/sockserver-config-version.cmake
        DESTINATION ${package_dir})
install(DIRECTORY plugins/template DESTINATION ${CMAKE_INSTALL_DATADIR}/sockserverd)

# What pkg-config finds in the build folder (PKG_CONFIG_PATH=build), and what the daemon does there.
configure_file(cmake/sockserver-uninstalled.pc.in sockserver-uninstalled.pc @ONLY)
configure_file(cmake/sockserver-test-uninstalled.pc.in sockserver-test-uninstalled.pc @ONLY)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/lib/sockserverd ${PROJECT_BINARY_DIR}/plugins)
file(CREATE_LINK ${PROJECT_BINARY_DIR}/plugins ${PROJECT_BINARY_DIR}/lib/sockserverd/plugins SYMBOLIC)

# For operators: manuals (each beside what it documents), documents, examples, units.
file(GLOB_RECURSE manuals CONFIGURE_DEPENDS daemon/*.[1-8] include/*.[1-8] plugins/*.[1-8])
foreach(manual IN LISTS manuals)
  string(REGEX REPLACE ".*\\." "" section ${manual})
  install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
file(GLOB documents CONFIGURE_DEPENDS docs/*.md)
install(FILES README.md CHANGES.md LICENSE ${documents} DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(EXISTS ${PROJECT_SOURCE_DIR}/conf/examples)
  install(DIRECTORY conf/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN CMakeLists.txt EXCLUDE)
install(PROGRAMS packaging/bpftrace/changes.bt packaging/bpftrace/latency.bt packaging/bpftrace/slow.bt
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/bpftrace)
install(DIRECTORY packaging/haproxy packaging/kubernetes packaging/prometheus
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES daemon/supervisor/control/org.sockserver.Control.varlink
        DESTINATION ${CMAKE_INSTALL_DATADIR}/sockserverd)
install(FILES daemon/ctl/sockserverctl.bash RENAME sockserverctl
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)

# systemd: the unit knows where the programs are; the examples are for copying.
configure_file(systemd/sockserverd.service.in systemd/sockserverd.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/systemd/sockserverd.service DESTINATION lib/systemd/system)
install(FILES systemd/sockserverd.sysusers DESTINATION lib/sysusers.d RENAME sockserverd.conf)
install(FILES systemd/sockserverd.tmpfiles DESTINATION lib/tmpfiles.d RENAME sockserverd.conf)
install(DIRECTORY systemd/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/systemd)

# The configuration: an operator's own file is never overwritten. With another --prefix than the
# build was configured for, nothing is written outside of it.
set(config_dir ${CMAKE_INSTALL_SYSCONFDIR}/sockserverd)
install(CODE "
  set(directory \"${config_dir}\")
  if(\"\$ENV{DESTDIR}\" STREQUAL \"\" AND NOT CMAKE_INSTALL_PREFIX STREQUAL \"${CMAKE_INSTALL_PREFIX}\")
    set(directory \"\${CMAKE_INSTALL_PREFIX}/etc/sockserverd\")
  endif()
  if(NOT IS_ABSOLUTE \"\${directory}\")
    set(directory \"\${CMAKE_INSTALL_PREFIX}/\${directory}\")
  endif()
  if(NOT EXISTS \"\$ENV{DESTDIR}\${directory}/sockserverd.conf\")
    file(INSTALL \"${PROJECT_SOURCE_DIR}/conf/sockserverd.conf\" DESTINATION \"\${directory}\")
  endif()")
