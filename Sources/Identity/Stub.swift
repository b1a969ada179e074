enum StubIdentity {}
