#!/bin/sh
# Builds every guest: guests/out/<name>.wasm, a component each. Needs the toolchain that
# rust-toolchain.toml names, and nothing else.
set -eu
cd "$(dirname "$0")"

target=wasm32-wasip2
out=target/$target/release
guests="echo counter strategist ipd schelling"

packages=""
for guest in $guests; do
    packages="$packages -p $guest"
done

sysroot=$(rustc --print sysroot)
if [ -d "$sysroot/lib/rustlib/$target" ] || rustup target add $target; then
    # shellcheck disable=SC2086 # one word a package is meant
    cargo build --locked --release --target $target $packages
else
    # Where rustup cannot fetch the target: Debian's compiler builds the standard library from source
    # (packages rustc-web, cargo-web, rust-web-src and wasi-libc), linked with rustup's linker.
    host=$(rustc -vV | sed -n 's/^host: //p')
    # shellcheck disable=SC2086 # one word a package is meant
    PATH="$sysroot/lib/rustlib/$host/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        RUSTFLAGS="-C link-self-contained=no -L/usr/lib/wasm32-wasi" \
        /usr/bin/cargo build --locked --release -Zbuild-std=std,panic_abort --target $target $packages
fi

mkdir -p out
for guest in $guests; do
    # Copied aside and renamed, so that whoever reads the old one at this moment reads it whole.
    cp "$out/$guest.wasm" "out/.$guest.wasm"
    mv "out/.$guest.wasm" "out/$guest.wasm"
done
ls -l out/*.wasm
