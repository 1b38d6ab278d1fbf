#compdef strongroom
# Completes strongroom in zsh 5.5 and newer; made by `strongroom completion zsh`.
# THE WORDS
_strongroom() {
  local at=strongroom word
  for word in ${words[2,CURRENT - 1]}; do
    (( ${+_strongroom_options[$at $word]} )) && at+=" $word"
  done
  local taken="$at ${words[CURRENT - 1]}"
  if (( ${+_strongroom_values[$taken]} )); then
    compadd -- ${=_strongroom_values[$taken]} || _files
  elif [[ $PREFIX == -* ]]; then
    compadd -- ${=_strongroom_options[$at]}
  else
    compadd -- ${=_strongroom_following[$at]} || _files
  fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _strongroom "$@"; else compdef _strongroom strongroom; fi
