#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own, for tests:
#
#   deploy/postgres.sh go test ./...
#
# The command finds the server's address in PUNCHCARD_POSTGRES. When that is set already, the command runs as it is.
# Otherwise the server's programs are looked for; on Debian, root installs them when there are none, and an ordinary user
# unpacks them into .testdata. The server keeps its data in a temporary folder, answers on a socket in that folder only,
# never runs as root, and is gone when the command ends. It does not wait for the disk: nothing here outlives it.
set -euo pipefail

if [[ $# -eq 0 ]]; then
    echo "usage: deploy/postgres.sh command [argument…]" >&2
    exit 2
fi
if [[ -n ${PUNCHCARD_POSTGRES:-} ]]; then
    exec "$@"
fi

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
unpacked=$home/.testdata/postgresql

say() { echo "postgres.sh: $*" >&2; }

# find_programs prints the folder of the newest server's programs.
find_programs() {
    local dir
    while read -r dir; do
        if [[ -x $dir/initdb && -x $dir/postgres ]]; then
            echo "$dir"
            return 0
        fi
    done < <(
        printf '%s\n' /usr/lib/postgresql/*/bin "$unpacked"/usr/lib/postgresql/*/bin | sort -rV
        pg_config --bindir 2>/dev/null || true
        local initdb
        if initdb=$(command -v initdb); then dirname "$(readlink -f "$initdb")"; fi
    )
    return 1
}

# install_programs installs Debian's package without the cluster that it would make and start.
install_programs() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends postgresql-common
    local settings=/etc/postgresql-common/createcluster.conf
    if [[ -z $(ls -d /etc/postgresql/*/* 2>/dev/null) && -f $settings ]]; then
        sed -i 's/^#\?\s*create_main_cluster\s*=.*/create_main_cluster = false/' "$settings"
    fi
    apt-get install -y -qq --no-install-recommends postgresql
}

# unpack_programs unpacks Debian's package and what it needs, where an ordinary user may.
unpack_programs() {
    local apt=$unpacked/apt names
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    local options=(-qq -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" -o APT::Sandbox::User=)
    apt-get "${options[@]}" update
    names=$(apt-get "${options[@]}" --simulate -q=1 --no-install-recommends install postgresql | awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }')
    # Only what is not installed: a newer libc than the machine's, say, would serve nobody here.
    # shellcheck disable=SC2086 # one word a package
    (cd "$apt/archives" && apt-get "${options[@]}" download $names && for p in *.deb; do dpkg-deb --extract "$p" "$unpacked"; done)
    rm -rf "$apt"
}

if ! programs=$(find_programs); then
    if ! command -v apt-get >/dev/null; then
        say "there is no PostgreSQL server here: install one, or set PUNCHCARD_POSTGRES to the address of one"
        exit 1
    fi
    if [[ $(id -u) -eq 0 ]]; then
        say "installing PostgreSQL"
        install_programs >&2
    else
        say "unpacking PostgreSQL into .testdata"
        unpack_programs >&2
    fi
    if ! programs=$(find_programs); then
        say "PostgreSQL could not be made ready: set PUNCHCARD_POSTGRES to the address of a server"
        exit 1
    fi
fi
with_libraries=()
case $programs in "$unpacked"/*)
    with_libraries=(env "LD_LIBRARY_PATH=$(find "$unpacked" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)")
    ;;
esac

# A short path: that of a socket has 107 characters at most.
folder=$(mktemp -d /tmp/punchcard-pg.XXXXXX)
server=

stop() {
    trap - EXIT
    if [[ -n $server ]]; then
        kill -QUIT "$server" 2>/dev/null || true # at once: nothing is kept
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# as_user runs a command as whoever the server belongs to: PostgreSQL refuses to run as root.
as_user=()
if [[ $(id -u) -eq 0 ]]; then
    user=nobody
    if id postgres >/dev/null 2>&1; then user=postgres; fi
    group=$(id -gn "$user")
    chown "$user:$group" "$folder"
    as_user=(setpriv "--reuid=$user" "--regid=$group" --clear-groups)
fi
# Should this script be killed outright, the server is told to stop all the same, where the system can do that.
until_death=()
if setpriv --pdeathsig QUIT true 2>/dev/null; then until_death=(setpriv --pdeathsig QUIT); fi

cd "$folder"
"${as_user[@]}" "${with_libraries[@]}" "$programs/initdb" --pgdata="$folder/data" --username=punchcard --auth=trust --encoding=UTF8 --locale=C \
    --no-sync --no-instructions >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
"${as_user[@]}" "${until_death[@]}" "${with_libraries[@]}" "$programs/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= \
    -c max_connections=400 -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c wal_level=minimal \
    -c max_wal_senders=0 -c jit=off -c autovacuum=off >>"$folder/log" 2>&1 </dev/null &
server=$!
for ((i = 0; ; i++)); do
    if "${with_libraries[@]}" "$programs/pg_isready" --quiet --host="$folder" --username=punchcard --dbname=postgres; then break; fi
    if ((i == 300)) || ! kill -0 "$server" 2>/dev/null; then
        cat "$folder/log" >&2
        say "PostgreSQL did not start"
        exit 1
    fi
    sleep 0.1
done
cd "$OLDPWD"

export PUNCHCARD_POSTGRES="postgres:///postgres?host=$folder&user=punchcard&sslmode=disable"
"$@"
