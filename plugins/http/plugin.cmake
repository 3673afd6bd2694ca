# It reads heads with libhttp-parser.
find_path(HTTP_PARSER_INCLUDE http_parser.h)
find_library(HTTP_PARSER_LIBRARY http_parser)
mark_as_advanced(HTTP_PARSER_INCLUDE HTTP_PARSER_LIBRARY)
if(HTTP_PARSER_INCLUDE AND HTTP_PARSER_LIBRARY)
  set(libraries ${HTTP_PARSER_LIBRARY})
else()
  set(missing "libhttp-parser-dev")
endif()
