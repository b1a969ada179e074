import Testing
@Test func stubCoreTests() {}
