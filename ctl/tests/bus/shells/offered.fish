function ctl; $CTL $argv; end
$CTL completion fish | source
complete -C "$LINE" | string replace -r '\t.*' ''
true
