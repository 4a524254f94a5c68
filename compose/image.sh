#!/usr/bin/env bash
# image.sh [STAGE]: builds the image `vsyncd`, or `vsyncd-STAGE` from that stage of the Dockerfile, and prints its id. Called in
# an engine (engine.sh). One build at a time, so that two callers do not compile the same twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage=${1:-}
logs=build/image${stage:+-$stage}
mkdir -p build
exec {lock}>build/image.lock
flock "$lock"
arguments=(--network host --file compose/Dockerfile --tag "vsyncd${stage:+-$stage}" --iidfile "$logs.id")
[[ -z $stage ]] || arguments+=(--target "$stage")
for proxy in http_proxy https_proxy no_proxy; do
  [[ -z ${!proxy:-} ]] || arguments+=(--build-arg "$proxy")
done
if ! docker build "${arguments[@]}" . >"$logs.log" 2>&1; then
  tail -n 30 "$logs.log" >&2
  echo "image: the build failed; all of it is in $logs.log" >&2
  exit 1
fi
cat "$logs.id"
