source <("$CTL" completion bash) || exit 3
COMP_LINE="$LINE"; COMP_POINT=${#LINE}
# What bash counts as words: split at spaces and at the characters of COMP_WORDBREAKS.
read -ra COMP_WORDS < <(sed 's/[@:=]/ & /g' <<<"$LINE")
[[ "$LINE" == *" " || "$LINE" == *[@:=] ]] && COMP_WORDS+=("")
COMP_WORDS[0]="$CTL"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ctl_live "$CTL" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
