# SPDX-License-Identifier: MIT
# Writes texts as C arrays, byte by byte, so that no quoting can go wrong: each that is asked for by
# its name, -Dproto_service_description=PATH, into OUT. HEADER declares them.
function(emit name)
    if(NOT DEFINED ${name})
        return()
    endif()
    file(READ ${${name}} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "((0x..,){16})" "\\1\n        " bytes "${bytes}")
    file(APPEND ${OUT} "const char ${name}[] = {\n        ${bytes}0};\n")
endfunction()
file(WRITE ${OUT} "/* SPDX-License-Identifier: MIT */\n#include <${HEADER}>\n")
emit(proto_interface_description)
emit(proto_service_description)
emit(broker_syscalls)
