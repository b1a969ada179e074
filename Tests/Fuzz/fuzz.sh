#!/usr/bin/env bash
# Runs the fuzz targets one after another: fuzz.sh SECONDS [TARGET...]
#
# Starts from the kept inputs (Tests/Fixtures/corpus, Tests/Fixtures/fail-cases) and from what earlier runs found
# (.build/fuzz/corpus). An input that fails is left in .build/fuzz/artifacts, and the run ends with 1.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$1
shift
if [ $# = 0 ]; then set -- $(ls Tests/Fixtures/corpus); fi
failed=0
for target in "$@"; do
  case $target in
    # Some eighty packets: tables, several pictures, several cuts.
    transport-stream) longest=15040 ;;
    elementary-stream | footage) longest=8192 ;;
    *) longest=1024 ;;
  esac
  found=.build/fuzz/corpus/$target
  artifacts=.build/fuzz/artifacts/$target
  log=.build/fuzz/$target.log
  mkdir -p "$found" "$artifacts"
  kept=(Tests/Fixtures/corpus/"$target")
  [ -d Tests/Fixtures/fail-cases/"$target" ] && kept+=(Tests/Fixtures/fail-cases/"$target")
  status=0
  # Ten seconds for one input is a hang; a parser of some kilobytes that takes 1 GiB grows without bound.
  # libFuzzer, not Swift's own crash report, takes the signal: it is the one that writes the input down.
  SWIFT_BACKTRACE=enable=no PLASTRON_FUZZ_TARGET=$target .build/fuzz/plastron-fuzz "$found" "${kept[@]}" \
    -max_total_time="$seconds" -max_len=$longest -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$artifacts/" </dev/null >"$log" 2>&1 || status=$?
  if [ $status = 0 ]; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs," \
      "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1), $(sed -n 's/^stat::peak_rss_mb: *//p' "$log") MiB at most"
  else
    failed=1
    echo "$target: FAILED ($status), see $log" >&2
    grep -aE "^$target: |Fatal error|ERROR: |Test unit written|SUMMARY" "$log" | cut -c1-300 >&2 || true
  fi
done
exit $failed
