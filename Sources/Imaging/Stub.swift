enum StubImaging {}
