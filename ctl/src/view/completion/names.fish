
# Names of nodes, units and jobs, which only the controller knows.
function __ctl_names
    set -l words
    set -l all 0
    for word in (commandline -opc)[2..]
        switch $word
            case --all
                set all 1
            case '-*'
            case '*'
                set -a words $word
        end
    end
    set -l count (count $words)
    if test $all = 1
        test $argv[1] != nodes; and ctl __complete $argv[1] '*' 2>/dev/null
    else if test $argv[1] = jobs
        ctl __complete jobs 2>/dev/null
    else if test $count -eq 1
        # The last of 'a,b'.
        set -l list (string match -r '^.*,' -- (commandline -ct))
        printf "$list%s\n" (ctl __complete nodes 2>/dev/null)
    else if test $argv[1] != nodes
        ctl __complete $argv[1] $words[2] 2>/dev/null
    end
end

complete -c ctl -f
complete -c ctl -n "__fish_seen_subcommand_from @of_units@" -a "(__ctl_names units)"
complete -c ctl -n "__fish_seen_subcommand_from @of_files@" -a "(__ctl_names files)"
complete -c ctl -n "__fish_seen_subcommand_from @of_nodes@" -a "(__ctl_names nodes)"
complete -c ctl -n "__fish_seen_subcommand_from set-loglevel" -a controller
complete -c ctl -n "__fish_seen_subcommand_from cancel" -a "(__ctl_names jobs)"
complete -c unitlinkctl -w ctl
