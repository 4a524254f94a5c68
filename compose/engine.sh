#!/usr/bin/env bash
# engine.sh COMMAND [ARGUMENT]...: runs COMMAND where `docker` reaches a container engine that has debian:bookworm-slim.
#
# An engine that works already is used as it is. Where there is none, one is started for this checkout: its socket under /run,
# its images in build/engine (VSYNC_ENGINE names another directory). Several users share it; the last one to end stops it, the
# images stay. It leaves the default bridge and the forwarding policy of the host alone. COMMAND's DOCKER_HOST says where it is.
#
# Needs root. Exit status: that of COMMAND; 77 where no engine can run, with the reason on standard error.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
images=${VSYNC_ENGINE:-$root/build/engine}
readonly base=debian:bookworm-slim cannot=77 deadline=60

say() { echo "engine: $*" >&2; }
no_engine() {
  say "no container engine can run here: $*"
  exit $cannot
}

works() { timeout 20 docker info >/dev/null 2>&1; }

# wait_until SECONDS COMMAND...: polls until COMMAND succeeds.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2 # polls
  done
}

# A network of our own choice, so that the engines of two checkouts do not take the same one at the same moment.
address_pools() {
  local number=$((0x${1:0:4}))
  echo "--default-address-pool base=172.$((16 + number % 16)).0.0/16,size=24"
  echo "--default-address-pool base=10.$((64 + number % 64)).0.0/16,size=24"
}

start_engine() {
  command -v dockerd >/dev/null || no_engine "dockerd is not installed (Debian package docker.io)"
  say "starting one (images in $images, log in $images/dockerd.log)"
  rm -f "$run/docker.pid"
  # shellcheck disable=SC2046 # the pools are words
  setsid dockerd --data-root "$images/data" --exec-root "$run/exec" --pidfile "$run/docker.pid" --host "unix://$run/docker.sock" \
    --bridge none --ip-forward=false $(address_pools "$identity") {lock}>&- {users}>&- </dev/null >"$images/dockerd.log" 2>&1 &
  local starter=$!
  started_or_dead() { works || ! kill -0 "$starter" 2>/dev/null; }
  if ! wait_until $deadline started_or_dead || ! works; then
    kill "$starter" 2>/dev/null || true
    no_engine "dockerd does not come up: $(tail -n 1 "$images/dockerd.log")"
  fi
  { docker container prune --force && docker network prune --force; } >/dev/null # of users that were killed
}

stop_engine() {
  local pid
  pid=$(cat "$run/docker.pid" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  gone() { ! kill -0 "$pid" 2>/dev/null; }
  wait_until $deadline gone || kill -KILL "$pid" 2>/dev/null || true
}

# The mirror of Debian that this host uses, if it is one with bookworm.
mirror() {
  local site
  site=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(ORIGIN)' 2>/dev/null |
    awk '$2 == "bookworm" && $3 == "Debian" { print $1; exit }')
  echo "${site:-http://deb.debian.org/debian}"
}

make_base() {
  command -v debootstrap >/dev/null || no_engine "$base cannot be pulled, and debootstrap is not installed"
  local tree log=$images/debootstrap.log
  tree=$(mktemp -d "$images/base.XXXXXX")
  say "$base cannot be pulled: making it with debootstrap from $(mirror)"
  if ! debootstrap --variant=minbase bookworm "$tree" "$(mirror)" >"$log" 2>&1; then
    rm -rf "$tree"
    no_engine "debootstrap failed: $(tail -n 1 "$log")"
  fi
  echo force-unsafe-io >"$tree/etc/dpkg/dpkg.cfg.d/docker-apt-speedup" # as in the official image: no fsync for each file
  tar -C "$tree" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./usr/share/doc/*' \
    --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./dev/*' -c . |
    docker import --change 'CMD ["bash"]' - "$base" >/dev/null
  rm -rf "$tree"
}

ensure_base() {
  docker image inspect "$base" >/dev/null 2>&1 || timeout 120 docker pull -q "$base" >/dev/null 2>&1 || make_base
  local answer
  answer=$(docker run --rm --network none "$base" true 2>&1) || no_engine "a container does not start: ${answer%%$'\n'*}"
}

# The files of the engine of this checkout, and the two locks on them: `lock` for who starts or stops it, `users` shared by all
# who use it. Locks vanish with their holders, so a user that was killed does not keep the engine alive for ever.
share_engine() {
  identity=$(realpath -m "$images" | sha256sum)
  run=/run/vsync-engine-${identity:0:12}
  export DOCKER_HOST=unix://$run/docker.sock
  mkdir -p "$run" "$images"
  exec {lock}>"$run/lock" {users}>"$run/users"
  trap leave_engine EXIT
  flock "$lock"
  flock -s "$users"
  works || start_engine
  ensure_base
  flock -u "$lock"
}

leave_engine() {
  local status=$?
  trap - EXIT
  flock "$lock"
  flock -u "$users"
  flock -nx "$users" && stop_engine
  exit "$status"
}

(($#)) || { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2; }
((EUID == 0)) || no_engine "this needs root"
command -v docker >/dev/null || no_engine "docker is not installed (Debian package docker.io)"
if works; then
  mkdir -p "$images"
  ensure_base
  exec "$@"
fi
share_engine
"$@"
