#!/bin/sh
# Builds components: `components.sh SUBFOLDER "NAMES" CARGO-ARGUMENTS...`, in the folder of a workspace. What
# cargo puts into `target/wasm32-wasip2/release/SUBFOLDER` is copied to out/<name>.wasm. Needs the toolchain
# that rust-toolchain.toml names, and nothing else.
set -eu

target=wasm32-wasip2
built=target/$target/release/$1
names=$2
shift 2

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

mkdir -p out
for name in $names; do
    # Copied aside and renamed, so that whoever reads the old one at this moment reads it whole.
    cp "$built/$name.wasm" "out/.$name.wasm"
    mv "out/.$name.wasm" "out/$name.wasm"
done
ls -l out/*.wasm
