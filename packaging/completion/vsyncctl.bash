# bash completion for vsyncctl: commands and flags are those that it tells itself, groups and members those of the daemon.
_vsyncctl_flags() { "$@" --help 2>/dev/null | grep -oE '^ +(-[a-z],)?--[a-z][a-z-]+' | grep -oE -- '--[a-z-]+'; }
_vsyncctl_commands() { "$1" --help 2>/dev/null | sed -n '/^Subcommands:/,$s/^  \([a-z][a-z-]*\) .*/\1/p'; }
# The texts of a member FIELD in the JSON that COMMAND prints.
_vsyncctl_texts() {
  local field=$1
  shift
  "$@" 2>/dev/null | grep -oE "\"$field\": ?\"[^\"]*\"" | sed 's/.*: \{0,1\}"\(.*\)"$/\1/'
}

_vsyncctl() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command="" word words
  local i ask=("${COMP_WORDS[0]}" --timeout 1s)
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    case $word in
      --socket | --timeout) [[ $word == --socket ]] && ask+=(--socket "${COMP_WORDS[i + 1]}"); ((++i)) ;;
      -*) ;;
      *) command=$word; break ;;
    esac
  done
  COMPREPLY=()
  case $previous in
    --socket)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --service) words="fifo causal total" ;;
    --wait) words="all majority first" ;;
    --when-slow) words="disconnect block gap" ;;
    --timeout | --in-view | --name | --why | --grace | --group | --rate | --size | --duration) words="" ;;
    *)
      if [[ $current == -* ]]; then
        words=$(_vsyncctl_flags "$program"; [[ -z $command ]] || _vsyncctl_flags "$program" "$command")
      else
        case $command in
          "") words=$(_vsyncctl_commands "$program") ;;
          log-level)
            words="trace debug info warn error off"
            ((i == COMP_CWORD - 1)) || words="membership detector ordering groups transport control storage"
            ;;
          checkpoint)
            words="list show verify force"
            ((i == COMP_CWORD - 1)) || words=$(_vsyncctl_texts group "${ask[@]}" --json groups)
            ;;
          group | listen | send | request | bench) words=$(_vsyncctl_texts group "${ask[@]}" --json groups) ;;
          evict) words=$(_vsyncctl_texts name "${ask[@]}" --json members) ;;
          *) words="" ;;
        esac
      fi
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _vsyncctl vsyncctl
