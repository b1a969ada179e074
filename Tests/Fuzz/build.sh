#!/usr/bin/env bash
# Builds .build/fuzz/plastron-fuzz: every fuzz target with libFuzzer and the address sanitizer, optimised.
#
# The modules that read bytes from outside are compiled anew, instrumented, without the rest of the server (half a
# minute instead of many); only the cryptography comes uninstrumented from the ordinary build, which must be there.
set -euo pipefail
cd "$(dirname "$0")/../.."
built=.build/debug
out=.build/fuzz
program=$out/plastron-fuzz
sources=(Sources/TransportStream Sources/FragmentedMP4 Sources/Footage Sources/Doctrine Sources/Relay
  Sources/Ingest Tests/Fuzz/Targets Tests/Fuzz/LibFuzzer Tests/Fuzz/build.sh)
if [ -x $program ] && [ -z "$(find "${sources[@]}" -type f -newer $program -print -quit)" ]; then exit 0; fi
mkdir -p $out
flags=(-swift-version 6 -O -wmo -enable-testing -g -package-name plastron -sanitize=fuzzer,address -I $out
  -I $built/Modules -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature ExistentialAny
  -enable-upcoming-feature MemberImportVisibility -warnings-as-errors)
for map in CCryptoBoringSSL CCryptoBoringSSLShims; do
  include=$(ls -d .build/checkouts/swift-crypto/Sources/$map/include)
  flags+=(-Xcc "-I$include")
done
module() {
  name=$1
  shift
  swiftc "${flags[@]}" -parse-as-library -module-name "$name" -emit-module -emit-module-path "$out/$name.swiftmodule" \
    -c $(find "$@" -name '*.swift' | sort) -o "$out/$name.o"
}
module TransportStream Sources/TransportStream
module FragmentedMP4 Sources/FragmentedMP4
module Footage Sources/Footage
module Doctrine Sources/Doctrine
module Relay Sources/Relay
# What is pure in it: the rest of the module needs the transport.
module Ingest Sources/Ingest/Admission/StreamIdentifier.swift \
  Sources/Ingest/Session/{Reorderer,ChunkAssembler,StreamInspector,ProgramClock,LivePiece}.swift
module PlastronFuzz Tests/Fuzz/Targets Tests/Fuzz/LibFuzzer
crypto=$(find $built/{Crypto,CryptoBoringWrapper,CCryptoBoringSSL,CCryptoBoringSSLShims,CXKCP,CXKCPShims}.build -name '*.o')
swiftc -use-ld=lld -sanitize=fuzzer,address $out/{TransportStream,FragmentedMP4,Footage,Doctrine,Relay,Ingest,PlastronFuzz}.o \
  $crypto -o $program
