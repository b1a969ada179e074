enum StubRetention {}
