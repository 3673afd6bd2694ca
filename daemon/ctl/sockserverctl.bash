# bash completion for sockserverctl(1)

_sockserverctl_listeners() {
    sockserverctl "$@" status --json 2>/dev/null |
        sed -n 's/^      "name": "\([^"]*\)",\{0,1\}$/\1/p'
}

# _sockserverctl_requests NAME ARGUMENT...: the numbers of those that run
_sockserverctl_requests() {
    local name=$1
    shift
    sockserverctl "$@" requests "$name" --json 2>/dev/null |
        sed -n 's/^      "number": \([0-9]*\),\{0,1\}$/\1/p'
}

# _sockserverctl_first_operand PLACE: the first word behind the command, which is at PLACE, if it is whole
_sockserverctl_first_operand() {
    local i
    for ((i = $1 + 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { echo "${COMP_WORDS[i]}"; return; }
    done
}

_sockserverctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command= i socket=() words= listener=

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket)
            socket=(--socket "${COMP_WORDS[i + 1]}")
            i=$((i + 1))
            ;;
        --xinetd | --inetd) i=$((i + 1)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    if [[ $previous == --socket || $previous == --xinetd || $previous == --inetd ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
    fi
    case $command in
    '') words='status health top requests backtrace cancel explain sources pardon reload drain resume stop start restart
               upgrade log-level import
               --socket --help --version' ;;
    backtrace | cancel)
        words="$(_sockserverctl_listeners "${socket[@]}")"
        [[ $command == cancel ]] || words+=" --json"
        listener=$(_sockserverctl_first_operand "$i")
        if [[ -n $listener ]]; then words=$(_sockserverctl_requests "$listener" "${socket[@]}"); fi
        ;;
    status | health | sources | requests) words="--json $(_sockserverctl_listeners "${socket[@]}")" ;;
    explain) words="--json local user: $(_sockserverctl_listeners "${socket[@]}")" ;;
    pardon) words="local $(_sockserverctl_listeners "${socket[@]}")" ;;
    drain) words="--wait --all $(_sockserverctl_listeners "${socket[@]}")" ;;
    resume) words="--all $(_sockserverctl_listeners "${socket[@]}")" ;;
    stop | start | restart) words=$(_sockserverctl_listeners "${socket[@]}") ;;
    import) words='--xinetd --inetd' ;;
    log-level) words='emerg alert crit err warning notice info debug' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _sockserverctl sockserverctl
