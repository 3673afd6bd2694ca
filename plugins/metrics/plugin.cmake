# It asks the daemon, in JSON, and reads heads with libhttp-parser.
include(${CMAKE_CURRENT_LIST_DIR}/../http/plugin.cmake)
list(APPEND shared control)
list(APPEND libraries PkgConfig::JANSSON)

# The page, as a C array.
set(page ${CMAKE_CURRENT_BINARY_DIR}/metrics/page_html.c)
add_custom_command(OUTPUT ${page}
                   COMMAND ${CMAKE_COMMAND} -DFROM=${CMAKE_CURRENT_LIST_DIR}/page.html -DTO=${page}
                           -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
                   DEPENDS ${CMAKE_CURRENT_LIST_DIR}/page.html ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
                   VERBATIM)
list(APPEND generated ${page})
