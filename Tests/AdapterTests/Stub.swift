import Testing
@Test func stubAdapterTests() {}
