# It asks the daemon, in JSON, and reads heads with libhttp-parser.
include(${CMAKE_CURRENT_LIST_DIR}/../http/plugin.cmake)
list(APPEND shared control)
list(APPEND libraries PkgConfig::JANSSON)
