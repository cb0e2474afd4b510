# Bash completion for sparsefusion, sparsefusion-server, sparsefusion-train and sparsefusion-model: commands and flags,
# as the program's own --help lists them, so that this file names none. Asked for once a command and shell.

declare -gA _sparsefusion_words

# Flags and commands that `$@ --help` shows, one a line.
_sparsefusion_help_words() {
  OMP_WAIT_POLICY=PASSIVE "$@" --help 2>/dev/null </dev/null | awk '
    /^Subcommands:$/ { commands = 1; next }
    /^[A-Z][A-Za-z ]*:$/ { commands = 0; next }
    commands && /^  [^ ]/ { print $1; next }
    /^  -/ {
      sub(/^  /, ""); sub(/  .*/, "")
      count = split($0, names, /[, {}]+/)
      for (i = 1; i <= count; ++i) if (names[i] ~ /^--[a-z]/) print names[i]
    }'
}

_sparsefusion() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} word words key
  local -a command=("$program")
  COMPREPLY=()
  # The commands that stand before the cursor choose whose flags are offered; --flags of the program hold behind them too.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    key="${command[*]}"
    [[ -v _sparsefusion_words[$key] ]] || _sparsefusion_words[$key]=$(_sparsefusion_help_words "${command[@]}")
    [[ $word == [a-z]* && $'\n'"${_sparsefusion_words[$key]}"$'\n' == *$'\n'"$word"$'\n'* ]] && command+=("$word")
  done
  key="${command[*]}"
  [[ -v _sparsefusion_words[$key] ]] || _sparsefusion_words[$key]=$(_sparsefusion_help_words "${command[@]}")
  words=${_sparsefusion_words[$key]}
  ((${#command[@]} == 1)) || words+=$'\n'$(grep '^--' <<<"${_sparsefusion_words[$program]}")
  [[ $current == -* ]] || words=$(grep -v '^-' <<<"$words")
  # Nothing left: -o default goes on with file names.
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current" | sort -u)
}

complete -o default -F _sparsefusion sparsefusion sparsefusion-server sparsefusion-train sparsefusion-model
