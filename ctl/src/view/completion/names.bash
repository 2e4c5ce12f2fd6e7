
# Names that only the controller knows, behind what is known without asking.
_ctl_live() {
    _ctl "$@"
    # Words as they stand: COMP_WORDS is split at '@', ':' and '='.
    local line="${COMP_LINE:0:COMP_POINT}" words=() name
    read -ra words <<<"$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    local typed="${words[${#words[@]}-1]}"
    [[ "$typed" == -* ]] && return 0
    local IFS=$'\n'
    words=($("${COMP_WORDS[0]}" __complete -- "${words[@]:1}" 2>/dev/null))
    # What bash counts as the word begins after the last of its break characters.
    local cut="${typed%"$2"}"
    if ((! ${#words[@]})); then
        # Options are offered to who has begun one.
        words=("${COMPREPLY[@]/#-*/}")
        typed="$2" cut=""
    fi
    COMPREPLY=()
    for name in "${words[@]}"; do
        [[ -n "$name" && "$name" == "$typed"* ]] && COMPREPLY+=("${name#"$cut"}")
    done
    return 0
}

complete -F _ctl_live -o nosort -o bashdefault ctl unitlinkctl
