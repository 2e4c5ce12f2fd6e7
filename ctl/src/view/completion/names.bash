
# Names of nodes, units and jobs, which only the controller knows.
_ctl_names() {
    local IFS=$'\n'
    "${COMP_WORDS[0]}" __complete "$@" 2>/dev/null
}

_ctl_live() {
    _ctl "$@"
    # Words as they stand: COMP_WORDS is split at '@', ':' and '='.
    local line="${COMP_LINE:0:COMP_POINT}" words=() word verb="" node="" count=0 skip=0 i
    read -ra words <<<"$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    local typed="${words[${#words[@]}-1]}"
    [[ "$typed" == -* ]] && return 0
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word="${words[i]}"
        if ((skip)); then skip=0; continue; fi
        case "$word" in
            --all) case "$verb" in list-units) ;; *) node='*'; count=1 ;; esac ;;
            @with_value@) skip=1 ;;
            -*) ;;
            *)
                if [[ -z "$verb" ]]; then
                    verb="$word"
                else
                    ((count++)) || node="$word"
                fi
                ;;
        esac
    done
    # The value of an option.
    ((skip)) && return 0
    local kind=""
    case "$verb" in
        @of_units@) ((count)) && kind="units" || kind="nodes" ;;
        @of_files@) ((count)) && kind="files" || kind="nodes" ;;
        @of_nodes@) ((count)) || kind="nodes" ;;
        is-online) [[ "$node" == node ]] && kind="nodes" ;;
        cancel) kind="jobs" ;;
        *) return 0 ;;
    esac
    COMPREPLY=()
    local list="" name
    case "$kind" in
        nodes)
            # The last of 'a,b'.
            list="${typed%"${typed##*,}"}"
            words=($(_ctl_names nodes))
            [[ "$verb" == set-loglevel ]] && words+=(controller)
            ;;
        units | files) words=($(_ctl_names "$kind" "$node")) ;;
        jobs) words=($(_ctl_names jobs)) ;;
        *)
            [[ "$verb" == set-loglevel && "$count" == 1 ]] && words=(debug info warn error) || return 0
            ;;
    esac
    # What bash counts as the word begins after the last of its break characters.
    local cut="${typed%"$2"}"
    for name in "${words[@]}"; do
        name="$list$name"
        [[ "$name" == "$typed"* ]] && COMPREPLY+=("${name#"$cut"}")
    done
    return 0
}

complete -F _ctl_live -o nosort -o bashdefault ctl unitlinkctl
