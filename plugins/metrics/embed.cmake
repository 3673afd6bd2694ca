# embed.cmake - turns the page into a C array; runs at build time: cmake -DFROM=... -DTO=... -P
#
# What is for its readers only does not go out with it: indentation, empty lines, and lines that are a
# comment of HTML, CSS or JavaScript as a whole.

file(READ ${FROM} page HEX)
string(REGEX REPLACE "(..)" "0x\\1," page "0a${page}")
set(rest "(0x[1-9a-f].,|0x0[0-9b-f],)*") # of a line
string(REGEX REPLACE "0x0a,(0x20,)+" "0x0a," page "${page}")
foreach(comment IN ITEMS 0x2f,0x2f, 0x2f,0x2a, 0x3c,0x21,0x2d,0x2d,)
  string(REGEX REPLACE "0x0a,${comment}${rest}" "" page "${page}")
endforeach()
string(REGEX REPLACE "(0x0a,)+" "0x0a," page "${page}")
string(REGEX REPLACE "^0x0a," "" page "${page}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" page "${page}")
file(WRITE ${TO} "/* Made of page.html. */\nextern const unsigned char page_html[];\n\nconst unsigned char page_html[] = {\n${page}0x00};\n")
