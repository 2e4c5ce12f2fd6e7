zmodload zsh/zpty
mkdir -p $DIR/bin $DIR/functions
ln -s $CTL $DIR/bin/ctl
$CTL completion zsh >$DIR/functions/_unitlinkctl
cat >$DIR/.zshrc <<'RC'
PS1=
path=($DIR/bin $path)
fpath=($DIR/functions $fpath)
autoload -Uz compinit && compinit -u -D
# What is added to what is offered is written down; calls that only ask are let through.
compadd() {
    if [[ " $@[1,(i)(-|--)] " != *" -"(O|A|D)" "* ]]; then
        local -a hits
        builtin compadd -A hits "$@"
        print -rl -- $hits >>$DIR/offered
    fi
    builtin compadd "$@"
}
complete-and-say() {
    zle complete-word
    print done >$DIR/done
}
zle -N complete-and-say
bindkey '^I' complete-and-say
print ready >$DIR/ready
RC
await() {
    local -i n
    for (( n = 0; n < 400; n++ )); do
        [[ -s $1 ]] && return
        sleep 0.05
    done
    print "$1 was never there" >&2
    exit 4
}
ZDOTDIR=$DIR TERM=dumb zpty shell zsh -i
await $DIR/ready
zpty -w -n shell $LINE$'\t'
await $DIR/done
zpty -d shell
[[ ! -e $DIR/offered ]] || cat $DIR/offered
