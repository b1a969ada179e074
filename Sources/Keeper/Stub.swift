enum StubKeeper {}
