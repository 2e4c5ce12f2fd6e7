
# Names that only the controller knows, behind what is known without asking.
function __ctl_names
    set -l typed (commandline -ct)
    ctl __complete -- (commandline -opc)[2..] "$typed" 2>/dev/null
end

complete -c ctl -f
complete -c ctl -a "(__ctl_names)"
complete -c unitlinkctl -w ctl
