# Plastron. `make demo` shows it, `make test` proves it; both install what they need on Debian 12.
SWIFT_FLAGS = --explicit-target-dependency-import-check error
APT_PACKAGES = libsrt-openssl-dev libpq-dev libavcodec-dev postgresql ffmpeg pkg-config
TEST_PACKAGES = chromium chromium-driver python3-venv prometheus srt-tools gstreamer1.0-tools gstreamer1.0-plugins-base \
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
# As root the data folder lies where the postgres user can enter, wherever the checkout is.
BENCH_DATA ?= $(shell if [ "$$(id -u)" = 0 ]; then echo /var/lib/plastron-bench; else echo $(CURDIR)/.bench; fi)
DATA ?= $(shell if [ "$$(id -u)" = 0 ]; then echo /var/lib/plastron-demo; else echo $(CURDIR)/.demo; fi)
INGEST_PORT ?= 9710
CONSOLE_PORT ?= 8443
DEVICE_PORT ?= 9443
ONCE ?=
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PROGRAM = .build/debug/plastron
PYTEST = .venv/bin/pytest -q --durations 10
WORKERS ?= 4
THREAD_TESTS = StreamIdentifierTests|AdmissionTableTests|RefusalLedgerTests|EventSpoolTests|LiveFeedTests|ReordererTests|StreamInspectorTests|BoundsTests|ChunkAssemblerTests|MidnightTests|IndexTests|LiveChannelTests|SRTTests|ShardTests|FootageWriterTests

.PHONY: bench-fleet soak chaos links bandwidth hostile test-thread build demo test test-swift test-end-to-end test-fuzz fuzz format lint bench bench-register deps test-deps clean

build: deps
	swift build $(SWIFT_FLAGS)

