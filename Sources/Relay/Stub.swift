enum StubRelay {}
