# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nodedns_global_optspecs
    string join \n h/help V/version
end

function __fish_nodedns_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nodedns_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nodedns_using_subcommand
    set -l cmd (__fish_nodedns_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nodedns -n "__fish_nodedns_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_needs_command" -s V -l version -d 'Print version'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "run" -d 'Run the daemon: watch, decide and publish until stopped'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "status" -d 'Show what the daemon publishes, and why'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "drain" -d 'Take this node out of DNS, for maintenance'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "resume" -d 'Let this node back into DNS'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "addresses" -d 'Show every address of this host, and why it is or is not published'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "health-checks" -d 'Show the managed health checks of this cluster, or delete those that are not in use'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "plan" -d 'Show what would change in Route 53 now, and why'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "list" -d 'Show every record set at the configured names, whose it is, and how its node is'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "prune" -d 'Delete what dead nodes have left in DNS'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "restore" -d 'Undo a prune or an adopt from its undo file'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "adopt" -d 'Take over a name from hand-made records or from another tool'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "check" -d 'Check everything that nodedns needs, and say what to do about what is missing'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "iam-policy" -d 'Print the IAM policy that the configuration needs'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "config" -d 'Check, show or write the configuration'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c nodedns -n "__fish_nodedns_needs_command" -f -a "help" -d 'Explain a topic or a command at length'
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -l name -d 'Publish under this name too, as a [[record]] with its defaults; repeatable' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -l zone-id -d 'The hosted zone of the names given with --name' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -l cluster -d 'The cluster\'s name, in place of \'cluster\' in the configuration' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -l node -d 'The node\'s name, in place of \'node\' in the configuration' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -l log-level -d 'The least severe messages to log, in place of \'log.level\' in the configuration' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -l dry-run -d 'Write nothing: show what would be published'
complete -c nodedns -n "__fish_nodedns_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand status" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand status" -l socket -d 'The daemon\'s control socket [default: control.socket of the configuration]' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand status" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand status" -s w -l watch -d 'Keep showing it as it changes, until interrupted'
complete -c nodedns -n "__fish_nodedns_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -l for -d 'End the drain by itself after this time, like 30m or 2h' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -l reason -d 'Why, for whoever looks at the status or the log' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -l timeout -d 'How long to wait at most; the daemon goes on after that' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -l socket -d 'The daemon\'s control socket [default: control.socket of the configuration]' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -l force -d 'Override keep_min: even the last record set of a name goes'
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -s w -l wait -d 'Wait until every record is where it should be, on every name server of Route 53'
complete -c nodedns -n "__fish_nodedns_using_subcommand drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand resume" -l timeout -d 'How long to wait at most; the daemon goes on after that' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand resume" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand resume" -l socket -d 'The daemon\'s control socket [default: control.socket of the configuration]' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand resume" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand resume" -s w -l wait -d 'Wait until every record is where it should be, on every name server of Route 53'
complete -c nodedns -n "__fish_nodedns_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand addresses" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand addresses" -l class -d 'Judge for this address class [default: those of the configured records]' -r -f -a "global\t'Globally reachable, by the IANA registries'
private\t'RFC 1918, and unique local IPv6'
shared\t'100.64.0.0/10, which mesh VPNs use'
any\t'Any unicast address'"
complete -c nodedns -n "__fish_nodedns_using_subcommand addresses" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand addresses" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and not __fish_seen_subcommand_from list gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and not __fish_seen_subcommand_from list gc" -f -a "list" -d 'Show every health check of this cluster, and whether a record set refers to it'
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and not __fish_seen_subcommand_from list gc" -f -a "gc" -d 'Delete the health checks of this cluster that are not in use'
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from list" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from list" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from gc" -l grace -d 'How long to wait before the second look' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from gc" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from gc" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from gc" -s y -l yes -d 'Delete them without asking'
complete -c nodedns -n "__fish_nodedns_using_subcommand health-checks; and __fish_seen_subcommand_from gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand plan" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand plan" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand list" -l kubeconfig -d 'The kubeconfig of one who may list nodes, instead of kubernetes.kubeconfig' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand list" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand list" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand list" -l all-zones -d 'Read every hosted zone of the account, and show every pool that nodedns of any cluster has written to'
complete -c nodedns -n "__fish_nodedns_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l node -d 'Only what these nodes have left; repeatable' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l grace -d 'How long a node must have been gone or not Ready' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l keep-min -d 'How many record sets whose nodes may be alive must stay at a name and type [default: keep_min of the record]' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l max-delete -d 'Delete nothing at all if it would be more record sets than this' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l undo-file -d 'Where to write the undo file [default: a new one in control.state_directory/undo, or here]' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l kubeconfig -d 'The kubeconfig of one who may list nodes, instead of kubernetes.kubeconfig' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l allow-majority-down -d 'Go on although more than half of the nodes are gone or not Ready'
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -s y -l yes -d 'Do it without asking'
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -l dry-run -d 'Only show what would be done'
complete -c nodedns -n "__fish_nodedns_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand restore" -l undo-file -d 'Where to write the undo file of this [default: a new one in control.state_directory/undo, or here]' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand restore" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand restore" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand restore" -s y -l yes -d 'Do it without asking'
complete -c nodedns -n "__fish_nodedns_using_subcommand restore" -l dry-run -d 'Only show what would be done'
complete -c nodedns -n "__fish_nodedns_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -l undo-file -d 'Where to write the undo file [default: a new one in control.state_directory/undo, or here]' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -l drop-others -d 'Drop the values that are not this node\'s, and not published by a sibling, instead of keeping them in DNS'
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -l force -d 'Adopt although the daemon would withdraw this node at once'
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -s y -l yes -d 'Do it without asking'
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -l dry-run -d 'Only show what would be done'
complete -c nodedns -n "__fish_nodedns_using_subcommand adopt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand check" -l resolver -d 'Ask this resolver who serves the hosted zones [default: those of /etc/resolv.conf]' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand check" -l kubeconfig -d 'The kubeconfig of one who may list nodes, instead of kubernetes.kubeconfig' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand check" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand check" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand iam-policy" -l role -d 'For whom' -r -f -a "daemon\t'The daemon on a node, and the commands that only look'
operator\t'Whoever also runs prune, restore, adopt, check and list --all-zones'"
complete -c nodedns -n "__fish_nodedns_using_subcommand iam-policy" -l node -d 'Only for this node, where names say {node} [default: for any node]' -r
complete -c nodedns -n "__fish_nodedns_using_subcommand iam-policy" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand iam-policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and not __fish_seen_subcommand_from check show schema init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and not __fish_seen_subcommand_from check show schema init" -f -a "check" -d 'Find every mistake in the configuration'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and not __fish_seen_subcommand_from check show schema init" -f -a "show" -d 'Show the effective configuration, and where each value comes from'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and not __fish_seen_subcommand_from check show schema init" -f -a "schema" -d 'Print the configuration file\'s JSON schema'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and not __fish_seen_subcommand_from check show schema init" -f -a "init" -d 'Write a commented example of the configuration file'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from check" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from check" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from show" -s o -l output -d 'How to show it' -r -f -a "table\t'For people'
json\t'For scripts'
yaml\t'The same in YAML'"
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from show" -s c -l config -d 'The configuration file; its drop-ins lie in PATH.d/*.toml' -r -F
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from init" -s f -l force -d 'Replace the file if it exists'
complete -c nodedns -n "__fish_nodedns_using_subcommand config; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nodedns -n "__fish_nodedns_using_subcommand help; and test (count (commandline -opc)) -eq 2" -f -a "daemon\t'what the daemon does, and how to run it'
ownership\t'which record sets nodedns writes, and which it never touches'
intents\t'publish, withdraw, hold and preserve, and every reason for them'
signals\t'what takes a node out of DNS, and what brings it back'
addresses\t'which of the host\'s addresses are published'
never-empty\t'why the last nodes stay in DNS, whatever happens'
dead-nodes\t'who takes a node out of DNS that lost power'
draining\t'taking a node out of DNS for maintenance'
prune\t'deleting what dead nodes have left, and when it is refused'
adopt\t'moving to nodedns from kube-node-dns, ExternalDNS or records made by hand'
iam\t'the rights in AWS, and what they cannot say'
output\t'what --output json and yaml print, key by key'
metrics\t'what Prometheus can be told, and how it gets it'
exit-codes\t'how every command ends'
files-and-environment\t'where everything is, and which variables count'
trouble\t'what to do about what is not as it should be'
run\t'Run the daemon: watch, decide and publish until stopped'
status\t'Show what the daemon publishes, and why'
drain\t'Take this node out of DNS, for maintenance'
resume\t'Let this node back into DNS'
health-checks\t'Show the managed health checks of this cluster, or delete those that are not in use'
plan\t'Show what would change in Route 53 now, and why'
list\t'Show every record set at the configured names, whose it is, and how its node is'
restore\t'Undo a prune or an adopt from its undo file'
check\t'Check everything that nodedns needs, and say what to do about what is missing'
iam-policy\t'Print the IAM policy that the configuration needs'
config\t'Check, show or write the configuration'
completions\t'Print the completion script of a shell'
help\t'Explain a topic or a command at length'"
