#!/usr/bin/env bash
# Install what test_cross_compiled.py needs: Debian's cross compiler for aarch64, the emulator, and TVM's runtime for
# aarch64 from its wheels. Usage: edge_tools.sh [FOLDER]; FOLDER keeps the fetched libraries (60 MB are fetched once).
set -euo pipefail
PYTHON=${PYTHON:-.venv/bin/python}
FOLDER=${1:-.omniforge/edge-tools}

packages=(gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
if ! command -v aarch64-linux-gnu-g++ >/dev/null || ! command -v qemu-aarch64 >/dev/null; then
  if [ "$(id -u)" != 0 ]; then
    echo "Run this as root, or install yourself: apt-get install ${packages[*]}" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if [ ! -e "$FOLDER/libtvm_runtime.so" ] || [ ! -e "$FOLDER/libtvm_ffi.so" ]; then
  wheels=$(mktemp -d)
  trap 'rm -rf "$wheels"' EXIT
  version() { "$PYTHON" -c "from importlib.metadata import version; print(version('$1'))"; }
  "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    "apache-tvm==$(version apache-tvm)" "apache-tvm-ffi==$(version apache-tvm-ffi)"
  mkdir -p "$FOLDER"
  "$PYTHON" - "$wheels" "$FOLDER" <<'PYTHON'
import pathlib, sys, zipfile

wheels, folder = map(pathlib.Path, sys.argv[1:])
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.rpartition("/")[2] in ("libtvm_runtime.so", "libtvm_ffi.so"):
                part = folder / f".{name.rpartition('/')[2]}.part"
                part.write_bytes(archive.read(name))
                part.replace(folder / name.rpartition("/")[2])
PYTHON
fi
echo "Cross-compiling for aarch64 is ready."
