enum StubCommandRoom {}