deps:
	@missing=$$(for p in $(APT_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q $$missing; fi
	@installed=$$(dpkg-query -W -f '$${Version}' libsrt1.5-openssl); \
	dpkg --compare-versions "$$installed" ge 1.5.1-1+deb12u1 || \
	{ echo "libsrt $$installed is older than its security update 1.5.1-1+deb12u1: apt-get upgrade"; exit 1; }

test-deps: deps
	@missing=$$(for p in $(TEST_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q $$missing; fi
	@cmp -s Tests/requirements.txt .venv/installed || { python3 -m venv .venv && .venv/bin/pip install -q -r Tests/requirements.txt && cp Tests/requirements.txt .venv/installed; }

demo: build
	$(PROGRAM) demo --data $(DATA) --ingest-port $(INGEST_PORT) --console-port $(CONSOLE_PORT) --device-port $(DEVICE_PORT) $(if $(ONCE),--once)

test: test-deps test-swift test-end-to-end test-fuzz

test-swift:
	swift build --build-tests $(SWIFT_FLAGS)
	Tests/with-postgres.sh swift test --skip-build $(SWIFT_FLAGS)

# Most of them wait for cameras and timeouts, so WORKERS of them run at once, a file at a time; then those alone that bound times.
test-end-to-end:
	@failed=0; \
	$(PYTEST) -n $(WORKERS) --dist loadfile -m "not alone" Tests/EndToEnd Tests/independent Tests/lint || failed=$$?; \
	[ $$failed = 2 ] || $(PYTEST) -m alone Tests/EndToEnd || failed=$$?; \
	exit $$failed  # 2: interrupted

# Ten seconds of each fuzz target, with the address sanitizer; building them takes half a minute.
test-fuzz:
	Tests/Fuzz/build.sh
	Tests/Fuzz/fuzz.sh 10

# make fuzz SECONDS=600 TARGETS="footage transport-stream"; without TARGETS, all of them, one after another.
fuzz: build
	Tests/Fuzz/build.sh
	Tests/Fuzz/fuzz.sh $(or $(SECONDS),60) $(TARGETS)

# Every kind of hostile camera in turn, SECONDS in all, beside an honest one.
hostile: test-deps build
	PLASTRON_HOSTILE_SECONDS=$(or $(SECONDS),600) .venv/bin/pytest -q -s Tests/EndToEnd/test_hostile.py

# The thread sanitizer over the ingest's and the vault's tests: a build of its own, some fifteen minutes on two cores.
test-thread: deps
	swift build --build-tests --sanitize=thread --scratch-path .build/thread
	TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/thread-sanitizer.txt halt_on_error=0 exitcode=66" Tests/with-postgres.sh \
	  swift test --skip-build --sanitize=thread --scratch-path .build/thread --filter '$(THREAD_TESTS)'

format:
	swift format -i -r Sources Tests Package.swift

lint:
	swift format lint -s -r Sources Tests Package.swift

bench: deps
	swift build -c release $(SWIFT_FLAGS)
	@mkdir -p .build/bench
	@[ -f .build/bench/clip.ts ] || ffmpeg -v error -f lavfi -i testsrc2=size=1280x720:rate=25:duration=20,noise=alls=10:allf=t \
	  -f lavfi -i sine=duration=20 -c:v libx264 -preset veryfast -b:v 1800k -maxrate 1800k -bufsize 1M -g 50 -pix_fmt yuv420p \
	  -c:a aac -b:a 64k -f mpegts .build/bench/clip.ts
	@mkdir -p $(BENCH_DATA)
	.build/release/plastron bench ingest --clip .build/bench/clip.ts --data $(BENCH_DATA) --json .build/bench/ingest.json
	.build/release/plastron bench footage --clip .build/bench/clip.ts
	.build/release/plastron bench flush --folder .build/bench
	.build/release/plastron bench durability --folder .build/bench
	.build/release/plastron bench journal --folder .build/bench/journal

# Fifty kills at random instants, of the server, its database, or both: some eight minutes.
chaos: test-deps build
	.venv/bin/python Tests/EndToEnd/chaos.py --rounds 50

# Two thousand cameras that lose their network fifteen times: some twenty minutes.
bench-fleet: deps
	swift build -c release $(SWIFT_FLAGS)
	@mkdir -p .build/bench $(BENCH_DATA)
	@[ -f .build/bench/low.ts ] || ffmpeg -v error -f lavfi -i testsrc=size=64x48:rate=2:duration=20 -c:v libx264 -preset veryfast \
	  -b:v 5k -g 4 -pix_fmt yuv420p -f mpegts -pat_period 2 -pcr_period 400 .build/bench/low.ts
	.build/release/plastron bench fleet --clip .build/bench/low.ts --data $(BENCH_DATA) --json .build/bench/fleet.json

# An hour of fifty cameras, six times as fast: ten minutes.
soak: deps
	swift build -c release $(SWIFT_FLAGS)
	@mkdir -p .build/bench $(BENCH_DATA)
	@[ -f .build/bench/small.ts ] || ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=25:duration=20 -c:v libx264 -preset veryfast \
	  -b:v 400k -g 50 -pix_fmt yuv420p -f mpegts .build/bench/small.ts
	.build/release/plastron bench soak --clip .build/bench/small.ts --data $(BENCH_DATA) --speed 6 --json .build/bench/soak.json

# Cameras over every bad link of docs/design/links.md: some four minutes.
links: test-deps build
	@mkdir -p .build/bench
	.venv/bin/python Tests/EndToEnd/lossy.py --json .build/bench/links.json

# Every setting over links that are too small: some forty minutes; BANDWIDTH="--links free --settings none" measures less.
bandwidth: test-deps build
	@mkdir -p .build/bench
	.venv/bin/python Tests/EndToEnd/bandwidth.py --json .build/bench/bandwidth.json $(BANDWIDTH)

# Two million recordings: some ten minutes and 10 GB in BENCH_DATA.
bench-register: deps
	swift build -c release $(SWIFT_FLAGS)
	.build/release/plastron bench register --data $(BENCH_DATA)

clean:
	rm -rf .build .venv .demo
