# Completes strongroom in bash 4.2 and newer; made by `strongroom completion bash`.
# THE WORDS
_strongroom() {
  local at=strongroom word words current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "${_strongroom_options["$at $word"]+known}" ]; then at+=" $word"; fi
  done
  if [ -n "${_strongroom_values["$at $previous"]+known}" ]; then
    words=${_strongroom_values["$at $previous"]}
  elif [[ $current == -* ]]; then
    words=${_strongroom_options["$at"]}
  else
    words=${_strongroom_following["$at"]}
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
# Where no word fits, the shell offers files.
complete -o default -F _strongroom strongroom
