# Completes strongroom in fish; made by `strongroom completion fish`.
function __strongroom_at
    set -l at strongroom
    for word in (commandline -opc)[2..]
        contains -- "$at $word" $__strongroom_commands; and set at "$at $word"
    end
    test "$at" = "$argv"
end
# THE WORDS
