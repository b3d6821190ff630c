#!/bin/sh
# Builds components: `components.sh SUBFOLDER "NAMES" CARGO-ARGUMENTS...`, in the folder of a workspace. What
# cargo puts into `target/wasm32-wasip2/release/SUBFOLDER` is copied to out/<name>.wasm. Needs the toolchain
# that rust-toolchain.toml names, and nothing else. Each says of itself what its crate does, unless
# MATRIX_UNLABELLED is set.
set -eu

target=wasm32-wasip2
built=target/$target/release/$1
names=$2
shift 2
project=$(dirname "$0")/../..

sysroot=$(rustc --print sysroot)
if [ -d "$sysroot/lib/rustlib/$target" ] || rustup target add $target; then
    cargo build --locked --release --target $target "$@"
else
    # Where rustup cannot fetch the target: Debian's compiler builds the standard library from source
    # (packages rustc-web, cargo-web, rust-web-src and wasi-libc), linked with rustup's linker.
    host=$(rustc -vV | sed -n 's/^host: //p')
    PATH="$sysroot/lib/rustlib/$host/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        RUSTFLAGS="-C link-self-contained=no -L/usr/lib/wasm32-wasi" \
        /usr/bin/cargo build --locked --release -Zbuild-std=std,panic_abort --target $target "$@"
fi

# Copied and labelled aside, and renamed, so that whoever reads the old one at this moment reads it whole.
aside=out/.made
mkdir -p $aside
made=""
for name in $names; do
    cp "$built/$name.wasm" "$aside/$name.wasm"
    made="$made $aside/$name.wasm"
done
# shellcheck disable=SC2086 # one word a component is meant
[ "${MATRIX_UNLABELLED:-}" ] || cargo run --quiet --locked --manifest-path "$project/Cargo.toml" --package matrix-label -- . $made
for name in $names; do
    mv "$aside/$name.wasm" "out/$name.wasm"
done
rmdir $aside
ls -l out/*.wasm
