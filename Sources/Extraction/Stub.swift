enum StubExtraction {}
