
# Names of nodes, units and jobs, which only the controller knows.
_ctl_live() {
    local -a names
    names=(${(f)"$(_call_program names ctl __complete ${(q)@} 2>/dev/null)"})
    (( $#names )) && compadd -a names
}

# The node that is typed after the verb.
_ctl_node() {
    local word
    for word in ${words[2,-1]}; do
        case $word in
            --all) print -r -- '*'; return ;;
            -*) ;;
            *) print -r -- $word; return ;;
        esac
    done
}

_ctl_live_nodes() {
    # The last of 'a,b'.
    compset -P '*,'
    _ctl_live nodes
}

_ctl_live_units() { _ctl_live units "$(_ctl_node)" }
_ctl_live_files() { _ctl_live files "$(_ctl_node)" }
_ctl_live_jobs() { _ctl_live jobs }
_ctl_live_logs() {
    compadd controller
    _ctl_live_nodes
}
