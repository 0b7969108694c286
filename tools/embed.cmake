# SPDX-License-Identifier: MIT
# Writes the interface texts as C arrays, byte by byte, so that no quoting can go wrong.
function(emit name path)
    file(READ ${path} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "((0x..,){16})" "\\1\n        " bytes "${bytes}")
    file(APPEND ${OUT} "const char ${name}[] = {\n        ${bytes}0};\n")
endfunction()
file(WRITE ${OUT} "/* SPDX-License-Identifier: MIT */\n#include <proto/request.h>\n")
emit(proto_interface_description ${BROKER})
emit(proto_service_description ${SERVICE})
