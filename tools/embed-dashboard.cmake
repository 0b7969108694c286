# SPDX-License-Identifier: MIT
# Writes the files of -DFILES=PATH;PATH... as assets of the HTTP server into OUT, byte by byte:
# app.js becomes dashboard_app_js, with its type and its digest as the ETag. broker/dashboard.h
# declares them.
set(type_css "text/css; charset=utf-8")
set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
file(WRITE ${OUT} "/* SPDX-License-Identifier: MIT */\n#include <broker/dashboard.h>\n")
foreach(path ${FILES})
    get_filename_component(file ${path} NAME)
    string(REGEX REPLACE "[^a-z0-9]" "_" name ${file})
    string(REGEX REPLACE ".*\\." "" ending ${file})
    if(NOT DEFINED type_${ending})
        message(FATAL_ERROR "${path}: no type is known for .${ending}")
    endif()
    file(READ ${path} hex HEX)
    file(SIZE ${path} size)
    file(SHA256 ${path} digest)
    string(SUBSTRING ${digest} 0 32 digest)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "((0x..,){16})" "\\1\n        " bytes "${bytes}")
    file(APPEND ${OUT} "static const char ${name}[] = {\n        ${bytes}0};\n"
        "const struct http_asset dashboard_${name} = {\n"
        "        .type = \"${type_${ending}}\", .body = ${name}, .length = ${size},\n"
        "        .etag = \"\\\"${digest}\\\"\"};\n")
endforeach()
