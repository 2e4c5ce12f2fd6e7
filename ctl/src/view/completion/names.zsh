
# Names that only the controller knows.
_ctl_live() {
    local -a names
    names=(${(f)"$(_call_program names ctl __complete -- "${(@q)ctl_words}" 2>/dev/null)"})
    # The last of 'a,b'.
    compset -P '*,' && names=(${names##*,})
    (( $#names )) && compadd -a names
}
