# bash completion for vsyncd: the flags are those that it tells itself.
_vsyncd() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} flag value
  [[ $current == = ]] && current=
  [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
  COMPREPLY=()
  case $previous in
    --quorum) value="dynamic static" ;;
    --cold-start) value="wait-all quorum manual" ;;
    --event-log-format) value="text membership json" ;;
    --log-level) value="trace debug info warn error off" ;;
    --config | --hosts | --socket | --log-file | --event-log | --state-dir)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    *)
      for flag in $("${COMP_WORDS[0]}" --help 2>/dev/null | grep -oE '^ +(-[a-z],)?--[a-z][a-z-]+' | grep -oE -- '--[a-z-]+'); do
        value+=" $flag"
      done
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$value" -- "$current")
}
complete -F _vsyncd vsyncd
