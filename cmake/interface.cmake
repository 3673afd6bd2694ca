# The interface file as a C string: ${control_interface}, made anew when the file changes.

set(interface_file ${PROJECT_SOURCE_DIR}/daemon/supervisor/control/org.sockserver.Control.varlink)
set(control_interface ${PROJECT_BINARY_DIR}/control_interface.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${interface_file})

file(READ ${interface_file} interface_bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," interface_bytes ${interface_bytes})
file(CONFIGURE OUTPUT ${control_interface} @ONLY CONTENT
"/* made from org.sockserver.Control.varlink */
extern const char control_interface[];
const char control_interface[] = {@interface_bytes@0};
")
