# shellcheck shell=bash
# shellcheck disable=SC2034
# What the scripts need from Debian's packages, and a way to show progress. Sourced by quickstart and check.

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libssl-dev libsasl2-dev libsasl2-modules libavro-dev
  libjansson-dev libmicrohttpd-dev libsodium-dev libuv1-dev librdkafka-dev liblz4-dev libzstd-dev libsnappy-dev
  zlib1g-dev libcurl4-openssl-dev libpcre2-dev libcmocka-dev"
STORY_PACKAGES="kcat curl openssl ca-certificates procps"
TEST_PACKAGES="python3-pytest python3-confluent-kafka python3-jwt python3-cryptography openssl shellcheck clang-format git"
INTEROP_PACKAGES="python3-venv maven openjdk-17-jdk-headless"

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# run_shown TITLE COMMAND...: runs the command with its output in a log, shows the seconds passed, and on failure the
# end of the log.
run_shown() {
  local title=$1 log started pid
  shift
  log=$(mktemp)
  started=$SECONDS
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  if [ -t 1 ]; then
    while kill -0 "$pid" 2>/dev/null; do
      printf '\r  %-44s %4ds' "$title" $((SECONDS - started))
      sleep 0.2
    done
    printf '\r'
  else
    printf '  %s ...\n' "$title"
  fi
  if wait "$pid"; then
    printf '  %-44s %4ds  done\n' "$title" $((SECONDS - started))
    rm -f "$log"
  else
    printf '  %-44s %4ds  FAILED\n' "$title" $((SECONDS - started))
    tail -n 40 "$log" >&2
    rm -f "$log"
    return 1
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "packages are missing and neither root nor sudo is at hand; as root, run: $*"
  fi
}

# install_packages NAME...: installs those that dpkg does not know as installed.
install_packages() {
  local name missing=()
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  [ "$(id -u)" = 0 ] || ! command -v sudo >/dev/null || sudo -v
  run_shown "package lists" as_root apt-get update
  run_shown "installing ${#missing[@]} Debian packages" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
}

# build_in FOLDER CMAKE-ARGUMENTS...
build_in() {
  local folder=$1
  shift
  if [ ! -f "$folder/build.ninja" ]; then
    run_shown "configuring $folder" cmake -B "$folder" -G Ninja "$@"
  fi
  run_shown "building $folder" ninja -C "$folder"
}
